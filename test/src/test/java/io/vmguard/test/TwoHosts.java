/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/**
 * Two guarded hosts that share their leases and nothing else: a disk is one path on both, but a file of each host's own, so that no
 * lock of QEMU's can be what refuses a start. They serve all tests of a class; after each test every domain is destroyed, and every
 * lease must be free on disk then.
 */
@SuppressWarnings("NullAway.Init") // set before the first test
final class TwoHosts implements BeforeAllCallback, AfterEachCallback, AfterAllCallback, TestExecutionExceptionHandler {
    private static final String IMAGES = "/var/lib/libvirt/images/";
    /**
     * How soon a lease whose domain has ended can be taken, anywhere: some tenths of a second, on a busy machine more, and less than anything
     * that the protocol or the agent waits for (8 s, half a minute).
     */
    static final Duration AT_ONCE = Duration.ofSeconds(5);
    /** A lease that leaked stays; this is for a busy machine. */
    private static final Duration SETTLED = Duration.ofSeconds(30);

    /** What a host has beside its leases. */
    interface Shape {
        void of(String host, TestHost.Builder builder);
    }

    private final Shape shape;
    private final String[] configuration;
    private SharedDir leases;
    /** Its lease directory can be made to fail. */
    GuardedHost a;
    /** Its lease directory is a plain mount, which is there after a boot. */
    GuardedHost b;

    /** @param configuration lines of vmguard.yaml beside the lease directory */
    TwoHosts(String... configuration) {
        this((host, builder) -> {}, configuration);
    }

    /** The same with more in each host; asked before the first test. */
    TwoHosts(Shape shape, String... configuration) {
        this.shape = shape;
        this.configuration = configuration;
    }

    @Override
    public void beforeAll(ExtensionContext context) {
        leases = SharedDir.create("leases");
        CompletableFuture<GuardedHost> first =
                CompletableFuture.supplyAsync(() -> GuardedHost.start(shaped("node-a"), leases, configuration));
        try {
            b = GuardedHost.startOnPlainLeases(shaped("node-b"), leases, configuration);
        } finally {
            a = first.join();
        }
        a.awaitReady();
        b.awaitReady();
    }

    private TestHost.Builder shaped(String name) {
        TestHost.Builder builder = TestHost.named(name);
        shape.of(name, builder);
        return builder;
    }

    /** Where the leases are, for a third host. */
    SharedDir leases() {
        return leases;
    }

    @Override
    public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
        new LastWords(() -> both().map(host -> host.host)).handleTestExecutionException(context, failure);
    }

    @Override
    public void afterEach(ExtensionContext context) {
        if (context.getExecutionException().isPresent()) {
            both().forEach(host -> System.out.printf(
                    "%s, journal of %s:%n%s%n",
                    context.getDisplayName(), host.host.name(), host.host.journal("vmguard")));
        }
        try {
            settle();
        } catch (AssertionError e) {
            throw LastWords.with(e, both().map(host -> host.host));
        }
    }

    private void settle() {
        both().forEach(host -> host.host
                .sh("for d in $(virsh list --name); do virsh destroy $d; done;"
                        + " for d in $(virsh list --all --name); do virsh undefine --managed-save $d; done")
                .mustSucceed());
        both().forEach(host -> Eventually.await(
                "no domain to be left on " + host.host.name(),
                SETTLED,
                () -> host.statusJson().contains("\"domains\":[]")));
        Eventually.await("every lease to be free on disk", SETTLED, this::allFree);
    }

    @Override
    public void afterAll(ExtensionContext context) {
        both().forEach(GuardedHost::close);
        leases.close();
    }

    boolean allFree() throws IOException {
        return allFree(leases.path());
    }

    /** Fails unless every lease in the directory is free, by the bytes on disk. */
    static boolean allFree(Path directory) throws IOException {
        return allFree(directory, leader -> false);
    }

    /** The same, but what a host had before it lost its power counts as free, as it does for everybody who wants it. */
    static boolean allFreeButForLostHosts(Path directory) throws IOException {
        byte[] lockspace = Files.readAllBytes(directory.resolve("__LIBVIRT__DISKS__"));
        return allFree(directory, leader -> {
            int delta = (int) LeaseLayout.SECTOR_512.deltaOffset(leader.owner().hostId());
            return LeaderRecord.at(lockspace, delta).owner().generation()
                    > leader.owner().generation();
        });
    }

    private static boolean allFree(Path directory, Predicate<LeaderRecord> free) throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.list(directory)) {
            files = all.filter(f -> f.getFileName().toString().matches("[0-9a-f]{32}"))
                    .toList();
        }
        for (Path file : files) {
            byte[] area = Files.readAllBytes(file);
            LeaderRecord leader = LeaderRecord.at(area, 0);
            assertThat(leader.isFree() || releasedByFlag(area, leader) || free.test(leader))
                    .as("owner %s of %s", leader.owner(), file)
                    .isTrue();
        }
        return true;
    }

    /** A lease that another host committed for its owner, in a race, is free when the owner's own block says so. */
    private static boolean releasedByFlag(byte[] area, LeaderRecord leader) {
        int block = (int) LeaseLayout.SECTOR_512.diskBlockOffset(leader.owner().hostId());
        return leader.writer().hostId() != leader.owner().hostId()
                && DiskBlock.decode(area, block).fold(DiskBlock::released, (fault, why) -> false);
    }

    private Stream<GuardedHost> both() {
        return Stream.of(a, b).filter(Objects::nonNull);
    }

    /** The path of an empty disk that is on both hosts. */
    String disk(String name) {
        return disks(name, 1)[0];
    }

    /** The same for several. */
    String[] disks(String name, int count) {
        String[] paths = IntStream.rangeClosed(1, count)
                .mapToObj(i -> IMAGES + name + (count == 1 ? "" : i) + ".img")
                .toArray(String[]::new);
        both().forEach(host ->
                host.host.sh("truncate -s 1M " + String.join(" ", paths)).mustSucceed());
        return paths;
    }

    static Ran create(GuardedHost host, String domain, String... paths) {
        return host.host.createDomain(domain, options(paths));
    }

    /** Options of {@code test-domain} for disks. */
    static String[] options(String... paths) {
        return Arrays.stream(paths).flatMap(path -> Stream.of("--file", path)).toArray(String[]::new);
    }

    /** A start under another name is refused on either host, and whoever asks is told who has the disk. */
    void assertTaken(String path, String byDomain, GuardedHost onHost) {
        both().forEach(host -> assertRefused(host, path, byDomain, onHost));
    }

    static void assertRefused(GuardedHost asked, String path, String byDomain, GuardedHost onHost) {
        assertThat(create(asked, "intruder", path).mustFail().stderr())
                .as("on %s", asked.host.name())
                .contains("(file:" + path + ") is in use by domain " + byDomain + " on host " + onHost.host.name());
    }

    /** The disk can be used on a host almost at once; ends that domain again. */
    static void assertFreesAtOnce(GuardedHost host, String path) {
        Eventually.await(
                path + " to be free for " + host.host.name(),
                AT_ONCE,
                () -> create(host, "next", path).mustSucceed().ok());
        host.host.virsh("destroy", "next").mustSucceed();
    }
}
