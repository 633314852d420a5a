/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.LibvirtDaemon.DESTROY;
import static io.vmguard.test.LibvirtDaemon.KILL_SLACK;
import static io.vmguard.test.LibvirtDaemon.LOST;
import static io.vmguard.test.LibvirtDaemon.SOON;
import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.assertRefused;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What can happen to the programs around a domain, on two hosts with real systemd, libvirt and QEMU and the built package: agent,
 * libvirtd and package come, go, hang and die; domains run on with their leases, and what cannot be protected is refused or reported.
 *
 * <p>io_timeout is 3 s: a membership is lost after 8 x 3 = 24 s, so agents have that long to come back. Less is not enough on a machine
 * whose other tests leave a starting agent a tenth of a processor.
 */
@NeedsTestImage
class GuardLifeIT {
    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts("io_timeout: 3s", "hook_timeout: 5s");

    private static final LibvirtDaemon LIBVIRTD = new LibvirtDaemon(HOSTS, "libvirtd");

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    // ---- the package

    @Test
    void removingThePackageTouchesNoDomainAndInstallingItProtectsThoseThatRun() {
        String guarded = HOSTS.disk("guarded");
        String early = HOSTS.disk("early");
        create(b, "guarded", guarded).mustSucceed();
        String pid = b.host.qemuPid("guarded");

        assertThat(b.host.run("dpkg", "-r", "vmguard").mustSucceed().stderr()).contains("NOBODY GUARDS", "guarded");
        assertThat(b.host.run("ls", GuardedHost.HOOK).mustFail().stderr()).contains("No such file");
        assertRefused(a, guarded, "guarded", b);
        // A libvirtd that starts without a hook never looks for one again until it gets SIGHUP.
        b.host.sh("systemctl restart libvirtd").mustSucceed();
        create(b, "early", early).mustSucceed();
        String libvirtd = b.host.property("libvirtd", "MainPID");

        b.install();
        assertRefused(b, guarded, "guarded", b);
        b.awaitLeases("early", 1, SOON);
        b.awaitLeases("guarded", 1, SOON);
        HOSTS.assertTaken(early, "early", b);
        assertThat(b.host.property("libvirtd", "MainPID")).isEqualTo(libvirtd);
        assertThat(b.host.qemuPid("guarded")).isEqualTo(pid);
        assertThat(b.host.runningDomains()).containsExactlyInAnyOrder("guarded", "early");
    }

    @Test
    void installingThePackageOverItselfKeepsMembershipLeasesAndDomains() {
        String disk = HOSTS.disk("upgraded");
        create(b, "upgraded", disk).mustSucceed();
        String pid = b.host.qemuPid("upgraded");
        String owner = b.owner();
        try (Siege siege = Siege.start(a, disk)) {
            b.install();
            b.awaitReady();
            assertThat(b.owner()).isEqualTo(owner);
            siege.assertAllRefused("upgraded", b);
        }
        b.awaitLeases("upgraded", 1, SOON);
        assertThat(b.host.qemuPid("upgraded")).isEqualTo(pid);
        HOSTS.assertTaken(disk, "upgraded", b);
    }

    // ---- the agent

    @Test
    void anAgentThatIsKilledOrRestartedContinuesTheSameMembership() {
        String disk = HOSTS.disk("agent");
        create(a, "steady", disk).mustSucceed();
        String pid = a.host.qemuPid("steady");
        String owner = a.owner();
        try (Siege siege = Siege.start(b, disk)) {
            for (String end : List.of("systemctl kill -s KILL vmguard", "systemctl restart vmguard")) {
                String before = a.host.property("vmguard", "MainPID");
                a.host.sh(end).mustSucceed();
                Eventually.await(
                        "a new agent after " + end,
                        LOST,
                        () -> !a.host.property("vmguard", "MainPID").equals(before));
                a.awaitReady();
                a.awaitLeases("steady", 1, SOON);
                assertThat(a.owner()).as(end).isEqualTo(owner);
            }
            siege.assertAllRefused("steady", a);
        }
        assertThat(a.host.qemuPid("steady")).isEqualTo(pid);
        HOSTS.assertTaken(disk, "steady", a);
        a.host.virsh("destroy", "steady").mustSucceed();
        assertFreesAtOnce(b, disk);
    }

    @Test
    void domainsOutliveAStopForGoodIfSomebodyHasChosenThatAndNotAPlainStop() {
        String keptDisk = HOSTS.disk("kept");
        String plainDisk = HOSTS.disk("plain");
        String endedDisk = HOSTS.disk("ended");
        create(a, "plain", plainDisk).mustSucceed();
        create(a, "ended", endedDisk).mustSucceed();
        create(b, "kept", keptDisk).mustSucceed();
        String pid = b.host.qemuPid("kept");

        assertThat(b.vmguard("stop").exitCode()).isEqualTo(2);
        assertThat(b.vmguard("stop", "--release").mustFail().stderr()).contains("these domains have leases: kept");
        assertThat(b.vmguard("stop", "--keep").mustSucceed().stdout()).contains("NOBODY GUARDS", "kept");
        assertThat(b.host.property("vmguard", "ActiveState")).isEqualTo("inactive");
        assertThat(b.host.sh("ls /run/vmguard/*.deadman").ok()).isFalse();
        assertThat(create(b, "early", HOSTS.disk("early")).mustFail().stderr()).contains("systemctl status vmguard");

        a.host.sh("systemctl stop vmguard-deadman vmguard && systemctl stop 'libvirtd*'")
                .mustSucceed();
        long stoppedNanos = System.nanoTime();
        a.host.sh("kill -KILL $(cat /run/libvirt/qemu/ended.pid)").mustSucceed();
        Duration over = LOST.plus(DESTROY).plus(KILL_SLACK);
        Eventually.await(
                "their leases to be lost, and the deadman's time to be over",
                over.plus(SOON),
                () -> System.nanoTime() - stoppedNanos > over.toNanos());
        assertThat(b.host.property("vmguard", "ActiveState")).isEqualTo("inactive");
        assertThat(List.of(a.hasQemu("plain"), b.hasQemu("kept"))).containsExactly(true, true);

        // As at a boot: libvirtd waits for the agent, which must not wait for its word on what has ended.
        a.host.sh("systemctl start vmguard-deadman && systemctl start --no-block vmguard libvirtd")
                .mustSucceed();
        b.host.sh("systemctl start --no-block vmguard").mustSucceed();
        Eventually.await("plain to be stopped before a new membership", SOON, () -> !a.hasQemu("plain"));
        a.awaitReady();
        Eventually.await(
                "libvirtd to be started after it",
                SOON,
                () -> a.host.property("libvirtd", "ActiveState").equals("active"));
        LIBVIRTD.assertStartedAfterTheAgent(a);
        create(a, "plain", plainDisk).mustSucceed();
        create(a, "ended", endedDisk).mustSucceed();
        b.awaitReady();
        b.awaitLeases("kept", 1, SOON);
        assertThat(b.host.qemuPid("kept")).isEqualTo(pid);
        HOSTS.assertTaken(keptDisk, "kept", b);

        b.host.virsh("destroy", "kept").mustSucceed();
        Eventually.await(
                "its leases to be given back", SOON, () -> !b.statusJson().contains("\"kept\""));
        assertThat(b.vmguard("stop", "--release").mustSucceed().stdout()).contains("leaves the lockspace");
        assertThat(b.host.property("vmguard", "ActiveState")).isEqualTo("inactive");
        Pattern free = Pattern.compile("(?m)^.*" + b.host.name() + ".*free");
        Eventually.await(
                "its host id to be free",
                SOON,
                () -> free.matcher(a.vmguard("hosts").stdout()).find());
        b.host.sh("systemctl start vmguard").mustSucceed();
        b.awaitReady();
    }

    @Test
    void anAgentWithAWrongConfigurationDoesNotStartAndSaysAllThatIsWrong() {
        String disk = HOSTS.disk("misconfigured");
        String owner = anchor(b);
        b.host.sh("systemctl stop vmguard && cp /etc/vmguard/vmguard.yaml /root/good.yaml")
                .mustSucceed();
        b.configure(List.of("lease_dri: /leases", "io_timeout: fast", "mode: enforced", "hook_timeout: 1h"));
        try {
            b.host.sh("systemctl start vmguard").mustFail();
            assertThat(create(b, "unlucky", disk).mustFail().stderr())
                    .contains("vmguard: unlucky: the lease agent does not answer")
                    .contains("not started. See: systemctl status vmguard");
        } finally {
            b.host.sh("cp /root/good.yaml /etc/vmguard/vmguard.yaml; systemctl start vmguard")
                    .mustSucceed();
            b.awaitReady();
        }
        assertThat(b.owner()).as("the mistake cost no lease").isEqualTo(owner);
        // Read afterwards: the lease lasts no longer than it takes to start two agents on a busy machine.
        b.host.awaitJournal(
                "vmguard",
                "vmguard.yaml:1: unknown key 'lease_dri'; the nearest one is 'lease_dir'",
                "vmguard.yaml:2: 'io_timeout' is 'fast'; it must be a duration",
                "vmguard.yaml:3: 'mode' is 'enforced'; it must be enforce or observe",
                "vmguard.yaml:4: 'hook_timeout' is '1h'");
        assertThat(b.host.runningDomains()).containsExactly("anchor");
    }

    @Test
    void withoutItsLeaseDirectoryAHostRefusesStartsAndSaysWhy() {
        String disk = HOSTS.disk("unmounted");
        a.host.sh("systemctl stop vmguard").mustSucceed();
        a.unmountLeases();
        try {
            a.host.sh("systemctl start vmguard").mustSucceed();
            assertThat(create(a, "unlucky", disk).mustFail().stderr())
                    .contains("vmguard: unlucky: this host is not a member of the lease directory now")
                    .contains("This host has been a member of a lockspace in /leases: is it mounted?");
            assertThat(a.host.sh("ls -A /leases").stdout())
                    .as("no lockspace made beside the real one")
                    .isEmpty();

            a.host.sh("rmdir /leases && systemctl restart vmguard").mustSucceed();
            assertThat(create(a, "unlucky", disk).mustFail().stderr())
                    .contains("the lease directory does not exist")
                    .contains("Not started. See: vmguard status");
        } finally {
            a.mountLeases();
            a.awaitReady();
        }
        create(a, "lucky", disk).mustSucceed();
    }

    // ---- domains without their leases

    @Test
    void aDomainFoundOnADiskOfAnotherHostIsPausedOrDestroyed() {
        String disk = HOSTS.disk("twice");
        anchor(b);
        create(a, "rightful", disk).mustSucceed();
        b.host.sh("systemctl stop vmguard && chmod -x " + GuardedHost.HOOK).mustSucceed();
        create(b, "stray", disk).mustSucceed();
        b.host.sh("chmod +x " + GuardedHost.HOOK + " && systemctl start vmguard")
                .mustSucceed();
        String pid = b.host.qemuPid("stray");

        String problem = "vda (file:" + disk + ") is in use by domain rightful on host node-a";
        Eventually.await("the problem in the status", SOON, () -> b.statusJson().contains(problem));
        assertThat(b.status())
                .contains("PROBLEM: " + problem)
                .contains("It runs all the same")
                .contains("NOT HELD")
                .contains("domain stray is not fully protected");
        b.host.awaitJournal("vmguard", "RUNS UNPROTECTED", problem);
        assertThat(b.host.qemuPid("stray")).isEqualTo(pid);
        Eventually.await(
                "stray to be paused",
                SOON,
                () -> b.host.virsh("domstate", "stray").stdout().contains("paused"));

        b.host.sh("echo 'on_unprotected: destroy' >> /etc/vmguard/vmguard.yaml; systemctl restart vmguard")
                .mustSucceed();
        try {
            Eventually.await("stray to be destroyed", SOON, () -> !b.hasQemu("stray"));
        } finally {
            b.host.sh("sed -i /on_unprotected/d /etc/vmguard/vmguard.yaml; systemctl restart vmguard")
                    .mustSucceed();
        }
        b.host.awaitJournal("vmguard", "somebody else holds its disk and on_unprotected is destroy");
        b.awaitReady();
        assertThat(b.host.runningDomains()).containsExactly("anchor");
        HOSTS.assertTaken(disk, "rightful", a);
    }

    // ---- libvirtd

    @Test
    void aLibvirtdThatIsRestartedOrKilledChangesNothingForADomain() {
        LIBVIRTD.endsChangeNothingForADomain("systemctl restart libvirtd", "systemctl kill -s KILL libvirtd");
    }

    /** As an upgrade does it: the scripts of its packages stop, start and reload what they want to. */
    @Test
    void anUpgradeOfLibvirtsPackagesChangesNothingForADomain() {
        String disk = HOSTS.disk("besieged");
        create(b, "besieged", disk).mustSucceed();
        String pid = b.host.qemuPid("besieged");
        try (Siege siege = Siege.start(a, disk)) {
            LIBVIRTD.endsChangeNothingForADomain(
                    "DEBIAN_FRONTEND=noninteractive dpkg -i /usr/local/lib/libvirt-packages/*.deb");
            siege.assertAllRefused("besieged", b);
        }
        b.host.run("test", "-x", GuardedHost.HOOK).mustSucceed();
        b.awaitLeases("besieged", 1, SOON);
        assertThat(b.host.qemuPid("besieged")).isEqualTo(pid);
    }

    /** As one that is killed while a block job ends loses it: what it wrote down of the domain, it cannot read. */
    @Test
    void aDomainThatLibvirtdHasLostKeepsItsDiskUntilItsQemuHasEnded() {
        String disk = HOSTS.disk("lost");
        create(b, "lost", disk).mustSucceed();
        String pid = b.host.qemuPid("lost");
        b.host.sh("systemctl stop 'libvirtd*'; sed -i 's/<devices>/<devices><lost>/' /run/libvirt/qemu/lost.xml;"
                        + " systemctl start libvirtd")
                .mustSucceed();
        b.host.awaitJournal("libvirtd", "Failed to load config for domain 'lost'");
        assertThat(b.host.runningDomains()).doesNotContain("lost");
        HOSTS.assertTaken(disk, "lost", b);
        b.host.sh("kill -9 " + pid + "; rm /run/libvirt/qemu/lost.xml").mustSucceed();
        assertFreesAtOnce(a, disk);
    }

    @Test
    void aDomainDiesInTimeEvenIfLibvirtdHangsWhenItsLeaseIsLost() {
        LIBVIRTD.aLostLeaseEndsTheDomainInTimeWhileItHangs();
    }

    // ---- the host

    @Test
    void anAutostartedDomainRunsWithItsLeaseAfterABoot() {
        LIBVIRTD.anAutostartedDomainRunsWithItsLeaseAfterABoot();
    }

    // ---- looking at hosts

    /**
     * Somebody on a host tries to start a disk under another name, over and over, until it is closed. With a breath between two tries,
     * or the agent under test would not get a processor.
     */
    private record Siege(GuardedHost host, Running loop) implements AutoCloseable {
        static Siege start(GuardedHost host, String disk) {
            host.host.sh("rm -f /run/siege-over").mustSucceed();
            String script = "until [ -e /run/siege-over ]; do test-domain siege --file " + disk
                    + " | virsh -q create /dev/stdin 2>&1 && echo WON; sleep 0.2; done | grep -v 'Failed to create'";
            return new Siege(host, host.host.spawn("sh", "-c", script));
        }

        /** Every try so far was refused for the same reason. Ends the siege. */
        void assertAllRefused(String byDomain, GuardedHost onHost) {
            close();
            List<String> said =
                    new ArrayList<>(loop.awaitEnd(SOON).stdout().lines().toList());
            said.removeIf(String::isBlank);
            assertThat(said)
                    .isNotEmpty()
                    .allMatch(line ->
                            line.contains("is in use by domain " + byDomain + " on host " + onHost.host.name()));
        }

        @Override
        public void close() {
            host.host.sh("touch /run/siege-over").mustSucceed();
        }
    }

    /** A domain with a lease: an agent that is soon back continues its membership then, and need not join anew. Returns its owner. */
    private static String anchor(GuardedHost host) {
        create(host, "anchor", HOSTS.disk("anchor")).mustSucceed();
        return host.owner();
    }
}
