/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * The whole main job on real parts: two hosts with systemd, libvirtd and QEMU, the built package installed on each, one shared lease
 * directory, and the same disk on both; once as a file, once as an image of a real Ceph.
 *
 * <p>io_timeout is 2 s, so the real bounds checked are 8 x 2 = 16 s (a membership is lost), 5 s on top (libvirt's time to destroy) and
 * 8 x 2 + 60 = 76 s (a host is dead for others). With the default of 10 s they are 80, 85 and 140 s.
 */
@NeedsTestImage
@Execution(ExecutionMode.CONCURRENT)
class WalkthroughIT {
    private static final int IO_TIMEOUT = 2;
    private static final Duration LOST = Duration.ofSeconds(8 * IO_TIMEOUT);
    private static final Duration DESTROY = Duration.ofSeconds(5);
    private static final Duration DEAD = Duration.ofSeconds(8 * IO_TIMEOUT + 60);
    /** libvirt itself takes some of it; a busy machine with two cores the rest. */
    private static final Duration SLACK = Duration.ofSeconds(8);

    private static final Duration SOON = Duration.ofSeconds(30);

    private static CephCluster ceph;

    @BeforeAll
    static void startCeph() {
        ceph = CephCluster.start();
    }

    @AfterAll
    static void stopCeph() {
        ceph.close();
    }

    /** How the two hosts name the disk, and what the messages call it. */
    private record Disk(String label, String... options) {}

    @Test
    void aFileHasOneWriterWhateverHappensToItsHosts() {
        try (SharedDir images = SharedDir.create("images");
                SharedDir leases = SharedDir.create("leases");
                GuardedHost a = host("node-a", images, leases);
                GuardedHost b = host("node-b", images, leases)) {
            a.host.sh("test-guest make /images/vm1.img").mustSucceed();
            walk(a, b, leases, new Disk("vda (file:/images/vm1.img)", "--file", "/images/vm1.img"));
        }
    }

    @Test
    void anRbdImageHasOneWriterWhateverHappensToItsHosts() {
        try (SharedDir images = SharedDir.create("images");
                SharedDir leases = SharedDir.create("leases");
                GuardedHost a = host("node-a", images, leases);
                GuardedHost b = host("node-b", images, leases)) {
            a.host.sh(
                            "test-ceph secret && test-guest make /tmp/g && rbd -n client.libvirt import --no-progress /tmp/g rbd/vm1")
                    .mustSucceed();
            b.host.sh("test-ceph secret").mustSucceed();
            String port = Integer.toString(ceph.monitorPort());
            walk(a, b, leases, new Disk("vda (rbd:rbd/vm1)", "--rbd", "rbd/vm1", "--port", port));
            theDoctorFindsTheCephUserThatMayNotBlocklist(a, port);
        }
    }

    private static void theDoctorFindsTheCephUserThatMayNotBlocklist(GuardedHost a, String port) {
        a.host.sh("ceph auth get-or-create client.weak mon 'allow r' osd 'allow rwx pool=rbd' >/dev/null;"
                        + " for user in weak libvirt; do test-domain of-$user --rbd rbd/vm1 --port " + port
                        + " | sed \"s/username='libvirt'/username='$user'/\" | virsh define /dev/stdin; done")
                .mustSucceed();
        awaitOfDoctor(
                a,
                "RED +ceph_caps +client\\.weak \\(secret [0-9a-f-]+\\) may not blocklist: mon caps are 'allow r'\n"
                        + " +why: .*\n +fix: ceph auth caps client\\.weak mon 'profile rbd'");
        a.host.sh("ceph auth caps client.weak mon 'profile rbd' osd 'profile rbd pool=rbd'")
                .mustSucceed();
        awaitOfDoctor(a, "green +ceph_caps +client\\.libvirt .* may blocklist; client\\.weak .* may blocklist\n");
    }

    /** What it asks the cluster may take longer than it waits, on a machine that has much to do. */
    private static void awaitOfDoctor(GuardedHost host, String pattern) {
        Pattern wanted = Pattern.compile(pattern);
        Eventually.await(
                "the doctor to say " + pattern,
                Duration.ofSeconds(120),
                () -> wanted.matcher(host.vmguard("doctor", "--no-probe").output())
                        .find());
    }

    private static GuardedHost host(String name, SharedDir images, SharedDir leases) {
        TestHost.Builder builder = TestHost.named(name).bind(images, "/images").ceph(ceph);
        return GuardedHost.start(builder, leases, "io_timeout: " + IO_TIMEOUT + "s");
    }

    private static void walk(GuardedHost a, GuardedHost b, SharedDir leases, Disk disk) {
        try {
            a.awaitReady();
            b.awaitReady();
            walkOn(a, b, leases, disk);
        } catch (AssertionError e) {
            throw LastWords.with(e, Stream.of(a.host, b.host));
        }
    }

    private static void walkOn(GuardedHost a, GuardedHost b, SharedDir leases, Disk disk) {
        theFirstStartRunsAndHoldsItsLease(a, leases, disk);
        everySecondStartIsRefusedWithAMessageThatNamesTheFirst(a, b, disk);
        afterItsEndTheDiskIsFreeAtOnce(a, b, disk);
        theLeaseOfAKilledHostIsFreeAfterHostDeadTimeAndNotBefore(a, b, disk);
        aHostThatLosesItsLeaseDirectoryStopsItsDomainBeforeAnotherMayStartIt(a, b, disk);
        withoutItsAgentAHostStartsNothingButInModeObserve(a, disk);
    }

    private static void theFirstStartRunsAndHoldsItsLease(GuardedHost a, SharedDir leases, Disk disk) {
        a.host.createDomain("demo1", disk.options()).mustSucceed();
        assertThat(a.host.runningDomains()).containsExactly("demo1");
        assertThat(leases.path().resolve("__LIBVIRT__DISKS__")).exists();
        String explained = a.host.sh("virsh dumpxml demo1 | vmguard explain --format json")
                .mustSucceed()
                .stdout();
        String resource = explained.replaceFirst("(?s).*\"resource\":\"([^\"]+)\".*", "$1");
        assertThat(leases.path().resolve(resource)).exists();
        assertThat(a.host.sh("sanlock direct dump /shared-leases/" + resource).output())
                .as("a real sanlock reads our lease")
                .contains("__LIBVIRT__DISKS__")
                .contains(resource);
        assertThat(a.status()).contains("demo1").contains(disk.label()).contains("held for");
    }

    private static void everySecondStartIsRefusedWithAMessageThatNamesTheFirst(
            GuardedHost a, GuardedHost b, Disk disk) {
        b.awaitLive(a);
        // Twice on each host: the `stopped` and `release` calls that follow a refusal must free nothing.
        for (int round = 1; round <= 2; round++) {
            for (GuardedHost host : new GuardedHost[] {a, b}) {
                String refusal = host.host
                        .createDomain("demo2", disk.options())
                        .mustFail()
                        .stderr();
                assertThat(refusal)
                        .as("round %d on %s", round, host.host.name())
                        .contains("vmguard: " + disk.label() + " is in use by domain demo1 on host node-a")
                        .contains("alive, renewed ")
                        .contains("since 20")
                        .contains("Not started. See: vmguard status");
            }
        }
        assertThat(a.host.runningDomains()).containsExactly("demo1");
        assertThat(b.host.runningDomains()).isEmpty();
    }

    private static void afterItsEndTheDiskIsFreeAtOnce(GuardedHost a, GuardedHost b, Disk disk) {
        a.host.virsh("destroy", "demo1").mustSucceed();
        long endedNanos = System.nanoTime();
        Eventually.await(
                "demo2 to start on node-b",
                TwoHosts.AT_ONCE,
                () -> b.host.createDomain("demo2", disk.options()).ok());
        report("start on the other host after a destroy", endedNanos);
        b.awaitReady();
    }

    private static void theLeaseOfAKilledHostIsFreeAfterHostDeadTimeAndNotBefore(
            GuardedHost a, GuardedHost b, Disk disk) {
        b.host.powerOff();
        long offNanos = System.nanoTime();
        String soon = a.host.createDomain("demo1", disk.options()).mustFail().stderr();
        assertThat(soon).contains("in use by domain demo2 on host node-b").contains("Not started.");
        // Once its next renewals are missed, the refusal says how long is left.
        String left = Eventually.get("a refusal with the time left", LOST.plus(SLACK), () -> {
            String text =
                    a.host.createDomain("demo1", disk.options()).mustFail().stderr();
            return text.contains("its lease can be taken in ")
                    ? java.util.Optional.of(text)
                    : java.util.Optional.empty();
        });
        assertThat(left).contains("silent for ").contains("on host node-b");
        Eventually.await(
                "demo1 to start on node-a",
                DEAD.plus(SLACK),
                () -> a.host.createDomain("demo1", disk.options()).ok());
        Duration waited = report("take-over from a killed host", offNanos);
        // Its last renewal was at most 2 T before it was killed, and was seen by node-a after it was made.
        assertThat(waited).isGreaterThan(DEAD.minusSeconds(2L * IO_TIMEOUT + 1));
        b.host.powerOn();
        b.host.awaitUp();
        b.host.sh("systemctl stop vmguard; stall-dir /shared-leases /leases /run/fault; systemctl start vmguard")
                .mustSucceed();
        b.awaitReady();
    }

    private static void aHostThatLosesItsLeaseDirectoryStopsItsDomainBeforeAnotherMayStartIt(
            GuardedHost a, GuardedHost b, Disk disk) {
        QemuProcess demo1 = a.qemu("demo1");
        a.leaseDirectory("stall");
        long stalledNanos = System.nanoTime();
        Eventually.await("demo1 to be gone from node-a", LOST.plus(DESTROY).plus(SLACK), demo1::isGone);
        Duration gone = report("a domain is gone after its lease directory stalled", stalledNanos);
        // The last renewal had begun before the stall, so 8 T from the stall is the latest.
        assertThat(gone).isLessThan(LOST.plus(DESTROY).plusSeconds(2));
        assertThat(b.host.createDomain("demo2", disk.options()).mustFail().stderr())
                .contains("in use by domain demo1 on host node-a");
        Eventually.await(
                "demo2 to start on node-b",
                DEAD.plus(SLACK),
                () -> b.host.createDomain("demo2", disk.options()).ok());
        Duration taken = report("take-over from a host without its lease directory", stalledNanos);
        assertThat(taken).isGreaterThan(gone);
        a.leaseDirectory("ok");
        a.awaitReady();
        assertThat(a.host.runningDomains())
                .as("nobody restarts it behind our back")
                .isEmpty();
        b.host.virsh("destroy", "demo2").mustSucceed();
    }

    private static void withoutItsAgentAHostStartsNothingButInModeObserve(GuardedHost a, Disk disk) {
        a.host.sh("systemctl stop vmguard").mustSucceed();
        assertThat(a.host.createDomain("demo1", disk.options()).mustFail().stderr())
                .contains("the lease agent does not answer")
                .contains("See: systemctl status vmguard");
        a.host.sh("echo 'mode: observe' >> /etc/vmguard/vmguard.yaml").mustSucceed();
        a.host.createDomain("demo1", disk.options()).mustSucceed();
        Eventually.await(
                "the hook's line in the journal",
                SOON,
                () -> a.host.sh("journalctl --sync; journalctl --no-pager -t vmguard")
                        .output()
                        .contains("let through unprotected (mode observe)"));
        a.host.virsh("destroy", "demo1").mustSucceed();
    }

    private static Duration report(String what, long sinceNanos) {
        Duration took = Duration.ofNanos(System.nanoTime() - sinceNanos);
        System.out.println(String.format(Locale.ROOT, "measured: %s: %.1f s", what, took.toMillis() / 1000.0));
        return took;
    }
}
