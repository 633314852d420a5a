/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * How long a guest stands still in a live migration with vmguard and without: the same domain to and fro between two guarded hosts and
 * between two plain ones, in turns. Twice measured: by QEMU, and by the longest time between two stamps that the guest writes to its
 * disk, every 10 ms or so. {@code make bench-migration}; not part of {@code make test}.
 */
@NeedsTestImage
class MigrationDowntime {
    private static final int PAIRS = Integer.getInteger("migration.pairs", 12);
    private static final double AIM_MILLIS = 100;
    private static final Duration LONG = Duration.ofSeconds(120);
    private static final Pattern DOWNTIME = Pattern.compile("Total downtime:\\s+([0-9.]+)\\s+ms");

    /** What two hosts made of it, in milliseconds. */
    private static final class Way implements AutoCloseable {
        final String domain;
        final List<Double> stood = new ArrayList<>();
        final List<Double> silent = new ArrayList<>();
        final List<Double> took = new ArrayList<>();
        private final List<TestHost> hosts;
        private final int[] ports;
        private int at;

        Way(String domain, List<TestHost> hosts, int... ports) {
            this.domain = domain;
            this.hosts = hosts;
            this.ports = ports;
        }

        void start(Stamps stamps) {
            hosts.get(0)
                    .sh("test-domain " + domain + " --file /images/" + domain + ".img"
                            + " | sed \"s|<domain type='qemu'>|<domain type='qemu'"
                            + " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>|;"
                            + " s|^</domain>|<qemu:commandline><qemu:arg value='-device'/>"
                            + "<qemu:arg value='loader,file=/images/fill,addr=0x1000000,force-raw=on'/>"
                            + "</qemu:commandline></domain>|\" | virsh create /dev/stdin")
                    .mustSucceed();
            Eventually.await("the first stamp", LONG, () -> stamps.count() > 0);
        }

        void migrate(Stamps stamps) {
            TestHost from = hosts.get(at);
            TestHost to = hosts.get(1 - at);
            stamps.forget();
            long beganNanos = System.nanoTime();
            from.run(
                            LONG,
                            "virsh",
                            "migrate",
                            "--live",
                            "--unsafe",
                            "--p2p",
                            domain,
                            "qemu+tcp://127.0.0.1:" + ports[1 - at] + "/system",
                            "--migrateuri",
                            "tcp://127.0.0.1")
                    .mustSucceed();
            took.add((System.nanoTime() - beganNanos) / 1e6);
            at = 1 - at;
            long count = stamps.count();
            Eventually.await("the guest to go on", LONG, () -> stamps.count() > count);
            silent.add(stamps.longestMillis());
            Matcher downtime = DOWNTIME.matcher(
                    to.virsh("domjobinfo", "--completed", domain).mustSucceed().stdout());
            assertThat(downtime.find()).as(downtime.toString()).isTrue();
            stood.add(Double.parseDouble(downtime.group(1)));
        }

        @Override
        public void close() {
            hosts.get(at).virsh("destroy", domain);
        }
    }

    @Test
    void aGuardedMigrationStandsStillHardlyLonger() {
        try (SharedDir leases = SharedDir.create("leases");
                SharedDir images = SharedDir.create("images")) {
            CompletableFuture<TestHost> one = CompletableFuture.supplyAsync(
                    () -> shaped("plain-a", images, 16551, 49510).start());
            CompletableFuture<TestHost> two = CompletableFuture.supplyAsync(
                    () -> shaped("plain-b", images, 16552, 49530).start());
            CompletableFuture<GuardedHost> three = CompletableFuture.supplyAsync(() ->
                    GuardedHost.startOnPlainLeases(shaped("node-a", images, 16553, 49550), leases, "io_timeout: 2s"));
            try (GuardedHost b = GuardedHost.startOnPlainLeases(
                            shaped("node-b", images, 16554, 49570), leases, "io_timeout: 2s");
                    GuardedHost a = three.join();
                    TestHost plainB = two.join();
                    TestHost plainA = one.join()) {
                a.awaitReady();
                b.awaitReady();
                Mover.fill(a);
                a.host.sh("test-guest make /images/plain.img; test-guest make /images/guarded.img")
                        .mustSucceed();
                try (Stamps plainStamps = Stamps.watch(images.resolve("plain.img"));
                        Stamps guardedStamps = Stamps.watch(images.resolve("guarded.img"));
                        Way plain = new Way("plain", List.of(plainA, plainB), 16551, 16552);
                        Way guarded = new Way("guarded", List.of(a.host, b.host), 16553, 16554)) {
                    plain.start(plainStamps);
                    guarded.start(guardedStamps);
                    for (int i = 0; i < PAIRS; i++) {
                        plain.migrate(plainStamps);
                        guarded.migrate(guardedStamps);
                    }
                    report(plain, guarded);
                }
            }
        }
    }

    private static TestHost.Builder shaped(String name, SharedDir images, int port, int firstPort) {
        return TestHost.named(name).bind(images, "/images").tcpPort(port).migrationPorts(firstPort, firstPort + 19);
    }

    private static void report(Way plain, Way guarded) {
        double extra = median(differences(plain.silent, guarded.silent));
        System.out.printf(
                Locale.ROOT,
                "%d pairs, medians in ms; smallest to largest%n%-34s %22s %22s %14s%n%s%s%s",
                PAIRS,
                "",
                "without",
                "with vmguard",
                "paired extra",
                line("stood still, says QEMU", plain.stood, guarded.stood),
                line("between two stamps on the disk", plain.silent, guarded.silent),
                line("virsh migrate", plain.took, guarded.took));
        assertThat(extra).isLessThanOrEqualTo(AIM_MILLIS);
    }

    private static String line(String what, List<Double> plain, List<Double> guarded) {
        return String.format(
                Locale.ROOT,
                "%-34s %22s %22s %14.0f%n",
                what,
                range(plain),
                range(guarded),
                median(differences(plain, guarded)));
    }

    private static String range(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        return String.format(
                Locale.ROOT, "%.0f (%.0f to %.0f)", median(values), sorted.get(0), sorted.get(sorted.size() - 1));
    }

    private static List<Double> differences(List<Double> plain, List<Double> guarded) {
        return IntStream.range(0, plain.size())
                .mapToObj(i -> guarded.get(i) - plain.get(i))
                .toList();
    }

    private static double median(List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        int half = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(half) : (sorted.get(half - 1) + sorted.get(half)) / 2;
    }
}
