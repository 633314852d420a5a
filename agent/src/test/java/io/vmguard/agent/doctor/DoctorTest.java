/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.config.ConfigLoader;
import io.vmguard.agent.testing.RecordedHost;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The doctor itself: limits, failures, the worst of all; and what its adapters make of recorded texts. */
@Timeout(60)
class DoctorTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    private static Examination<JavaCheck.Facts> java(int feature) {
        return new Examination<>(new JavaCheck(), LONG, () -> new JavaCheck.Facts(feature, "v", "OpenJDK VM", "64"));
    }

    @Test
    void theReportIsAsBadAsItsWorstCheckAndThatIsTheExitCode() throws Exception {
        DoctorReport good = new Doctor(List.of(java(17))).examine();
        assertThat(good.verdict()).isEqualTo("green");
        assertThat(good.exitCode()).isZero();
        DoctorReport bad = new Doctor(List.of(java(11), java(17))).examine();
        assertThat(bad.verdict()).isEqualTo("red");
        assertThat(bad.exitCode()).isEqualTo(2);
        assertThat(new ObjectMapper()
                        .readTree(new ObjectMapper().writeValueAsString(bad))
                        .fieldNames())
                .toIterable()
                .containsExactly("format", "verdict", "checks");
    }

    @Test
    void aProbeThatHangsIsCannotTellWithinItsLimitAndNeverGreen() throws Exception {
        CountDownLatch never = new CountDownLatch(1);
        Examination<JavaCheck.Facts> hangs = new Examination<>(new JavaCheck(), Duration.ofMillis(200), () -> {
            never.await();
            throw new IllegalStateException("not reached");
        });
        DoctorReport report = new Doctor(List.of(hangs, java(17))).examine();
        assertThat(report.exitCode()).isEqualTo(1);
        assertThat(report.checks().get(0).seen()).startsWith("cannot tell: no answer within");
        assertThat(report.checks().get(1).verdict()).isEqualTo("green");
        never.countDown();
    }

    @Test
    void aProbeThatFailsSaysWhy() throws Exception {
        Examination<JavaCheck.Facts> fails = new Examination<>(new JavaCheck(), LONG, () -> {
            throw new IOException("permission denied");
        });
        assertThat(new Doctor(List.of(fails)).examine().checks())
                .singleElement()
                .satisfies(finding -> assertThat(finding.verdict() + " " + finding.seen())
                        .isEqualTo("yellow cannot tell: permission denied"));
    }

    @Test
    void aProgramThatHangsIsKilledAtItsLimit() {
        assertThat(org.assertj.core.api.Assertions.catchThrowable(
                        () -> new SystemCommands().run(Duration.ofMillis(300), List.of("sleep", "600"))))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("has not answered");
        assertThat(org.assertj.core.api.Assertions.catchThrowable(
                        () -> new SystemCommands().run(LONG, List.of("/no/such/program"))))
                .hasMessage("/no/such/program cannot be run: is it installed?");
    }

    @Test
    void aProgramsOutputAndExitCodeAreGivenBack() throws Exception {
        assertThat(new SystemCommands().run(LONG, List.of("sh", "-c", "echo a; echo b >&2; exit 3")))
                .isEqualTo(new Commands.Result(3, "a\nb\n"));
    }

    @Test
    void libvirtsFilesAreReadAsLibvirtReadsThem() {
        LibvirtConf conf = LibvirtConf.parse(
                "# lock_manager = \"lockd\"\n  lock_manager = \"sanlock\"\nhost_id = 7 # mine\nlist = [ \"a\", \"b\" ]\nuser='x'\n");
        assertThat(conf.value("lock_manager")).hasValue("sanlock");
        assertThat(conf.value("host_id")).hasValue("7");
        assertThat(conf.value("user")).hasValue("x");
        assertThat(conf.value("list")).isEmpty();
    }

    @Test
    void cephUsersAreFoundInDomainsAndTheirKeysAreNot() throws Exception {
        String xml =
                "<disk><source protocol='rbd' name='p/i'/><auth username='libvirt'>\n  <secret type='ceph' uuid='5d3f'/></auth></disk>"
                        + "<disk><auth username=\"other\"><secret usage=\"x\" type=\"ceph\"/></auth></disk>"
                        + "<disk><auth username='me'><secret type='iscsi' usage='t'/></auth></disk>";
        assertThat(LibvirtSide.cephUsersIn(xml)).isEqualTo(Map.of("libvirt", "5d3f", "other", "x"));
        RecordedHost host = new RecordedHost().and("== /etc/libvirt/qemu/vm1.xml\n" + xml + "\n");
        CephCapsCheck.Facts facts = new LibvirtSide(
                        host,
                        (limit, command) -> command.contains("client.libvirt")
                                ? new Commands.Result(
                                        0,
                                        "[{\"entity\":\"client.libvirt\",\"key\":\"SECRET==\",\"caps\":{\"mon\":\"profile rbd\"}}]")
                                : new Commands.Result(13, "Error EACCES: access denied\n"),
                        "qemu:///system")
                .cephUsers();
        assertThat(facts.users())
                .containsExactly(
                        new CephCapsCheck.User("libvirt", "5d3f", "profile rbd", ""),
                        new CephCapsCheck.User("other", "x", "", "Error EACCES: access denied"));
        assertThat(facts.toString()).doesNotContain("SECRET");
    }

    @Test
    void theProbeIsEmulatedWhereKvmIsThereAndOfNoUse() throws Exception {
        List<String> types = new ArrayList<>();
        Commands libvirt = (limit, command) -> {
            String xml;
            try {
                xml = Files.readString(Path.of(command.get(command.size() - 1)));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            types.add(xml.contains("type='kvm'") ? "kvm" : "qemu");
            return new Commands.Result(
                    1,
                    xml.contains("type='kvm'")
                            ? "error: invalid argument: could not get preferred machine for /usr/bin/qemu-system-x86_64 type=kvm"
                            : "error: Hook script execution failed: vmguard: asked");
        };
        RecordedHost host = new RecordedHost().and("== other /dev/kvm\n");
        HookActiveCheck.Facts facts = new LibvirtSide(host, libvirt, "qemu:///system").hookActive(true, "n", null);
        assertThat(types).containsExactly("kvm", "qemu");
        assertThat(facts.asked()).hasValueSatisfying(said -> assertThat(said).contains("vmguard: asked"));
    }

    @Test
    void theProbeOfTheHookCannotStart() {
        String xml = HookProbe.xml("vmguard-doctor-1", new java.util.UUID(1, 2), false);
        assertThat(xml).contains("<domain type='qemu'>", "/var/lib/vmguard/.there-is-no-such-disk");
        assertThat(Path.of("/var/lib/vmguard/.there-is-no-such-disk")).doesNotExist();
    }

    @Test
    void hostCardsAreLeftOnceAndReadByOthers(@TempDir Path dir) throws IOException {
        String machine = HostCard.digest("0123456789abcdef0123456789abcdef");
        HostCard.leave(dir, "0123abcd-4567cdef.node-a", machine);
        HostCard.leave(dir, "0123abcd-ffffffff+20.node-a", machine);
        HostCard.leave(dir, "89abcdef-00000000.no/de\n", "x");
        Files.writeString(dir.resolve(".vmguard-host.broken"), "hello");
        assertThat(MachineSide.cards(dir))
                .containsExactlyInAnyOrder(
                        new CloneCheck.Card("0123abcd-.node-a", machine), new CloneCheck.Card("89abcdef-.no_de_", "x"));
        assertThat(HostCard.digest("another")).isNotEqualTo(machine).hasSize(32);
    }

    /** As auditd writes them: SELinux in small letters, AppArmor in capitals; the file is older than this boot. */
    @Test
    void denialsOfEarlierBootsAreOver(@TempDir Path dir) throws Exception {
        Path audit = Files.writeString(dir.resolve("audit.log"), """
                type=AVC msg=audit(1700000000.123:7): avc:  denied  { execute } for pid=1 comm="virtqemud" name="50-vmguard"
                type=AVC msg=audit(1800000000.123:8): avc:  denied  { execute } for pid=1 comm="virtqemud" name="50-vmguard"
                type=AVC msg=audit(1800000001.123:9): apparmor="DENIED" operation="exec" name="/usr/share/vmguard/qemu-hook"
                type=USER_LOGIN msg=audit(1800000002.123:9): res=success
                """);
        RecordedHost host = new RecordedHost().and("== /proc/stat\ncpu  1 2 3\nbtime 1799999990\nprocesses 5\n");
        List<String> lines = new MachineSide(host, (limit, command) -> new Commands.Result(1, ""))
                .denials(audit)
                .lines();
        assertThat(lines).hasSize(2).allSatisfy(line -> assertThat(line).contains("audit(180000000"));
        assertThat(new DenialsCheck().judge(new DenialsCheck.Facts(lines)).verdict())
                .isEqualTo(Verdict.RED);
    }

    /** Lines of mounts that a Linux 6.1 has made with its defaults; its CephFS client was shut out after half a minute. */
    @ParameterizedTest
    @CsvSource({
        "nfs, 10s, YELLOW, repeated after 60 s",
        "nfs, 4s, RED, after 32 s leases are lost",
        "ceph, 4s, RED, shut out before its leases are lost (32 s)",
        "ceph, 2s, YELLOW, without recover_session=clean",
        "fuse, 10s, YELLOW, may not ask"
    })
    void theTimesOfAMountAreThoseThatTheKernelTells(
            String kind, String ioTimeout, Verdict verdict, String seen, @TempDir Path dir) throws Exception {
        String mount = Map.of(
                        "nfs",
                        "nfs4 filer:/one rw,vers=4.1,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,"
                                + "sec=sys,clientaddr=10.1.2.3,local_lock=none,addr=10.1.2.3",
                        "ceph",
                        "ceph 127.0.0.1:39977:/ rw,name=admin,secret=<hidden>,acl",
                        "fuse",
                        "fuse.ceph-fuse ceph-fuse rw,user_id=0,group_id=0,allow_other")
                .get(kind);
        RecordedHost host =
                new RecordedHost().and("== /proc/self/mountinfo\n30 1 0:24 / / rw,relatime - " + mount + "\n");
        if (kind.equals("ceph")) {
            host.and(
                    "== /sys/kernel/debug/ceph/7f0a7e52-1111-4222-8333-444455556666.client4205/mdsmap\n"
                            + "epoch 5\nroot 0\nmax_mds 1\nsession_timeout 60\nsession_autoclose 30\nmds0\t(1)127.0.0.1:6805\t(up:active)\n");
        }
        Path config = Files.writeString(
                dir.resolve("vmguard.yaml"), "lease_dir: " + dir + "\nio_timeout: " + ioTimeout + "\n");
        Commands none = (limit, command) -> new Commands.Result(127, "");
        Judgement judgement =
                new StorageTimeoutsCheck().judge(new LeaseSide(ConfigLoader.load(config), host, none).timeouts(true));
        assertThat(judgement.verdict()).as(judgement.seen()).isEqualTo(verdict);
        assertThat(judgement.seen()).contains(seen);
    }

    @Test
    void multipathIsFoundBelowALogicalVolume(@TempDir Path dir) throws Exception {
        RecordedHost host = new RecordedHost()
                .and("== /proc/self/mountinfo\n1 0 253:2 / / rw - gfs2 /dev/vg/leases rw\n"
                        + "== /sys/dev/block/253:2/dm/uuid\nLVM-x\n== /sys/dev/block/253:2/slaves/dm-0\n\n"
                        + "== /sys/class/block/dm-0/dev\n253:0\n== /sys/dev/block/253:0/dm/uuid\nmpath-3600\n"
                        + "== /sys/dev/block/253:0/dm/name\nmpatha\n");
        Path config = Files.writeString(dir.resolve("vmguard.yaml"), "lease_dir: " + dir + "\n");
        Commands commands = (limit, command) -> new Commands.Result(
                0, command.contains("maps") ? "mpathb on\nmpatha 12 chk\n" : "defaults {\n\tpolling_interval 7\n}\n");
        StorageTimeoutsCheck.Facts facts = new LeaseSide(ConfigLoader.load(config), host, commands).timeouts(true);
        assertThat(facts.queueing()).isEqualTo("12 chk");
        assertThat(facts.pollSeconds()).isEqualTo(7);
        assertThat(facts.fileSystem()).isEqualTo("gfs2");
    }
}
