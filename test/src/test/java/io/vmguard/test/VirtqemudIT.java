/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.LibvirtDaemon.SOON;
import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Two hosts with libvirt's modular daemon for QEMU, virtqemud, in place of libvirtd: other program, other unit, other socket, and it goes
 * when nobody needs it. {@code make test-virtqemud} builds such hosts, which takes minutes, so {@code make test} does not.
 */
@ExtendWith(VirtqemudIT.Chosen.class)
@NeedsTestImage
class VirtqemudIT {
    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts("io_timeout: 3s", "hook_timeout: 5s");

    private static final LibvirtDaemon VIRTQEMUD = new LibvirtDaemon(HOSTS, "virtqemud");

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
        VIRTQEMUD.assertEventsArrive(a, "unasked");

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
        VIRTQEMUD.assertGoneInTime("orderly");
        assertThat(a.host.journal("vmguard")).doesNotContain("SIGKILL to domain orderly");
        a.awaitReady();
        create(a, "orderly", disk).mustSucceed();
    }

    @Test
    void aLostLeaseEndsTheDomainInTimeWhileVirtqemudHangs() {
        VIRTQEMUD.aLostLeaseEndsTheDomainInTimeWhileItHangs();
    }

    /** A stop leaves the sockets, and the agent's own connection brings it back. */
    @Test
    void aVirtqemudThatIsRestartedKilledOrStoppedChangesNothingForADomain() {
        VIRTQEMUD.endsChangeNothingForADomain(
                "systemctl restart virtqemud", "systemctl kill -s KILL virtqemud", "systemctl stop virtqemud");
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
                    "virtqemud to leave",
                    SOON,
                    () -> b.host.property("virtqemud", "ActiveState").equals("inactive"));
            b.host.sh("systemctl start vmguard").mustSucceed();
            b.awaitReady();
            Eventually.await(
                    "virtqemud to be woken",
                    SOON,
                    () -> b.host.property("virtqemud", "ActiveState").equals("active"));
            Eventually.await("a connection", SOON, () -> b.statusJson().contains("\"connected\":true"));
            String before = VIRTQEMUD.mainPid(b);
            long connectedNanos = System.nanoTime();
            Eventually.await(
                    "its time to be over",
                    SOON,
                    () -> System.nanoTime() - connectedNanos
                            > Duration.ofSeconds(6).toNanos());
            assertThat(VIRTQEMUD.mainPid(b)).as("it has a client").isEqualTo(before);
            VIRTQEMUD.assertEventsArrive(b, "woken");
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
        VIRTQEMUD.anAutostartedDomainRunsWithItsLeaseAfterABoot();
    }
}
