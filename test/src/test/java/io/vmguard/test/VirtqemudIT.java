/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Two hosts with libvirt's modular daemon for QEMU, virtqemud, in place of libvirtd: other program, other unit, other socket, and it goes
 * when nobody needs it. {@code make test-virtqemud} builds such hosts, which takes minutes, so {@code make test} does not.
 *
 * <p>io_timeout is 3 s: a membership is lost after 8 x 3 = 24 s.
 */
@ExtendWith(VirtqemudIT.Chosen.class)
@NeedsTestImage
class VirtqemudIT {
    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts("io_timeout: 3s", "hook_timeout: 5s");

    private static final Duration LOST = Duration.ofSeconds(24);
    private static final Duration DESTROY = Duration.ofSeconds(5);
    private static final Duration KILL_SLACK = Duration.ofSeconds(3);
    private static final Duration SOON = Duration.ofSeconds(15);
    /** Less than the half minute after which the agent looks at libvirt's list without being asked. */
    private static final Duration BY_EVENT = Duration.ofSeconds(10);

    private static final String HOOK = "/etc/libvirt/hooks/qemu.d/50-vmguard";

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    /** Only with its image; says so otherwise. */
    static final class Chosen implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            if (Boolean.getBoolean("virtqemud")) {
                return ConditionEvaluationResult.enabled("chosen");
            }
            String why = "libvirt's virtqemud has to be built for it: make test-virtqemud";
            if (context.getTestMethod().isEmpty()) {
                System.err.println("SKIPPED VirtqemudIT: " + why);
            }
            return ConditionEvaluationResult.disabled(why);
        }
    }

    @Test
    void aDomainRunsOnOneHostAndTheAgentHearsOfEveryOther() {
        String disk = HOSTS.disk("modular");
        assertThat(a.host.sh("ls /run/libvirt/libvirt-sock; pgrep -x libvirtd").stdout())
                .as("no libvirtd")
                .isBlank();
        create(a, "modular", disk).mustSucceed();
        a.awaitLeases("modular", 1, SOON);
        HOSTS.assertTaken(disk, "modular", a);

        assertThat(a.vmguard("doctor").output())
                .as("the hook is called, and nothing of libvirt's is not found")
                .doesNotContain("cannot tell")
                .contains("hook");
        assertThat(a.statusJson()).contains("\"connected\":true");
        eventsArrive(a, "unasked");

        a.host.virsh("destroy", "modular").mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    /** Where a volume is another daemon knows, virtstoraged, through which virtqemud asks. */
    @Test
    void aVolumeOfAPoolIsTheFileThatItIsAndWithoutAnAnswerTheStartIsRefused() {
        String disk = HOSTS.disk("volume");
        String directory = disk.substring(0, disk.lastIndexOf('/'));
        String device = "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
                + "<source pool='images' volume='volume.img'/><target dev='vdb' bus='virtio'/></disk>";
        a.host.sh("virsh pool-create-as images dir --target " + directory).mustSucceed();
        try {
            a.host.createDomain("pooled", "--xml", device).mustSucceed();
            HOSTS.assertTaken(disk, "pooled", a);
            a.host.virsh("destroy", "pooled").mustSucceed();
            a.host.sh("systemctl kill -s STOP virtstoraged").mustSucceed();
            try {
                assertThat(a.host.createDomain("pooled", "--xml", device)
                                .mustFail()
                                .stderr())
                        .contains("vmguard: disks cannot be protected: its storage has not answered");
                create(a, "plain", disk).mustSucceed();
            } finally {
                a.host.sh("systemctl kill -s CONT virtstoraged").mustSucceed();
            }
        } finally {
            a.host.virsh("pool-destroy", "images").mustSucceed();
        }
    }

    @Test
    void aLostLeaseEndsTheDomainThroughVirtqemud() {
        String disk = HOSTS.disk("orderly");
        create(a, "orderly", disk).mustSucceed();
        Duration gone = untilGone("orderly");
        assertThat(gone).isLessThan(LOST.plus(DESTROY).plus(KILL_SLACK));
        assertThat(a.host.journal("vmguard")).doesNotContain("SIGKILL to domain orderly");
        a.awaitReady();
        create(a, "orderly", disk).mustSucceed();
    }

    @Test
    void aLostLeaseEndsTheDomainInTimeWhileVirtqemudHangs() {
        String disk = HOSTS.disk("hung");
        create(a, "hung", disk).mustSucceed();
        a.host.sh("systemctl kill -s STOP virtqemud").mustSucceed();
        try {
            Duration gone = untilGone("hung");
            assertThat(gone).isLessThan(LOST.plus(DESTROY).plus(KILL_SLACK));
            assertThat(a.host.journal("vmguard")).contains("SIGKILL to domain hung");
        } finally {
            a.host.sh("systemctl kill -s CONT virtqemud").mustSucceed();
        }
        a.awaitReady();
        Eventually.await(
                "libvirt to see that it is gone",
                SOON,
                () -> a.host.runningDomains().isEmpty());
        create(a, "again", disk).mustSucceed();
    }

    /** From the stall of the lease directory, which is over at the return. The last renewal began before it. */
    private Duration untilGone(String domain) {
        a.leaseDirectory("stall");
        try {
            long stalledNanos = System.nanoTime();
            Eventually.await(
                    "the QEMU of " + domain + " to be gone", LOST.plus(DESTROY).plus(SOON), () -> !a.hasQemu(domain));
            Duration gone = Duration.ofNanos(System.nanoTime() - stalledNanos);
            System.out.printf("virtqemud: %s gone %.1f s after the stall%n", domain, gone.toMillis() / 1000.0);
            return gone;
        } finally {
            a.leaseDirectory("ok");
        }
    }

    @Test
    void aVirtqemudThatIsRestartedKilledOrStoppedChangesNothingForADomain() {
        String disk = HOSTS.disk("steady");
        create(b, "steady", disk).mustSucceed();
        String pid = pid("steady");
        String owner = b.owner();
        int round = 0;
        // A stop leaves the sockets, and the agent's own connection brings it back.
        for (String end : List.of(
                "systemctl restart virtqemud", "systemctl kill -s KILL virtqemud", "systemctl stop virtqemud")) {
            String before = mainPid();
            b.host.sh(end).mustSucceed();
            Eventually.await(
                    "a new virtqemud after " + end,
                    SOON,
                    () -> !List.of("0", before).contains(mainPid()));
            HOSTS.assertTaken(disk, "steady", b);
            assertThat(pid("steady")).isEqualTo(pid);
            eventsArrive(b, "unasked" + ++round);
        }
        assertThat(b.owner()).isEqualTo(owner);
        b.host.virsh("destroy", "steady").mustSucceed();
        assertFreesAtOnce(a, disk);
    }

    @Test
    void aVirtqemudThatLeavesWhenNobodyNeedsItIsKeptByTheAgentAndWokenByIt() {
        b.host.sh(
                        "mkdir -p /etc/systemd/system/virtqemud.service.d; printf '[Service]\\nEnvironment=\"VIRTQEMUD_ARGS=--timeout 2\"\\n'"
                                + " > /etc/systemd/system/virtqemud.service.d/timeout.conf; systemctl daemon-reload;"
                                + " systemctl restart virtqemud")
                .mustSucceed();
        try {
            Eventually.await("a connection", SOON, () -> b.statusJson().contains("\"connected\":true"));
            b.vmguard("stop", "--release").mustSucceed();
            Eventually.await(
                    "virtqemud to leave", SOON, () -> state("virtqemud").equals("inactive"));
            b.host.sh("systemctl start vmguard").mustSucceed();
            b.awaitReady();
            Eventually.await(
                    "virtqemud to be woken", SOON, () -> state("virtqemud").equals("active"));
            Eventually.await("a connection", SOON, () -> b.statusJson().contains("\"connected\":true"));
            String before = mainPid();
            long connectedNanos = System.nanoTime();
            Eventually.await(
                    "its time to be over",
                    SOON,
                    () -> System.nanoTime() - connectedNanos
                            > Duration.ofSeconds(6).toNanos());
            assertThat(mainPid()).as("it has a client").isEqualTo(before);
            eventsArrive(b, "woken");
        } finally {
            b.host.sh(
                            "rm -r /etc/systemd/system/virtqemud.service.d; systemctl daemon-reload; systemctl restart virtqemud;"
                                    + " systemctl start vmguard")
                    .mustSucceed();
            b.awaitReady();
        }
    }

    @Test
    void anAutostartedDomainRunsWithItsLeaseAfterABoot() {
        String disk = HOSTS.disk("autostart");
        b.host.sh("test-domain boots --file " + disk
                        + " | virsh define /dev/stdin; virsh autostart boots; virsh start boots")
                .mustSucceed();
        b.host.powerOff();
        b.host.powerOn();
        b.host.awaitUp();
        Eventually.await(
                "the domain to run again",
                LOST.plus(SOON),
                () -> b.host.runningDomains().contains("boots"));
        b.awaitLeases("boots", 1, SOON);
        assertThat(micros("virtqemud", "ExecMainStartTimestampMonotonic"))
                .as("virtqemud starts its domains when the agent is ready")
                .isGreaterThanOrEqualTo(micros("vmguard", "ActiveEnterTimestampMonotonic"));
        HOSTS.assertTaken(disk, "boots", b);
    }

    /** Nothing but an event tells the agent so soon of a start that went past the hook. */
    private static void eventsArrive(GuardedHost host, String domain) {
        Eventually.await(
                "a connection to libvirt", SOON, () -> host.statusJson().contains("\"connected\":true"));
        String disk = HOSTS.disk(domain);
        host.host.sh("chmod -x " + HOOK).mustSucceed();
        create(host, domain, disk).mustSucceed();
        host.host.sh("chmod +x " + HOOK).mustSucceed();
        host.awaitLeases(domain, 1, BY_EVENT);
    }

    private String pid(String domain) {
        return b.host.sh("cat /run/libvirt/qemu/" + domain + ".pid")
                .mustSucceed()
                .stdout()
                .strip();
    }

    private String mainPid() {
        return property("virtqemud", "MainPID");
    }

    private String state(String unit) {
        return property(unit, "ActiveState");
    }

    private long micros(String unit, String property) {
        return Long.parseLong(property(unit, property));
    }

    private String property(String unit, String property) {
        return b.host.run("systemctl", "show", "-p", property, "--value", unit)
                .mustSucceed()
                .stdout()
                .strip();
    }
}
