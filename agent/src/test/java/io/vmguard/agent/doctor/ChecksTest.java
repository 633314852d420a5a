/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.config.ConfigLoader;
import io.vmguard.agent.doctor.StorageTimeoutsCheck.CephTimes;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.status.StatusReport.Host;
import io.vmguard.agent.testing.RecordedHost;
import io.vmguard.agent.testing.SampleReport;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each rule of the doctor on recorded facts: what makes it green, yellow and red. */
class ChecksTest {
    private static final Duration TEN = Duration.ofSeconds(10);
    private static final Duration SIXTY = Duration.ofSeconds(60);
    private static final StatusReport READY = SampleReport.of(true);
    private static final String ID = "0123456789abcdef0123456789abcdef";
    private static final String NAME = "0123abcd-4567cdef.node-a";

    private static <F> Arguments of(Verdict verdict, Check<F> check, F facts, String word) {
        return Arguments.of(verdict, check.name(), check.judge(facts), word);
    }

    private static Host host(long id, String name, String node, String status, boolean self) {
        return new Host(id, 1, node, name, status, self, 2.0, null);
    }

    private static StatusReport.Domain domain(boolean held, String... problems) {
        return new StatusReport.Domain(
                "vm1",
                "u1",
                "running",
                1,
                List.of(new StatusReport.Lease("vda", "f", "r", held, 0, 0)),
                "poweroff",
                List.of(problems));
    }

    private static StatusReport with(List<StatusReport.Domain> domains, List<String> warnings, String mode) {
        StatusReport.Agent a = READY.agent();
        return new StatusReport(
                1,
                new StatusReport.Agent(
                        a.version(), a.pid(), mode, a.node(), a.uptimeSeconds(), a.granted(), a.refused()),
                true,
                READY.lockspace(),
                READY.watchdog(),
                READY.libvirt(),
                READY.hook(),
                READY.hosts(),
                domains,
                READY.worstCase(),
                warnings);
    }

    private static AgentCheck.Facts agent(StatusReport status, String dir, String mode) {
        return new AgentCheck.Facts(Optional.of(status), "", dir, "__LIBVIRT__DISKS__", 10, mode);
    }

    private static SharingCheck.Facts shared(String type, List<Host> hosts, String... peers) {
        return new SharingCheck.Facts("/leases", type, "nfs:server/leases/L", hosts, "agent", List.of(peers));
    }

    private static LatencyCheck.Facts latency(double millis, String failure) {
        List<Double> all = new ArrayList<>(Collections.nCopies(99, 1.0));
        all.add(millis);
        return new LatencyCheck.Facts(512, true, failure.isEmpty() ? all : List.of(), failure, TEN);
    }

    private static StorageTimeoutsCheck.Facts timeouts(String type, String options, String queueing, boolean reset) {
        return new StorageTimeoutsCheck.Facts(type, options, queueing, 5, Optional.empty(), reset, TEN, SIXTY);
    }

    private static StorageTimeoutsCheck.Facts ceph(String options, long timeout, long autoclose) {
        return new StorageTimeoutsCheck.Facts(
                "ceph", options, "", 5, Optional.of(new CephTimes(timeout, autoclose)), true, TEN, SIXTY);
    }

    private static HookFileCheck.Facts hook(String mode, String owner) {
        return new HookFileCheck.Facts(Optional.of("/etc/libvirt/hooks/qemu.d/50-vmguard"), List.of(), mode, owner);
    }

    private static HookActiveCheck.Facts asked(String answer) {
        return new HookActiveCheck.Facts(Optional.of(answer), "", 100L, 50L, null);
    }

    private static HookActiveCheck.Facts times(Long libvirt, Long hook, Long call) {
        return new HookActiveCheck.Facts(Optional.empty(), "virsh cannot be run", libvirt, hook, call);
    }

    private static LockManagerCheck.Facts manager(String manager, String leaseDir, boolean compat) {
        return new LockManagerCheck.Facts(manager, "/var/lib/libvirt/sanlock", leaseDir, compat);
    }

    private static WatchdogCheck.Device device(String holder, Long most) {
        return new WatchdogCheck.Device("/dev/watchdog0", "iTCO_wdt", 30L, most, true, holder);
    }

    private static WatchdogCheck.Facts watchdog(String choice, boolean wdmd, WatchdogCheck.Device... devices) {
        return new WatchdogCheck.Facts(choice, List.of(devices), wdmd, false, "", "", false, 60);
    }

    private static CloneCheck.Facts clone(String id, List<Host> hosts, CloneCheck.Card... cards) {
        return new CloneCheck.Facts(id, "digest", NAME, hosts, List.of(cards));
    }

    private static FreeSpaceCheck.Facts space(long mib) {
        return new FreeSpaceCheck.Facts(
                List.of(new FreeSpaceCheck.Place("lease_dir", "/l", mib << 20, 1L << 40, 8 << 20, 256 << 20)));
    }

    private static CephCapsCheck.Facts caps(String mon, String unknown) {
        return new CephCapsCheck.Facts(List.of(new CephCapsCheck.User("libvirt", "5d3f", mon, unknown)));
    }

    private static DomainsCheck.Facts domains(StatusReport status, DomainsCheck.Running... running) {
        return new DomainsCheck.Facts(List.of(running), Optional.ofNullable(status));
    }

    private static DomainsCheck.Running running(List<DomainsCheck.Hole> holes, List<DomainsCheck.Hole> refusals) {
        return new DomainsCheck.Running("vm1", "u1", 2, holes, refusals);
    }

    static Stream<Arguments> judgements() {
        Verdict green = Verdict.GREEN;
        Verdict yellow = Verdict.YELLOW;
        Verdict red = Verdict.RED;
        List<Host> alone = List.of(host(1, NAME, "node-a", "live", true));
        List<Host> two = List.of(alone.get(0), host(2, "89abcdef-01234567.node-b", "node-b", "live", false));
        List<Host> copied = List.of(alone.get(0), host(2, "0123abcd-99999999.node-b", "node-b", "live", false));
        DomainsCheck.Running whole = running(List.of(new DomainsCheck.Hole("hda", "read-only: cdrom")), List.of());
        return Stream.of(
                of(green, new ConfigurationCheck(), new ConfigurationCheck.Facts("/c.yaml", true, List.of()), "good"),
                of(
                        green,
                        new ConfigurationCheck(),
                        new ConfigurationCheck.Facts("/c.yaml", false, List.of()),
                        "default"),
                of(
                        red,
                        new ConfigurationCheck(),
                        new ConfigurationCheck.Facts("/c.yaml", true, List.of("/c.yaml:3: unknown key")),
                        ":3"),
                of(
                        green,
                        new AgentCheck(),
                        agent(with(List.of(), List.of(), "enforce"), "/var/lib/vmguard/leases", "enforce"),
                        "SIGKILL 85 s after the last renewal, in 82 s from now"),
                of(
                        yellow,
                        new AgentCheck(),
                        agent(
                                with(List.of(), List.of("the deadman does not run"), "enforce"),
                                "/var/lib/vmguard/leases",
                                "enforce"),
                        "deadman"),
                of(
                        yellow,
                        new AgentCheck(),
                        agent(with(List.of(), List.of(), "observe"), "/var/lib/vmguard/leases", "observe"),
                        "3 starts would have been refused"),
                of(
                        yellow,
                        new AgentCheck(),
                        agent(with(List.of(), List.of(), "enforce"), "/elsewhere", "enforce"),
                        "lease_dir is /var/lib/vmguard/leases in the running agent"),
                of(
                        red,
                        new AgentCheck(),
                        agent(SampleReport.of(false), "/var/lib/vmguard/leases", "enforce"),
                        "no such directory"),
                of(
                        red,
                        new AgentCheck(),
                        new AgentCheck.Facts(Optional.empty(), "Connection refused", "/l", "L", 10, "enforce"),
                        "Connection refused"),
                of(green, new SharingCheck(), shared("nfs4", two), "renewals of node-b are seen"),
                of(green, new SharingCheck(), shared("nfs4", two, "node-b"), "nfs:server/leases/L"),
                of(green, new SharingCheck(), shared("ext4", two), "node-b"),
                of(yellow, new SharingCheck(), shared("nfs4", alone), "no other host"),
                of(yellow, new SharingCheck(), shared("xfs", alone), "a file system of one host"),
                of(red, new SharingCheck(), shared("nfs4", two, "node-b", "node-c"), "no renewal of node-c"),
                of(red, new SharingCheck(), shared("tmpfs", two), "memory"),
                of(red, new SharingCheck(), shared(SharingCheck.MISSING, List.of()), "does not exist"),
                of(green, new FileSystemCheck(), new FileSystemCheck.Facts("/l", "nfs4", "s:/l"), "nfs4"),
                of(yellow, new FileSystemCheck(), new FileSystemCheck.Facts("/l", "xfs", "/dev/sda1"), "one host"),
                of(yellow, new FileSystemCheck(), new FileSystemCheck.Facts("/l", "cifs", "//s/l"), "not tried"),
                of(
                        red,
                        new FileSystemCheck(),
                        new FileSystemCheck.Facts("/l", "fuse.sshfs", "s:/l"),
                        "cache of its own"),
                of(red, new FileSystemCheck(), new FileSystemCheck.Facts("/l", "tmpfs", "tmpfs"), "next boot"),
                of(
                        green,
                        new LatencyCheck(),
                        latency(20, ""),
                        "p50 1.0 ms, p99 1.0 ms, max 20.0 ms; io_timeout is 10 s, from 1 s on would do"),
                of(yellow, new LatencyCheck(), latency(1500, ""), "from 15 s on would do"),
                of(red, new LatencyCheck(), latency(12_000, ""), "no value would do"),
                of(
                        red,
                        new LatencyCheck(),
                        latency(0, "Invalid argument"),
                        "direct I/O of 512 bytes is not possible: Invalid argument"),
                of(
                        green,
                        new StorageTimeoutsCheck(),
                        timeouts("nfs4", "rw,soft,timeo=50,retrans=3", "", false),
                        "timeo=50"),
                of(green, new StorageTimeoutsCheck(), timeouts("nfs4", "rw,hard,timeo=50,retrans=3", "", true), "hard"),
                of(
                        yellow,
                        new StorageTimeoutsCheck(),
                        timeouts("nfs4", "rw,hard,timeo=50,retrans=3", "", false),
                        "cannot be killed"),
                of(
                        yellow,
                        new StorageTimeoutsCheck(),
                        timeouts("nfs", "rw,soft,timeo=600,retrans=2", "", true),
                        "repeated after 60 s"),
                of(
                        red,
                        new StorageTimeoutsCheck(),
                        timeouts("nfs", "rw,soft,timeo=900,retrans=2", "", true),
                        "after 80 s leases are lost"),
                of(
                        green,
                        new StorageTimeoutsCheck(),
                        ceph("rw,recover_session=clean,osd_request_timeout=30", 60, 300),
                        "session_timeout 60 s"),
                of(yellow, new StorageTimeoutsCheck(), ceph("rw,osd_request_timeout=30", 60, 300), "stays dead"),
                of(
                        yellow,
                        new StorageTimeoutsCheck(),
                        ceph("rw,recover_session=clean", 200, 300),
                        "free later than its leases (140 s)"),
                of(
                        yellow,
                        new StorageTimeoutsCheck(),
                        timeouts("ceph", "rw,recover_session=clean", "", true),
                        "may not ask"),
                of(
                        red,
                        new StorageTimeoutsCheck(),
                        ceph("rw,recover_session=clean", 30, 70),
                        "shut out before its leases are lost"),
                of(green, new StorageTimeoutsCheck(), timeouts("device", "", "off", false), "fails at once"),
                of(green, new StorageTimeoutsCheck(), timeouts("device", "", "6 chk", false), "for 30 s"),
                of(yellow, new StorageTimeoutsCheck(), timeouts("device", "", "on", true), "for ever"),
                of(red, new StorageTimeoutsCheck(), timeouts("device", "", "on", false), "nothing resets this machine"),
                of(red, new StorageTimeoutsCheck(), timeouts("device", "", "60 chk", false), "for 300 s"),
                of(green, new StorageTimeoutsCheck(), timeouts("xfs", "rw", "", false), "no requests"),
                of(green, new HookFileCheck(), hook("rwxr-xr-x", "root"), "50-vmguard"),
                of(yellow, new HookFileCheck(), hook("rwxrwxr-x", "root"), "can be changed by others"),
                of(yellow, new HookFileCheck(), hook("rwxr-xr-x", "alice"), "alice"),
                of(red, new HookFileCheck(), hook("rw-r--r--", "root"), "not executable"),
                of(
                        red,
                        new HookFileCheck(),
                        new HookFileCheck.Facts(Optional.empty(), List.of("/etc/libvirt/hooks/qemu.d"), "", ""),
                        "no hook of vmguard"),
                of(
                        green,
                        new HookActiveCheck(),
                        asked(
                                "error: Failed to create domain\nerror: Hook script execution failed: internal error: Child process unexpected exit status 1: vmguard: the probe reached the agent, and nothing is started for it"),
                        "called the hook"),
                of(
                        red,
                        new HookActiveCheck(),
                        asked(
                                "error: Hook script execution failed: unexpected exit status 1: vmguard: x: the lease agent does not answer (no socket at /run): not started"),
                        "does not answer"),
                of(
                        red,
                        new HookActiveCheck(),
                        asked("error: Hook script execution failed: Permission denied"),
                        "another hook"),
                of(
                        red,
                        new HookActiveCheck(),
                        asked(
                                "error: Cannot access storage file '/var/lib/vmguard/.there-is-no-such-disk': No such file or directory"),
                        "did not call the hook"),
                of(
                        yellow,
                        new HookActiveCheck(),
                        asked(
                                "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory"),
                        "did not get as far"),
                of(green, new HookActiveCheck(), times(100L, 150L, 160L), "was called by the libvirt that runs now"),
                of(yellow, new HookActiveCheck(), times(100L, 50L, 60L), "no call of it has been seen"),
                of(yellow, new HookActiveCheck(), times(null, 50L, 60L), "no libvirt daemon"),
                of(red, new HookActiveCheck(), times(100L, 150L, null), "younger"),
                of(red, new HookActiveCheck(), times(100L, null, null), "no hook"),
                of(green, new LockManagerCheck(), manager("", "/l", true), "no lock manager"),
                of(green, new LockManagerCheck(), manager("lockd", "/l", true), "lockd"),
                of(yellow, new LockManagerCheck(), manager("sanlock", "/l", true), "guarded twice"),
                of(
                        yellow,
                        new LockManagerCheck(),
                        manager("sanlock", "/var/lib/libvirt/sanlock", false),
                        "guarded twice"),
                of(yellow, new LockManagerCheck(), manager("other", "/l", false), "does not know"),
                of(red, new LockManagerCheck(), manager("sanlock", "/var/lib/libvirt/sanlock", true), "same directory"),
                of(
                        green,
                        new WatchdogCheck(),
                        watchdog("auto", false, device("", 600L)),
                        "is free, its timeout is 30 s"),
                of(green, new WatchdogCheck(), watchdog("wdmd", true), "wdmd"),
                of(green, new WatchdogCheck(), watchdog("auto", true), "wdmd"),
                of(
                        green,
                        new WatchdogCheck(),
                        new WatchdogCheck.Facts("auto", List.of(), false, false, "wdmd", "", true, 60),
                        "armed"),
                of(
                        green,
                        new WatchdogCheck(),
                        new WatchdogCheck.Facts("auto", List.of(), false, true, "", "", false, 60),
                        "observe"),
                of(yellow, new WatchdogCheck(), watchdog("none", false), "none is configured"),
                of(yellow, new WatchdogCheck(), watchdog("auto", false), "neither wdmd"),
                of(
                        yellow,
                        new WatchdogCheck(),
                        watchdog("auto", false, device("systemd (process 1)", null)),
                        "systemd"),
                of(yellow, new WatchdogCheck(), watchdog("auto", false, device("", 5L)), "5 s at most"),
                of(red, new WatchdogCheck(), watchdog("wdmd", false), "wdmd does not run"),
                of(
                        red,
                        new WatchdogCheck(),
                        watchdog("/dev/watchdog1", false, device("", null)),
                        "/dev/watchdog1 is not there"),
                of(
                        red,
                        new WatchdogCheck(),
                        watchdog("/dev/watchdog0", false, device("systemd (process 1)", null)),
                        "taken by systemd"),
                of(
                        red,
                        new WatchdogCheck(),
                        watchdog(
                                "/dev/watchdog0",
                                false,
                                new WatchdogCheck.Device("/dev/watchdog0", "", null, null, false, "")),
                        "may not be opened"),
                of(
                        green,
                        new CloneCheck(),
                        clone(ID, two, new CloneCheck.Card("0123abcd-.node-a", "digest")),
                        "no other host"),
                of(red, new CloneCheck(), clone("", two), "no machine id"),
                of(red, new CloneCheck(), clone("uninitialized", two), "uninitialized"),
                of(red, new CloneCheck(), clone(ID, copied), "host id 2 (node-b)"),
                of(
                        red,
                        new CloneCheck(),
                        clone(ID, two, new CloneCheck.Card("89abcdef-.node-b", "digest")),
                        "89abcdef-.node-b"),
                of(green, new ClockSourceCheck(), new ClockSourceCheck.Facts("tsc", "tsc hpet"), "tsc"),
                of(yellow, new ClockSourceCheck(), new ClockSourceCheck.Facts("hpet", "hpet acpi_pm"), "hpet"),
                of(red, new ClockSourceCheck(), new ClockSourceCheck.Facts("refined-jiffies", "x"), "loses time"),
                of(
                        green,
                        new JavaCheck(),
                        new JavaCheck.Facts(17, "17.0.9", "OpenJDK 64-Bit Server VM", "64"),
                        "17.0.9"),
                of(yellow, new JavaCheck(), new JavaCheck.Facts(21, "21", "OpenJDK 64-Bit Zero VM", "64"), "Zero"),
                of(yellow, new JavaCheck(), new JavaCheck.Facts(21, "21", "Eclipse OpenJ9 VM", "64"), "OpenJ9"),
                of(
                        red,
                        new JavaCheck(),
                        new JavaCheck.Facts(11, "11.0.2", "OpenJDK 64-Bit Server VM", "64"),
                        "too old"),
                of(green, new FreeSpaceCheck(), space(1000), "1000 MiB free"),
                of(yellow, new FreeSpaceCheck(), space(100), "100 MiB free"),
                of(red, new FreeSpaceCheck(), space(2), "2 MiB free"),
                of(green, new CephCapsCheck(), caps("profile rbd", ""), "may blocklist"),
                of(green, new CephCapsCheck(), caps("allow r, allow command \"osd blocklist\"", ""), "may blocklist"),
                of(green, new CephCapsCheck(), new CephCapsCheck.Facts(List.of()), "no domain"),
                of(yellow, new CephCapsCheck(), caps("", "Error EACCES: access denied"), "EACCES"),
                of(red, new CephCapsCheck(), caps("allow r", ""), "may not blocklist: mon caps are 'allow r'"),
                of(red, new CephCapsCheck(), caps("profile rbd-read-only", ""), "may not blocklist"),
                of(
                        green,
                        new DomainsCheck(),
                        domains(with(List.of(domain(true)), List.of(), "enforce"), whole),
                        "1 run with all"),
                of(
                        yellow,
                        new DomainsCheck(),
                        domains(
                                with(
                                        List.of(domain(true, "vdb: its backing images are not known")),
                                        List.of(),
                                        "enforce"),
                                whole),
                        "backing images"),
                of(
                        yellow,
                        new DomainsCheck(),
                        domains(
                                with(List.of(domain(true)), List.of(), "enforce"),
                                running(
                                        List.of(new DomainsCheck.Hole(
                                                "vdb", "vhostuser: only the process behind the socket knows")),
                                        List.of())),
                        "vdb has no lease"),
                of(
                        red,
                        new DomainsCheck(),
                        domains(with(List.of(domain(false, "vda is in use by node-b")), List.of(), "enforce"), whole),
                        "runs unprotected: vda is in use by node-b"),
                of(
                        red,
                        new DomainsCheck(),
                        domains(
                                with(List.of(domain(true)), List.of(), "enforce"),
                                running(List.of(), List.of(new DomainsCheck.Hole("vda", "no such pool")))),
                        "cannot be protected"),
                of(
                        red,
                        new DomainsCheck(),
                        domains(with(List.of(), List.of(), "enforce"), whole),
                        "the agent does not know it"),
                of(red, new DomainsCheck(), domains(null, whole), "no agent answers"),
                of(
                        green,
                        new DenialsCheck(),
                        new DenialsCheck.Facts(List.of("avc:  denied  { read } for comm=\"httpd\"")),
                        "none"),
                of(
                        yellow,
                        new DenialsCheck(),
                        new DenialsCheck.Facts(List.of("apparmor=\"DENIED\" profile=\"libvirtd\"")),
                        "libvirt"),
                of(
                        red,
                        new DenialsCheck(),
                        new DenialsCheck.Facts(
                                List.of(
                                        "apparmor=\"DENIED\" profile=\"libvirtd\" name=\"/etc/libvirt/hooks/qemu.d/50-vmguard\"")),
                        "1 denials of vmguard"));
    }

    @ParameterizedTest(name = "{1} {0} {3}")
    @MethodSource("judgements")
    void eachFactLeadsToItsAnswer(Verdict verdict, String check, Object judged, String word) {
        Judgement judgement = (Judgement) judged;
        assertThat(judgement.verdict()).as(judgement.seen()).isEqualTo(verdict);
        assertThat(judgement.seen()).contains(word).doesNotContain("\n\n");
        assertThat(judgement.fix().isEmpty()).isEqualTo(verdict == Verdict.GREEN);
    }

    @Test
    void everyCheckHasFactsThatMakeItRedAndFactsThatMakeItGreen() {
        List<String> names = doctor(List.of()).names();
        for (Verdict verdict : List.of(Verdict.RED, Verdict.GREEN)) {
            assertThat(judgements()
                            .filter(row -> row.get()[0] == verdict)
                            .map(row -> (String) row.get()[1])
                            .distinct())
                    .containsExactlyInAnyOrderElementsOf(names);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"agent", "lease_directory", "domains", "machine_id"})
    void whatDependsOnTheConfigurationIsNotLookedAtWithAWrongOne(String check) {
        assertThat(doctor(List.of()).names()).contains(check);
        assertThat(doctor(List.of("line 3 is wrong")).names())
                .doesNotContain(check)
                .contains("configuration", "hook_active", "java");
    }

    private static Doctor doctor(List<String> problems) {
        Checkup.Order order =
                new Checkup.Order(Path.of("/none.yaml"), ConfigLoader.defaults(), problems, List.of(), false);
        return Checkup.doctor(
                order,
                new Checkup.Sources(
                        new RecordedHost(),
                        (limit, command) -> new Commands.Result(1, ""),
                        () -> READY,
                        () -> new Checkup.Peers("agent", READY.hosts(), 512),
                        domain -> new io.vmguard.agent.derive.Derivation(List.of(), List.of(), List.of()),
                        (where, sector, howLong) -> new Checkup.Trial(true, List.of(1.0), ""),
                        () -> 0L,
                        new Random(1)));
    }
}
