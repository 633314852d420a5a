/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.GuardedDomainsIT.define;
import static io.vmguard.test.LeasedFiles.SOON;
import static io.vmguard.test.LeasedFiles.awaitLeases;
import static io.vmguard.test.LeasedFiles.awaitMode;
import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Block jobs, snapshots and the rarer turns in the life of a domain, on two hosts with real libvirt 9.0, QEMU and the built package: who
 * holds what before, during and after, in which mode by the bytes on disk, and what another host is told meanwhile.
 */
@NeedsTestImage
class TransitionsIT {
    private static final SharedDir TRANSFER = SharedDir.create("transfer");

    @RegisterExtension
    static final TwoHosts HOSTS =
            new TwoHosts((host, builder) -> builder.bind(TRANSFER, "/transfer"), "io_timeout: 3s", "hook_timeout: 5s");

    private static final String IMAGES = "/var/lib/libvirt/images/";
    private static final Duration DECIDED = Duration.ofSeconds(30);

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    @AfterAll
    static void removeTransfer() {
        TRANSFER.close();
    }

    // ---- block jobs

    @Test
    void aPullGivesBackWhatTheChainIsWithoutAndNothingBefore() {
        Chain chain = chain("pull");
        chain.start();
        a.host.virsh("blockpull", "live", "vda", "--base", chain.base, "--bandwidth", "1")
                .mustSucceed();
        awaitLeases(a, "live", "the beginning of a pull", chain.all());
        awaitMode(b, chain.middle, "shared node-a");
        assertThat(create(b, "intruder", chain.middle).mustFail().stderr()).contains("is in use by");
        hurry();
        awaitLeases(a, "live", "a pull down to the base", chain.top, chain.base);
        assertFreesAtOnce(b, chain.middle);
        awaitMode(b, chain.base, "shared node-a");

        a.host.virsh("blockpull", "live", "vda", "--wait").mustSucceed();
        awaitLeases(a, "live", "a pull of everything", chain.top);
        assertFreesAtOnce(b, chain.base);
        HOSTS.assertTaken(chain.top, "live", a);
    }

    @Test
    void aCommitBetweenBackingImagesIsAbortedIfOthersReadItsBaseAndElseHasItExclusiveWhileItRuns() {
        Chain chain = chain("inner");
        chain.start();
        String reader = IMAGES + "inner-reader.qcow2";
        b.host.sh("qemu-img create -q -f qcow2 -F raw -b " + chain.base + " " + reader)
                .mustSucceed();
        b.host.createDomain("reader", "--xml", qcow2(reader)).mustSucceed();
        awaitMode(b, chain.base, "shared node-a, node-b");

        commit(chain);
        awaitNoJob();
        a.host.awaitJournal("vmguard", "VG-434", "inner-base.img) is in use by host node-b", "in shared mode");
        awaitLeases(a, "live", "an aborted commit between backing images", chain.all());
        awaitMode(b, chain.base, "shared node-a, node-b");
        assertThat(domstate("live")).isEqualTo("running");

        b.host.virsh("destroy", "reader").mustSucceed();
        awaitMode(b, chain.base, "shared node-a");
        commit(chain);
        awaitMode(b, chain.base, "exclusive node-a");
        assertThat(b.host.createDomain("reader", "--xml", qcow2(reader))
                        .mustFail()
                        .stderr())
                .contains("inner-base.img) is in use by domain live on host node-a");
        hurry();
        awaitLeases(a, "live", "a commit between backing images", chain.top, chain.base);
        awaitMode(b, chain.base, "shared node-a");
        assertFreesAtOnce(b, chain.middle);
    }

    /** Of the middle image into the base; it takes a minute. */
    private void commit(Chain chain) {
        a.host.virsh("blockcommit", "live", "vda", "--top", chain.middle, "--base", chain.base, "--bandwidth", "1")
                .mustSucceed();
    }

    @Test
    void aCopyIsLeasedWhileItIsMadeAndGivenBackWhenItIsAborted() {
        String disk = HOSTS.disk("copied");
        String copy = HOSTS.disk("copy");
        a.host.sh("truncate -s 16M " + disk + " " + copy).mustSucceed();
        create(a, "live", disk).mustSucceed();

        create(b, "owner", copy).mustSucceed();
        copy(copy);
        awaitNoJob();
        awaitLeases(a, "live", "a copy into what is somebody else's", disk);
        HOSTS.assertTaken(copy, "owner", b);
        Eventually.await("live to run", DECIDED, () -> domstate("live").equals("running"));
        b.host.virsh("destroy", "owner").mustSucceed();

        // The only way to have it before the first byte: libvirt asks nobody.
        a.host.sh("echo \"<disk type='file' device='disk'><source file='" + copy
                        + "'/><target dev='vdz' bus='virtio'/></disk>\" > /root/copy.xml")
                .mustSucceed();
        a.vmguard("reserve", "live", "/root/copy.xml").mustSucceed();
        awaitMode(b, copy, "exclusive node-a");
        Eventually.await("a copy", DECIDED, () -> {
            copy(copy);
            return true;
        });
        awaitLeases(a, "live", "the beginning of a copy", disk, copy);
        HOSTS.assertTaken(copy, "live", a);
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("blockjob", "live", "vda", "--abort").mustSucceed();
        awaitLeases(a, "live", "an aborted copy", disk);
        assertFreesAtOnce(b, copy);

        copy(copy);
        awaitLeases(a, "live", "a copy that nobody was asked about", disk, copy);
        hurry();
        Eventually.await(
                "the copy to be ready",
                DECIDED,
                () -> a.host.virsh("blockjob", "live", "vda").output().contains("100 %"));
        HOSTS.assertTaken(disk, "live", a);
        Eventually.await(
                "the pivot",
                DECIDED,
                () -> a.host.virsh("blockjob", "live", "vda", "--pivot").ok());
        awaitLeases(a, "live", "a pivot", copy);
        assertFreesAtOnce(b, disk);
        HOSTS.assertTaken(copy, "live", a);
    }

    private void copy(String to) {
        a.host.virsh(
                        "blockcopy",
                        "live",
                        "vda",
                        to,
                        "--format",
                        "raw",
                        "--reuse-external",
                        "--transient-job",
                        "--bandwidth",
                        "1")
                .mustSucceed();
    }

    // ---- snapshots

    @Test
    void anInternalSnapshotKeepsTheLeaseAndARevertTakesItAgain() {
        String disk = HOSTS.disk("internal");
        a.host.sh("qemu-img create -q -f qcow2 " + disk + " 1M").mustSucceed();
        a.host.createDomain("live", "--xml", qcow2(disk)).mustSucceed();
        snapshot("inside");
        awaitLeases(a, "live", "an internal snapshot", disk);
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("snapshot-revert", "live", "inside").mustSucceed();
        awaitLeases(a, "live", "a revert", disk);
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("snapshot-delete", "live", "inside").mustSucceed();
        awaitLeases(a, "live", "the end of a snapshot", disk);
        HOSTS.assertTaken(disk, "live", a);
    }

    @Test
    void anExternalSnapshotIsFollowedAndSoIsItsEndAndARevertThatFailsChangesNothing() {
        String disk = HOSTS.disk("snap");
        String one = IMAGES + "snap.one";
        String two = IMAGES + "snap.two";
        a.host.sh("qemu-img create -q -f qcow2 " + disk + " 16M; test-domain live --xml \"" + qcow2(disk)
                        + "\" | virsh define /dev/stdin; virsh start live")
                .mustSucceed();
        snapshot("one", "--disk-only", "--diskspec", "vda,file=" + one);
        awaitLeases(a, "live", "a disk-only snapshot", one, disk);
        awaitMode(b, one, "exclusive node-a");
        awaitMode(b, disk, "shared node-a");
        snapshot("two", "--memspec", "file=" + IMAGES + "snap.memory", "--diskspec", "vda,file=" + two);
        awaitLeases(a, "live", "a snapshot with memory", two, one, disk);
        awaitMode(b, two, "exclusive node-a");
        awaitMode(b, one, "shared node-a");

        a.host.virsh("snapshot-revert", "live", "two").mustFail(); // this libvirt cannot
        awaitLeases(a, "live", "a revert that failed", two, one, disk);
        assertThat(domstate("live")).isEqualTo("running");

        a.host.virsh("snapshot-delete", "live", "two").mustSucceed();
        awaitLeases(a, "live", "the end of a snapshot with memory", one, disk);
        awaitMode(b, one, "exclusive node-a");
        awaitMode(b, disk, "shared node-a");
        a.host.virsh("snapshot-delete", "live", "one").mustSucceed();
        awaitLeases(a, "live", "the end of a disk-only snapshot", disk);
        awaitMode(b, disk, "exclusive node-a");
        HOSTS.assertTaken(disk, "live", a);
    }

    private void snapshot(String name, String... how) {
        String[] command = new String[how.length + 3];
        command[0] = "snapshot-create-as";
        command[1] = "live";
        command[2] = name;
        System.arraycopy(how, 0, command, 3, how.length);
        a.host.virsh(command).mustSucceed();
    }

    @Test
    void aBackupLeavesNoLeaseBehind() {
        String disk = HOSTS.disk("backed");
        create(a, "live", disk).mustSucceed();
        for (int round = 1; round <= 3; round++) {
            a.host.virsh("backup-begin", "live").mustSucceed();
            Eventually.await(
                    "the end of the backup",
                    SOON,
                    () -> a.host.virsh("domjobinfo", "live").stdout().contains("None"));
            awaitLeases(a, "live", "a backup", disk);
            a.host.sh("rm " + disk + ".[0-9]*").mustSucceed();
        }
        HOSTS.assertTaken(disk, "live", a);
    }

    // ---- saves and dumps

    @Test
    void aSavedDomainIsRestoredOnAnotherHostOrOnThisOneButNotOnBoth() {
        String disk = HOSTS.disk("moved");
        create(a, "live", disk).mustSucceed();
        a.host.virsh("save", "live", "/transfer/live.state").mustSucceed();
        Eventually.await(
                "the restore on the other host",
                TwoHosts.AT_ONCE,
                () -> b.host.virsh("restore", "/transfer/live.state").ok());
        HOSTS.assertTaken(disk, "live", b);
        assertThat(a.host.virsh("restore", "/transfer/live.state").mustFail().stderr())
                .contains("is in use by domain live on host node-b");
        assertThat(b.host.runningDomains()).containsExactly("live");
    }

    @Test
    void aManagedSaveIsFreeAndWhereItsStateIsTakenItsDomainOwns() {
        String disk = HOSTS.disk("parked");
        define(a, "live", disk);
        a.host.virsh("start", "live").mustSucceed();
        a.host.virsh("managedsave", "live").mustSucceed();
        assertFreesAtOnce(b, disk);
        a.host.sh("cp /var/lib/libvirt/qemu/save/live.save /transfer/").mustSucceed();
        b.host.virsh("restore", "/transfer/live.save").mustSucceed();
        HOSTS.assertTaken(disk, "live", b);
        assertThat(a.host.virsh("start", "live").mustFail().stderr())
                .contains("is in use by domain live on host node-b");
        b.host.virsh("destroy", "live").mustSucceed();
        Eventually.await(
                "the start from what was saved",
                DECIDED,
                () -> a.host.virsh("start", "live").ok());
        HOSTS.assertTaken(disk, "live", a);
    }

    @Test
    void aDumpLeavesTheLeaseWithTheDomainUnlessItEndsIt() {
        String disk = HOSTS.disk("dumped");
        create(a, "live", disk).mustSucceed();
        a.host.virsh("dump", "live", IMAGES + "live.core", "--live", "--memory-only")
                .mustSucceed();
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("dump", "live", IMAGES + "live.core", "--memory-only").mustSucceed();
        HOSTS.assertTaken(disk, "live", a);
        assertThat(domstate("live")).isEqualTo("running");
        a.host.virsh("dump", "live", IMAGES + "live.core", "--crash", "--memory-only")
                .mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    // ---- what a guest does to itself

    @Test
    void aGuestThatPanicsAndIsPreservedKeepsItsLeaseUntilItIsEnded() {
        // mov dx, 0x505; mov al, 1; out dx, al: the port of the panic device
        String disk = guest("panics", "\\272\\005\\005\\260\\001\\356\\353\\376");
        a.host.sh(
                        "test-domain live --file " + disk
                                + " --xml \"<panic model='isa'/>\" | sed 's/<on_crash>destroy/<on_crash>preserve/' | virsh create /dev/stdin")
                .mustSucceed();
        Eventually.await("the guest to panic", SOON, () -> domstate("live").equals("crashed"));
        awaitLeases(a, "live", "a crash", disk);
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("destroy", "live").mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    @Test
    void aResetAndARebootAreOneRunAndARebootThatEndsTheDomainIsItsEnd() {
        // mov al, 0xfe; out 0x64, al: the keyboard controller resets the machine, at each boot
        String disk = guest("reboots", "\\260\\376\\346\\144\\353\\376");
        create(a, "live", disk).mustSucceed();
        String pid = a.host.qemuPid("live");
        a.host.virsh("reset", "live").mustSucceed();
        awaitLeases(a, "live", "resets", disk);
        HOSTS.assertTaken(disk, "live", a);
        assertThat(a.host.qemuPid("live")).isEqualTo(pid);
        assertThat(a.host.virsh("event", "--event", "reboot", "--timeout", "60").output())
                .contains("events received: 1");
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("set-lifecycle-action", "live", "reboot", "destroy").mustSucceed();
        Eventually.await(
                "the next reboot to end it", SOON, () -> a.host.runningDomains().isEmpty());
        assertFreesAtOnce(b, disk);
    }

    @Test
    void aGuestThatSleepsInItsMemoryKeepsItsLease() {
        // mov dx, 0x604; mov ax, 0x2400; out dx, ax: suspend to RAM
        String disk = guest("sleeps", "\\272\\004\\006\\270\\000\\044\\357\\353\\376");
        create(a, "live", disk).mustSucceed();
        Eventually.await("the guest to sleep", SOON, () -> domstate("live").equals("pmsuspended"));
        HOSTS.assertTaken(disk, "live", a);
        a.host.virsh("dompmwakeup", "live").mustSucceed();
        HOSTS.assertTaken(disk, "live", a);
        awaitLeases(a, "live", "a sleep", disk);
    }

    @Test
    void aGuestThatSleepsOnItsDiskLeavesItsLeaseToWhicheverHostStartsItFirst() {
        // mov dx, 0x604; mov ax, 0x2800; out dx, ax: suspend to disk, as soon as it has booted
        String disk = guest("hibernates", "\\272\\004\\006\\270\\000\\050\\357\\353\\376");
        a.host.sh("test-domain live --file " + disk
                        + " | sed \"s|<on_poweroff>|<pm><suspend-to-disk enabled='yes'/></pm><on_poweroff>|\""
                        + " | virsh define /dev/stdin")
                .mustSucceed();
        Running told =
                a.host.spawn("stdbuf", "-oL", "virsh", "event", "--event", "lifecycle", "--loop", "--timeout", "60");
        Eventually.await("virsh to listen", DECIDED, () -> {
            a.host.virsh("destroy", "live");
            a.host.virsh("start", "live", "--paused").mustSucceed();
            return told.stdout().contains("Started");
        });
        a.host.virsh("resume", "live").mustSucceed();
        Eventually.await("its QEMU to have ended", SOON, () -> !a.hasQemu("live"));
        Eventually.await(
                "a start on the other host",
                TwoHosts.AT_ONCE,
                () -> create(b, "live", disk).ok());
        Eventually.await("the event", SOON, () -> told.stdout().contains("PMSuspended Disk"));
        HOSTS.assertTaken(disk, "live", b);
        assertThat(a.host.virsh("start", "live").mustFail().stderr())
                .contains("is in use by domain live on host node-b");
    }

    /** A disk whose boot sector is this. */
    private String guest(String name, String octal) {
        String disk = HOSTS.disk(name);
        a.host.sh("printf '" + octal + "' | dd conv=notrunc of=" + disk
                        + "; printf '\\125\\252' | dd conv=notrunc bs=1 seek=510 of=" + disk)
                .mustSucceed();
        return disk;
    }

    // ---- while no agent runs

    @Test
    void aDiskAndAMediumThatLeaveWhileNoAgentRunsAreGivenBackByTheNextOne() {
        String stays = HOSTS.disk("stays");
        String leaves = HOSTS.disk("leaves");
        String medium = HOSTS.disk("medium");
        String devices = "<controller type='scsi' index='0' model='virtio-scsi'/><disk type='file' device='floppy'>"
                + "<driver name='qemu' type='raw'/><source file='" + medium + "'/><target dev='fda' bus='fdc'/></disk>";
        a.host.createDomain("live", "--file", stays, "--xml", devices).mustSucceed();
        a.host.virsh("attach-disk", "live", leaves, "sdb", "--targetbus", "scsi")
                .mustSucceed();
        awaitLeases(a, "live", "attach-disk", stays, leaves, medium);
        a.host.sh("systemctl stop vmguard; virsh detach-disk live sdb; "
                        + "virsh change-media live fda --eject --live --force; systemctl start vmguard")
                .mustSucceed();
        awaitLeases(a, "live", "what happened while no agent ran", stays);
        assertFreesAtOnce(b, leaves);
        assertFreesAtOnce(b, medium);
        HOSTS.assertTaken(stays, "live", a);
    }

    // ---- at the same moment

    @Test
    void aStartThatIsRefusedForOneDiskRefusesNoOtherStartOfThisHost() {
        String far = HOSTS.disk("far");
        String near = HOSTS.disk("near");
        create(b, "holder", far).mustSucceed();
        define(a, "both", near, far);
        define(a, "one", near);
        for (int round = 1; round <= 6; round++) {
            List<String> said = race(a, System.currentTimeMillis() + 400, "both", "one")
                    .awaitEnd(DECIDED)
                    .stdout()
                    .lines()
                    .toList();
            assertThat(said).as("round %d", round).contains("won one").doesNotContain("won both");
            a.host.virsh("destroy", "one").mustSucceed();
            Eventually.await(
                    "near to be free",
                    TwoHosts.AT_ONCE,
                    () -> LeasedFiles.files(a, "one").isEmpty());
        }
    }

    /** Clients of libvirt that start a domain each at a time of the clock; prints {@code won NAME}, or {@code lost NAME} and the error. */
    private static Running race(GuardedHost host, long millis, String... domains) {
        String script = "until [ $(date +%s%3N) -ge " + millis + " ]; do sleep 0.01; done; for d in "
                + String.join(" ", domains)
                + "; do { said=$(virsh -q start $d 2>&1) && echo won $d || echo lost $d $said; } & done; wait";
        return host.host.spawn("sh", "-c", script);
    }

    // ---- looking and doing

    private record Chain(GuardedHost host, String base, String middle, String top) {
        String[] all() {
            return new String[] {top, middle, base};
        }

        void start() {
            host.host.createDomain("live", "--xml", qcow2(top)).mustSucceed();
            awaitLeases(host, "live", "start", all());
        }
    }

    /** Three images with 48 MiB in the middle one, which take a slow job most of a minute; the base is on both hosts. */
    private Chain chain(String name) {
        String base = HOSTS.disk(name + "-base");
        Chain chain = new Chain(a, base, HOSTS.disk(name + "-middle"), HOSTS.disk(name + "-top"));
        a.host.sh("truncate -s 64M " + base + " && qemu-img create -q -f qcow2 -F raw -b " + base + " " + chain.middle
                        + " && qemu-io -c 'write -q 0 48M' " + chain.middle
                        + " && qemu-img create -q -f qcow2 -F qcow2 -b "
                        + chain.middle + " " + chain.top)
                .mustSucceed();
        return chain;
    }

    private static String qcow2(String file) {
        return "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" + file
                + "'/><target dev='vda' bus='virtio'/></disk>";
    }

    /** Lets a slow job go on at full speed. */
    private void hurry() {
        a.host.virsh("blockjob", "live", "vda", "1000").mustSucceed();
    }

    private void awaitNoJob() {
        Eventually.await(
                "the job to be aborted",
                SOON,
                () -> a.host.virsh("blockjob", "live", "vda").output().contains("No current block job"));
    }

    private String domstate(String domain) {
        return a.host.virsh("domstate", domain).stdout().strip();
    }
}
