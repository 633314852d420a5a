/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Something goes wrong on one of the hosts of a live migration, in each of its phases, and a third host tries to start another domain on
 * the disk all the time. In the end the domain runs on one host at most, that host owns the disk, everybody else is told so, and the
 * stamps on the disk tell of one writer. Each host sees leases and images through file systems of its own: its faults are its own, and
 * no lock of QEMU's reaches another host.
 *
 * <p>{@code make test} runs {@link #USUAL}, {@code make migration-faults} ({@code -Dmigration.faults=all}) all rows;
 * {@code -Dmigration.faults=SENT:HOST_LOST,NETWORK_CUT} those that contain one of these.
 */
@NeedsTestImage
@SuppressWarnings("NullAway.Init") // the hosts are set before the first test
class MigrationFaultsIT {
    /** By a fault that plain libvirt survives, and soon over; three hosts take longer to boot than these take. */
    private static final List<String> USUAL = List.of(
            "SENDING:LIBVIRTD_KILLED:source", "SENT:LIBVIRTD_KILLED:target", "RUNS_THERE:LIBVIRTD_KILLED:target");

    private static final Duration LONG = Duration.ofSeconds(60);
    /** A dead host's leases are free by then, and libvirt has given up whoever does not answer. */
    private static final Duration ENDED = Duration.ofSeconds(180);

    private static final int PORT_A = 16561;
    private static final int PORT_B = 16562;
    private static final String[] CONFIGURATION = {
        "io_timeout: 3s", "watchdog_timeout: 10s", "destroy_timeout: 3s", "hook_timeout: 10s", "watchdog: none"
    };

    private static SharedDir leases;
    private static SharedDir images;
    private static GuardedHost a;
    private static GuardedHost b;
    private static GuardedHost third;
    /** null if no row needs it. */
    private static CephCluster ceph;

    private static int rows;
    private static final List<String> RESULTS = new ArrayList<>();

    /** How far the migration is when it happens. */
    enum Phase {
        /** The guest runs on the source, and its memory is being sent. */
        SENDING,
        /** All is sent, the leases are given, and the word that the target may run is lost: both sides stand still. */
        SENT,
        /** The target runs, and the source does not hear of it. */
        RUNS_THERE,
        /** Post-copy: the target runs, and fetches what it needs of the guest's memory from the source, which cannot run any more. */
        FETCHING
    }

    /**
     * @param fault null: the network between the two libvirtds is cut
     * @param word the domain's {@code <on_lockfailure>}
     */
    private record Row(boolean rbd, Phase phase, MigrationFault fault, boolean source, String word) {
        Row(boolean rbd, Phase phase, MigrationFault fault, boolean source) {
            this(rbd, phase, fault, source, "poweroff");
        }

        boolean lost() {
            return fault == MigrationFault.LEASES_LOST;
        }

        @Override
        public String toString() {
            return (rbd ? "RBD:" : "") + phase + ":"
                    + (fault == null ? "NETWORK_CUT" : fault + ":" + (source ? "source" : "target"))
                    + (lost() ? ":" + word : "");
        }
    }

    /** Half of the guest's memory is lost then, and what is left of it on the other host is not to be saved. */
    private static boolean losesGuest(Row row) {
        return row.phase == Phase.FETCHING && (row.fault == MigrationFault.HOST_LOST || (row.lost() && !row.source));
    }

    /** What makes libvirt lose its way; everything else is the same whatever the disk is. */
    private static final Set<MigrationFault> ON_RBD =
            EnumSet.of(MigrationFault.AGENT_KILLED, MigrationFault.LIBVIRTD_KILLED, MigrationFault.LIBVIRTD_STOPPED);

    private static final Set<MigrationFault> ON_FILES = EnumSet.complementOf(EnumSet.of(MigrationFault.LEASES_LOST));

    static List<Row> rows() {
        List<Row> all = new ArrayList<>();
        for (boolean rbd : new boolean[] {false, true}) {
            for (Phase phase : rbd ? EnumSet.complementOf(EnumSet.of(Phase.FETCHING)) : EnumSet.allOf(Phase.class)) {
                all.add(new Row(rbd, phase, null, true));
                for (MigrationFault fault : rbd ? ON_RBD : ON_FILES) {
                    all.add(new Row(rbd, phase, fault, true));
                    all.add(new Row(rbd, phase, fault, false));
                }
            }
        }
        for (String word : List.of("poweroff", "pause", "restart")) {
            all.add(new Row(false, Phase.SENDING, MigrationFault.LEASES_LOST, true, word));
        }
        all.add(new Row(false, Phase.SENDING, MigrationFault.LEASES_LOST, false, "pause"));
        all.add(new Row(false, Phase.FETCHING, MigrationFault.LEASES_LOST, true));
        all.add(new Row(false, Phase.FETCHING, MigrationFault.LEASES_LOST, false));
        String chosen = System.getProperty("migration.faults", "");
        List<String> wanted = List.of(chosen.split(","));
        return all.stream()
                .filter(row -> chosen.isEmpty()
                        ? USUAL.contains(row.toString())
                        : chosen.equals("all") || wanted.stream().anyMatch(row.toString()::contains))
                .toList();
    }

    @BeforeAll
    static void boot() {
        leases = SharedDir.create("leases");
        images = SharedDir.create("images");
        if (rows().stream().anyMatch(Row::rbd)) {
            ceph = CephCluster.start();
        }
        CompletableFuture<GuardedHost> first = CompletableFuture.supplyAsync(() -> host("node-a", PORT_A, 49410));
        CompletableFuture<GuardedHost> second = CompletableFuture.supplyAsync(() -> host("node-b", PORT_B, 49430));
        third = host("node-c", 16563, 49450);
        a = first.join();
        b = second.join();
        hosts().forEach(GuardedHost::awaitReady);
        Mover.fill(a);
        if (ceph != null) {
            hosts().forEach(host -> host.host.sh("test-ceph secret").mustSucceed());
        }
    }

    private static GuardedHost host(String name, int port, int firstPort) {
        TestHost.Builder builder = TestHost.named(name)
                .bind(images, "/shared-images")
                .tcpPort(port)
                .migrationPorts(firstPort, firstPort + 19);
        if (ceph != null) {
            builder.ceph(ceph);
        }
        GuardedHost host = GuardedHost.start(builder, leases, CONFIGURATION);
        // The target's libvirt gives a file back to root when its QEMU ends, and the source's could not go on with it
        // then. The page faults of post-copy are the kernel's to report to a privileged process only.
        host.host
                .sh("printf 'user = \"root\"\ngroup = \"root\"\nclear_emulator_capabilities = 0\n'"
                        + " >> /etc/libvirt/qemu.conf; systemctl restart libvirtd")
                .mustSucceed();
        mountImages(host);
        return host;
    }

    private static void mountImages(GuardedHost host) {
        host.host
                .sh("mkdir -p /images && stall-dir /shared-images /images /run/image-fault")
                .mustSucceed();
    }

    private static List<GuardedHost> hosts() {
        return Stream.of(a, b, third).filter(Objects::nonNull).toList();
    }

    @AfterAll
    static void end() throws IOException {
        Files.createDirectories(Path.of("target"));
        Files.writeString(Path.of("target", "migration-faults.txt"), String.join(System.lineSeparator(), RESULTS));
        hosts().forEach(GuardedHost::close);
        if (ceph != null) {
            ceph.close();
        }
        images.close();
        leases.close();
    }

    @ParameterizedTest
    @MethodSource("rows")
    void oneHostAtMostHasTheDomainInTheEndAndOwnsIt(Row row) {
        String name = "mf" + ++rows + "-" + ProcessHandle.current().pid();
        Mover mover = (row.rbd ? Mover.onRbd(name, a, ceph) : Mover.onFile(name, a)).onLockFailure(row.word);
        mover.start(a);
        if (row.rbd) {
            mirror(name);
        }
        try (Stamps stamps = Stamps.watch(images.resolve(mover.name + ".img"));
                Relay relay = Relay.to(PORT_B)) {
            Running intruder = intrude(mover, row.phase);
            Eventually.await("the first stamp", LONG, () -> stamps.count() > 0);
            stamps.forget();
            // Tunnelled, so that a network that is cut is cut for the guest's memory too. Slow until something has
            // happened.
            String way = row.fault == null && row.phase == Phase.SENDING ? " --tunnelled" : "";
            way += row.phase == Phase.FETCHING ? " --postcopy --postcopy-bandwidth 1" : "";
            Running migration = mover.migrate(a, relay.port(), "--p2p --bandwidth 1" + way);
            awaitOnItsWay(mover, migration);
            reach(row.phase, mover, relay);
            long struckMillis = QemuProcess.nowMillis();
            strike(row, relay);
            sendFast(mover);
            if (row.fault == MigrationFault.HOST_LOST && row.source) {
                relay.cut();
            } else {
                migration.awaitEnd(ENDED);
            }
            GuardedHost owner = awaitOutcome(row, mover, intruder);
            long endedMillis = QemuProcess.nowMillis();
            third.host.sh("touch /run/calm").mustSucceed();
            List<String> attempts = intruder.awaitEnd(LONG)
                    .stdout()
                    .lines()
                    .filter(line -> !line.isBlank())
                    .toList();
            check(row, mover, owner, attempts);
            assertThat(stamps.problems()).isEmpty();
            boolean paused = false;
            if (owner != null && !losesGuest(row)) {
                paused = resume(mover, owner);
                long count = stamps.count();
                Eventually.await("the guest to go on", LONG, () -> stamps.count() > count + 10);
                Eventually.await(
                        "all of its memory to have come",
                        LONG,
                        () -> !owner.host
                                .virsh("domstate", mover.name, "--reason")
                                .mustSucceed()
                                .stdout()
                                .contains("post-copy"));
                assertThat(stamps.problems()).isEmpty();
            }
            record(
                    row,
                    (owner == null ? "ended" : "on " + (owner == a ? "source" : "target")) + (paused ? ", paused" : ""),
                    endedMillis - struckMillis,
                    attempts,
                    stamps,
                    migration);
        } catch (AssertionError | RuntimeException e) {
            tell(row, mover);
            throw LastWords.with(e, hosts().stream().map(host -> host.host));
        }
    }

    /** Lets the third host copy the stamps of an RBD image to where those of a file would be, until the row is over. */
    private static void mirror(String name) {
        third.host
                .sh("rm -f /run/mirrored; truncate -s 1M /shared-images/" + name + ".img")
                .mustSucceed();
        Running ignored = third.host.spawn("python3", "-c", """
                import os, rados, rbd, sys, time
                name = sys.argv[1]
                cluster = rados.Rados(conffile='/etc/ceph/ceph.conf', conf={'rbd_cache': 'false'})
                cluster.connect()
                image = rbd.Image(cluster.open_ioctx('rbd'), name, read_only=True)
                copy = os.open('/shared-images/' + name + '.img', os.O_WRONLY)
                while not os.path.exists('/run/mirrored'):
                    os.pwrite(copy, image.read(51200, 8), 51200)
                    time.sleep(0.005)
                """, name);
    }

    private static void awaitOnItsWay(Mover mover, Running migration) {
        Eventually.await(
                "memory to be sent",
                LONG,
                () -> mover.isOnItsWay(a, b) || migration.ended().isPresent());
        assertThat(migration.ended()).as("the migration is under way").isEmpty();
    }

    private static void strike(Row row, Relay relay) {
        if (row.fault == null) {
            relay.loses(Relay.Loses.ALL);
            return;
        }
        GuardedHost struck = row.source ? a : b;
        row.fault.inject(struck);
        pause(Duration.ofSeconds(row.fault.seconds));
        row.fault.heal(struck);
    }

    /** A libvirtd that was started again does not know whether the guest runs on the target, and leaves it paused; so users resume it. */
    private static boolean resume(Mover mover, GuardedHost owner) {
        boolean paused =
                owner.host.virsh("domstate", mover.name).mustSucceed().stdout().contains("paused");
        if (paused) {
            owner.host.virsh("resume", mover.name).mustSucceed();
        }
        return paused;
    }

    /** As fast as it can go; nothing if there is no migration any more. */
    private static void sendFast(Mover mover) {
        if (a.host.isOn()) {
            a.host.sh(
                    "for how in '' --postcopy; do timeout 20 virsh migrate-setspeed " + mover.name + " 500 $how; done");
        }
    }

    private static void record(
            Row row, String outcome, long tookMillis, List<String> attempts, Stamps stamps, Running migration) {
        String said = migration
                .ended()
                .map(ran -> ran.ok()
                        ? "migrated"
                        : ran.stderr()
                                .lines()
                                .filter(line -> line.startsWith("error: "))
                                .findFirst()
                                .orElse("failed"))
                .orElse("-");
        String line = String.format(
                Locale.ROOT,
                "| %s | %s | %.0f | %.1f | %d | %s |",
                row,
                outcome,
                tookMillis / 1000.0,
                stamps.longestMillis() / 1000,
                attempts.size(),
                said.replace("error: ", ""));
        RESULTS.add(line);
        System.out.println("migration faults: " + line);
    }

    /** What each host has seen of a row that fails. */
    private static void tell(Row row, Mover mover) {
        for (GuardedHost host : hosts()) {
            if (host.host.isOn()) {
                System.out.printf(
                        "%s, %s:%n%s%n",
                        row,
                        host.host.name(),
                        host.host
                                .sh("journalctl --no-pager -b -o short-precise -u vmguard -u libvirtd | grep -B2 -A400 "
                                        + mover.name + " | tail -150; cat /run/libvirt/qemu/" + mover.name
                                        + ".xml | head -60; tail -5 /var/log/libvirt/qemu/" + mover.name
                                        + ".log; ps -eo pid,stat,lstart,comm | grep qemu")
                                .output());
            }
        }
    }

    private static void reach(Phase phase, Mover mover, Relay relay) {
        switch (phase) {
            case SENDING -> {}
            case SENT -> {
                relay.loses(Relay.Loses.REQUESTS);
                sendFast(mover);
                Eventually.await(
                        "the leases to be given",
                        LONG,
                        () -> a.host.sh("journalctl -b -u vmguard | grep -q 'VG-226 domain " + mover.name + "'")
                                .ok());
            }
            case RUNS_THERE -> {
                relay.loses(Relay.Loses.ANSWERS);
                sendFast(mover);
                Eventually.await(
                        "the guest to run on node-b",
                        LONG,
                        () -> b.host.sh("grep -q \"<domstatus state='running'\" /run/libvirt/qemu/" + mover.name
                                        + ".xml")
                                .ok());
            }
            case FETCHING -> {
                a.host.virsh("migrate-postcopy", mover.name).mustSucceed();
                Eventually.await(
                        "the guest to run on node-b, the owner",
                        LONG,
                        () -> b.host.sh("grep -q \"<domstatus state='running' reason='post-copy'\" /run/libvirt/qemu/"
                                                + mover.name + ".xml")
                                        .ok()
                                && b.host.sh("journalctl -b -u vmguard | grep -q 'VG-235 domain " + mover.name + "'")
                                        .ok());
            }
        }
    }

    /** The third host tries until it is told to be calm; a line for each refusal, or what it has got. */
    private static Running intrude(Mover mover, Phase phase) {
        // What is given and comes back must not be free for a moment either.
        String pause = phase == Phase.SENT ? "0.1" : "1";
        return third.host.spawn(
                "sh",
                "-c",
                "rm -f /run/calm; until test -e /run/calm; do said=$(" + mover.intruderXml("intruder")
                        + " | virsh create /dev/stdin 2>&1) && said=GOT; echo $said; virsh destroy intruder >/dev/null 2>&1;"
                        + " sleep " + pause + "; done");
    }

    /** Who has its QEMU when nothing changes any more, and owns its disk; null: nobody, and the disk is free. */
    private static GuardedHost awaitOutcome(Row row, Mover mover, Running intruder) {
        GuardedHost[] owner = new GuardedHost[1];
        if (losesGuest(row) && !row.source) {
            // Nobody ends it: its user may want to look at what is left. It is not to run.
            Eventually.await(
                    "the disk to be free", ENDED, () -> intruder.stdout().contains("GOT"));
            assertThat(a.host.virsh("domstate", mover.name, "--reason").stdout())
                    .contains("paused (post-copy");
            a.host.sh("timeout 20 virsh resume " + mover.name).mustFail();
            return null;
        }
        boolean again = row.word.equals("restart");
        if (again) {
            third.host.sh("touch /run/calm").mustSucceed(); // or it may have the disk whenever a start is tried
        }
        Eventually.await("one owner, or none", ENDED, () -> {
            List<GuardedHost> with = Stream.of(a, b)
                    .filter(host -> host.host.isOn() && host.hasQemu(mover.name))
                    .toList();
            assertThat(with).as("hosts with its QEMU").hasSizeLessThan(2);
            owner[0] = with.isEmpty() ? null : with.get(0);
            if (owner[0] == null) {
                return !again && intruder.stdout().contains("GOT");
            }
            return owner[0].statusJson().matches("(?s).*\"name\":\"" + mover.name + "\"[^}]*\"state\":\"running\".*");
        });
        return owner[0];
    }

    private static void check(Row row, Mover mover, GuardedHost owner, List<String> attempts) {
        boolean onTarget = row.phase == Phase.RUNS_THERE || row.phase == Phase.FETCHING;
        boolean ends = row.fault == MigrationFault.HOST_LOST && row.source != onTarget;
        ends |= row.lost() && row.source != onTarget && row.word.equals("poweroff");
        // What was lost can be had as soon as its host is a member again: if the third host is quicker the guest
        // must not go on.
        ends |= row.lost() && row.source && row.word.equals("pause") && attempts.contains("GOT");
        assertThat(attempts.stream().takeWhile(line -> !line.equals("GOT")))
                .isNotEmpty()
                .allMatch(line -> line.contains("vmguard: vda ("), "what, who and why");
        assertThat(owner == null).as("the domain has ended").isEqualTo(ends);
        if (owner == null) {
            return;
        }
        switch (row.phase) {
            case SENDING -> {}
            case SENT ->
                assertThat(owner).as("the only host on which it has ever run").isSameAs(a);
            case RUNS_THERE, FETCHING ->
                assertThat(owner).as("the host on which it has run last").isSameAs(b);
        }
        if (row.phase == Phase.FETCHING && row.lost() && row.source) {
            a.host.awaitJournal("vmguard", "VG-300", "VG-305 domain " + mover.name);
        }
        boolean libvirtd = row.fault == MigrationFault.LIBVIRTD_KILLED || row.fault == MigrationFault.LIBVIRTD_STOPPED;
        if (row.phase == Phase.RUNS_THERE && libvirtd) {
            // Some stamps of a second copy may go unread.
            String said = a.host.sh("journalctl -b -u vmguard | grep '" + mover.name + " '")
                    .stdout();
            if (row.rbd) {
                assertThat(said).as("it was held before libvirt resumed it").contains("VG-240");
            } else {
                assertThat(said)
                        .as("it was stopped before libvirt could resume it")
                        .contains("VG-239")
                        .doesNotContain("VG-222");
            }
        }
        if (!row.word.equals("restart")) {
            assertThat(attempts).doesNotContain("GOT");
        }
        owner.awaitLeases(mover.name, 1, LONG);
        // What a lease is for is written beside it when it is taken: not if nothing can be written just then.
        boolean named = row.fault != MigrationFault.LEASES_FAIL && row.fault != MigrationFault.LEASES_STALL;
        String by = "is in use by " + (named ? "domain " + mover.name + " on " : "") + "host " + owner.host.name();
        for (GuardedHost host : hosts()) {
            if (host.host.isOn()) {
                host.awaitReady(); // its agent may have been killed a second ago
                String said = mover.intruder(host).mustFail().stderr();
                assertThat(named ? said : said.replace("domain " + mover.name + " on ", ""))
                        .contains(by);
            }
        }
    }

    @AfterEach
    void settle() throws IOException {
        third.host.sh("touch /run/calm /run/mirrored").mustSucceed();
        for (GuardedHost host : List.of(a, b)) {
            if (!host.host.isOn()) {
                host.host.powerOn();
                host.host.awaitUp();
                host.host.sh("mount --make-rshared /").mustSucceed();
                host.mountLeases();
                mountImages(host);
                host.host.sh("systemctl restart vmguard libvirtd").mustSucceed();
            }
        }
        for (GuardedHost host : hosts()) {
            // A libvirtd that has lost a migration half-way can hold on to its domain.
            host.host.sh(
                    "for d in $(virsh list --name); do timeout 20 virsh destroy $d; done; systemctl kill -s KILL libvirtd;"
                            + " for d in $(virsh list --name); do virsh destroy $d; done");
            Eventually.await(
                    "nothing to be left on " + host.host.name(),
                    ENDED,
                    () -> host.statusJson().contains("\"ready\":true")
                            && host.statusJson().contains("\"domains\":[]"));
        }
        Eventually.await("every lease to be free on disk", LONG, () -> TwoHosts.allFree(leases.path()));
    }

    private static void pause(Duration length) {
        try {
            boolean ignored = new CountDownLatch(1).await(length.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }
}
