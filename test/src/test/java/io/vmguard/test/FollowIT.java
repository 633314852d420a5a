/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.LeasedFiles.awaitLeases;
import static io.vmguard.test.LeasedFiles.report;
import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Leases follow the disks of running domains, on two hosts with real libvirt and QEMU and the built package: disks are plugged in and out,
 * media exchanged, snapshots made, committed and copied; what another host has is sent away again.
 *
 * <p>Prints how long it took from the end of each virsh command until the leases were right. That is to be within a second. What
 * no event tells is seen by the look at the list that comes every half minute; asserted is that, for a busy machine.
 */
@NeedsTestImage
class FollowIT {
    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts("io_timeout: 3s", "hook_timeout: 5s");

    private static final Duration SOON = LeasedFiles.SOON;
    /** Five seconds for the disk to go, and some for a busy machine. */
    private static final Duration DECIDED = Duration.ofSeconds(45);

    private static final String SLOW_HOOK = "/etc/libvirt/hooks/qemu.d/90-slow";
    private static final String SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>";
    private static final String FLOPPY = "<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>";

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    // ---- hot-plug

    @Test
    void aPluggedDiskHasItsLeaseWithinASecondAndIsFreeWhenItIsUnplugged() {
        String disk = HOSTS.disk("root");
        String more = HOSTS.disk("more");
        start(a, "live", disk, SCSI);
        for (int round = 1; round <= 3; round++) {
            a.host.virsh("attach-disk", "live", more, "sdb", "--targetbus", "scsi")
                    .mustSucceed();
            awaitLeases(a, "live", "attach-disk", disk, more);
            HOSTS.assertTaken(more, "live", a);
            a.host.virsh("detach-disk", "live", "sdb").mustSucceed();
            awaitLeases(a, "live", "detach-disk", disk);
            assertFreesAtOnce(b, more);
        }
        HOSTS.assertTaken(disk, "live", a);
    }

    @Test
    void whileAnotherDomainWaitsInItsHookAnUnpluggedDiskIsFreeAllTheSame() {
        String disk = HOSTS.disk("root");
        String more = HOSTS.disk("more");
        String slow = HOSTS.disk("slow");
        start(a, "live", disk, SCSI);
        a.host.virsh("attach-disk", "live", more, "sdb", "--targetbus", "scsi").mustSucceed();
        awaitLeases(a, "live", "attach-disk", disk, more);
        a.host.sh(
                        "rm -f /run/slow-*; printf '%s\\n' '#!/bin/sh' '[ \"$1 $2\" = \"slow prepare\" ] || exit 0' 'touch /run/slow-begun'"
                                + " 'for i in $(seq 600); do [ -e /run/slow-goes-on ] && exit 0; sleep 0.1; done' > "
                                + SLOW_HOOK
                                + " && chmod 755 " + SLOW_HOOK)
                .mustSucceed();
        try {
            Running start = a.host.spawn("sh", "-c", "test-domain slow --file " + slow + " | virsh create /dev/stdin");
            Eventually.await(
                    "the hook to wait",
                    DECIDED,
                    () -> a.host.sh("test -e /run/slow-begun").ok());
            assertThat(a.host.sh("timeout 2 virsh list").ok())
                    .as("libvirt lists domains meanwhile")
                    .isFalse();
            a.host.virsh("detach-disk", "live", "sdb").mustSucceed();
            awaitLeases(a, "live", "detach-disk during a hook", disk);
            assertFreesAtOnce(b, more);
            a.host.sh("touch /run/slow-goes-on").mustSucceed();
            start.awaitEnd(DECIDED).mustSucceed();
        } finally {
            a.host.sh("touch /run/slow-goes-on; rm " + SLOW_HOOK).mustSucceed();
        }
    }

    @Test
    void aPluggedDiskOfAnotherHostIsUnpluggedAndTheDomainGoesOn() {
        String disk = HOSTS.disk("root");
        String foreign = HOSTS.disk("foreign");
        create(b, "owner", foreign).mustSucceed();
        start(a, "live", disk, SCSI);
        a.host.virsh("attach-disk", "live", foreign, "sdb", "--targetbus", "scsi")
                .mustSucceed();
        long pluggedNanos = System.nanoTime();
        Eventually.await(
                "the disk to be gone and live to run",
                DECIDED,
                () -> !a.host.virsh("domblklist", "live").stdout().contains(foreign)
                        && state(a, "live").equals("running")
                        && a.host.journal("vmguard").contains("VG-437"));
        report("unplug of a foreign disk", pluggedNanos);
        a.host.awaitJournal("vmguard", "VG-430", "is in use by domain owner on host node-b", "VG-432");
        awaitLeases(a, "live", "the conflict", disk);
        HOSTS.assertTaken(foreign, "owner", b);
        assertThat(state(b, "owner")).isEqualTo("running");
    }

    @Test
    void aDiskThatThePausedGuestCannotLetGoOfKeepsTheDomainPaused() {
        String disk = HOSTS.disk("root");
        String foreign = HOSTS.disk("stuck");
        create(b, "owner", foreign).mustSucceed();
        start(a, "live", disk, "");
        a.host.virsh("attach-disk", "live", foreign, "vdb", "--targetbus", "virtio")
                .mustSucceed();
        Eventually.await(
                "the agent to give up and pause live",
                DECIDED,
                () -> a.host.journal("vmguard").contains("VG-411")
                        && state(a, "live").equals("paused"));
        assertThat(a.statusJson()).contains("is in use by domain owner on host node-b");
        HOSTS.assertTaken(disk, "live", a);
    }

    // ---- asked before

    @Test
    void whoAsksBeforeIsToldAndAReservedDiskIsKeptForTheDomain() {
        String disk = HOSTS.disk("root");
        String foreign = HOSTS.disk("foreign");
        String more = HOSTS.disk("more");
        create(b, "owner", foreign).mustSucceed();
        start(a, "live", disk, SCSI);
        device("/root/foreign.xml", foreign);
        device("/root/more.xml", more);

        Ran no = a.vmguard("attach-check", "live", "/root/foreign.xml");
        assertThat(no.exitCode()).as(no.output()).isEqualTo(1);
        assertThat(no.stderr()).contains("is in use by domain owner on host node-b");
        assertThat(a.vmguard("attach-check", "live", "/root/more.xml", "--format", "json")
                        .mustSucceed()
                        .stdout())
                .contains("\"decision\":\"granted\"");
        assertFreesAtOnce(b, more);
        assertThat(a.vmguard("attach-check", "nobody", "/root/more.xml").exitCode())
                .isEqualTo(3);

        a.vmguard("reserve", "live", "/root/more.xml").mustSucceed();
        HOSTS.assertTaken(more, "live", a);
        a.host.virsh("attach-device", "live", "/root/more.xml", "--live").mustSucceed();
        awaitLeases(a, "live", "attach of a reserved disk", disk, more);
        a.host.virsh("detach-device", "live", "/root/more.xml", "--live").mustSucceed();
        awaitLeases(a, "live", "detach-device", disk);

        a.vmguard("reserve", "live", "/root/more.xml", "--seconds", "1").mustSucceed();
        awaitLeases(a, "live", "the end of a reservation", disk);
        assertFreesAtOnce(b, more);
    }

    private void device(String xml, String disk) {
        a.host.sh("echo \"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='" + disk
                        + "'/><target dev='sdb' bus='scsi'/></disk>\" > " + xml)
                .mustSucceed();
    }

    // ---- media

    @Test
    void anExchangedFloppyIsFollowed() {
        String disk = HOSTS.disk("root");
        String first = HOSTS.disk("first");
        String second = HOSTS.disk("second");
        start(a, "live", disk, FLOPPY);
        a.host.virsh("change-media", "live", "fda", first, "--live", "--insert").mustSucceed();
        awaitLeases(a, "live", "insert of a floppy", disk, first);
        a.host.virsh("change-media", "live", "fda", second, "--live", "--update", "--force")
                .mustSucceed();
        awaitLeases(a, "live", "change of a floppy", disk, second);
        a.host.virsh("change-media", "live", "fda", "--live", "--eject", "--force")
                .mustSucceed();
        awaitLeases(a, "live", "eject of a floppy", disk);
        assertFreesAtOnce(b, first);
    }

    // ---- snapshots and block jobs

    @Test
    void snapshotCommitAndCopyAreFollowedAndACommitIntoWhatOthersReadIsAborted() {
        String base = HOSTS.disk("base");
        String overlay = base.replace(".img", ".overlay");
        String copy = base.replace(".img", ".copy");
        start(a, "live", base, "");
        a.host.virsh(
                        "snapshot-create-as",
                        "live",
                        "one",
                        "--disk-only",
                        "--no-metadata",
                        "--diskspec",
                        "vda,file=" + overlay)
                .mustSucceed();
        awaitLeases(a, "live", "snapshot", overlay, base);

        // The former top is shared now: another host may read it, and must be spared.
        b.host.sh("qemu-img create -q -f qcow2 -F raw -b " + base + " /var/lib/libvirt/images/reader.qcow2")
                .mustSucceed();
        Eventually.await(
                "a reader of the base to be granted",
                SOON,
                () -> b.host.createDomain("reader", "--xml", qcow2("/var/lib/libvirt/images/reader.qcow2"))
                        .ok());
        // It stays ready and writes on until it is pivoted or aborted.
        a.host.virsh("blockcommit", "live", "vda", "--active").mustSucceed();
        long begunNanos = System.nanoTime();
        Eventually.await(
                "the commit to be aborted",
                SOON,
                () -> a.host.virsh("blockjob", "live", "vda").output().contains("No current block job"));
        report("abort of a commit", begunNanos);
        a.host.awaitJournal("vmguard", "VG-434", "base.img) is in use by host node-b", "in shared mode");
        awaitLeases(a, "live", "aborted commit", overlay, base);
        b.host.virsh("destroy", "reader").mustSucceed();

        Eventually.await(
                "a commit when nobody else uses the base",
                DECIDED,
                () -> a.host.virsh("blockcommit", "live", "vda", "--active", "--pivot", "--wait")
                        .ok());
        awaitLeases(a, "live", "commit and pivot", base);
        // Held all the time; whether it is exclusive again, a refusal tells.
        Eventually.await("the base to be exclusive again", SOON, () -> {
            HOSTS.assertTaken(base, "live", a);
            return true;
        });

        a.host.virsh("blockcopy", "live", "vda", copy, "--format", "raw", "--pivot", "--wait", "--transient-job")
                .mustSucceed();
        awaitLeases(a, "live", "copy and pivot", copy);
        HOSTS.assertTaken(copy, "live", a);
        assertFreesAtOnce(b, base);
    }

    // ---- names

    @Test
    void aDomainIsItsUuidWhateverItIsCalledAndWhetherOrNotItIsDefined() {
        String disk = HOSTS.disk("named");
        String other = HOSTS.disk("namesake");
        a.host.sh("test-domain named --file " + disk
                        + " | virsh define /dev/stdin && virsh domrename named renamed && virsh start renamed")
                .mustSucceed();
        awaitLeases(a, "renamed", "start of a renamed domain", disk);
        a.host.virsh("undefine", "renamed").mustSucceed();
        HOSTS.assertTaken(disk, "renamed", a);

        String uuid = a.host.virsh("domuuid", "renamed").mustSucceed().stdout().strip();
        Ran twin = b.host.createDomain("twin", "--uuid", uuid, "--file", other);
        assertThat(twin.mustFail().stderr()).contains("is in use by domain renamed on host node-a");
        b.host.createDomain("renamed", "--file", other).mustSucceed(); // by the same name another one
        assertThat(b.host.virsh("domuuid", "renamed").stdout().strip()).isNotEqualTo(uuid);
        HOSTS.assertTaken(other, "renamed", b);
        HOSTS.assertTaken(disk, "renamed", a);
        a.host.virsh("destroy", "renamed").mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    // ---- looking

    private static String qcow2(String file) {
        return "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" + file
                + "'/><target dev='vda' bus='virtio'/></disk>";
    }

    private static void start(GuardedHost host, String domain, String disk, String devices) {
        (devices.isEmpty()
                        ? host.host.createDomain(domain, "--file", disk)
                        : host.host.createDomain(domain, "--file", disk, "--xml", devices))
                .mustSucceed();
        awaitLeases(host, domain, "start", disk);
    }

    private static String state(GuardedHost host, String domain) {
        return host.host.virsh("domstate", domain).stdout().strip();
    }
}
