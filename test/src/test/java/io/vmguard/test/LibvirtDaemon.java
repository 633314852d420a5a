/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.TwoHosts.assertFreesAtOnce;
import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;

/**
 * libvirt's daemon for QEMU on two guarded hosts, libvirtd or virtqemud: what a domain and its leases may expect whichever it is and
 * whatever becomes of it.
 *
 * @param hosts with an io_timeout of 3 s: a membership is lost after 8 x 3 = 24 s
 * @param unit of systemd
 */
record LibvirtDaemon(TwoHosts hosts, String unit) {
    static final Duration LOST = Duration.ofSeconds(24);
    static final Duration DESTROY = Duration.ofSeconds(5);
    /** From SIGKILL to our seeing that the process is gone; other hosts wait a minute longer. */
    static final Duration KILL_SLACK = Duration.ofSeconds(3);
    /** For what needs no protocol's wait but processor time on a busy machine. */
    static final Duration SOON = Duration.ofSeconds(30);
    /** Less than the half minute after which the agent looks at libvirt's list without being asked. */
    private static final Duration BY_EVENT = Duration.ofSeconds(10);

    /** @param ends commands after each of which there is another daemon soon */
    void endsChangeNothingForADomain(String... ends) {
        GuardedHost b = hosts.b;
        String disk = hosts.disk("steady");
        create(b, "steady", disk).mustSucceed();
        String pid = b.host.qemuPid("steady");
        String owner = b.owner();
        int round = 0;
        for (String end : ends) {
            String before = mainPid(b);
            b.host.sh(end).mustSucceed();
            Eventually.await(
                    "a new " + unit + " after " + end,
                    SOON,
                    () -> !List.of("0", before).contains(mainPid(b)));
            hosts.assertTaken(disk, "steady", b);
            assertThat(b.host.qemuPid("steady")).isEqualTo(pid);
            assertEventsArrive(b, "unasked" + ++round);
        }
        assertThat(b.owner()).isEqualTo(owner);
        b.host.virsh("destroy", "steady").mustSucceed();
        assertFreesAtOnce(hosts.a, disk);
    }

    /** Nothing but an event tells the agent so soon of a start that went past the hook. The domain runs on. */
    void assertEventsArrive(GuardedHost host, String domain) {
        Eventually.await(
                "a connection to libvirt", SOON, () -> host.statusJson().contains("\"connected\":true"));
        String disk = hosts.disk(domain);
        host.host.sh("chmod -x " + GuardedHost.HOOK).mustSucceed();
        create(host, domain, disk).mustSucceed();
        host.host.sh("chmod +x " + GuardedHost.HOOK).mustSucceed();
        host.awaitLeases(domain, 1, BY_EVENT);
    }

    void aLostLeaseEndsTheDomainInTimeWhileItHangs() {
        GuardedHost a = hosts.a;
        String disk = hosts.disk("hung");
        create(a, "hung", disk).mustSucceed();
        a.host.sh("systemctl kill -s STOP " + unit).mustSucceed();
        try {
            assertGoneInTime("hung");
            a.host.awaitJournal("vmguard", "SIGKILL to domain hung");
        } finally {
            a.host.sh("systemctl kill -s CONT " + unit).mustSucceed();
        }
        a.awaitReady();
        Eventually.await(
                "libvirt to see that it is gone",
                SOON,
                () -> a.host.runningDomains().isEmpty());
        create(a, "again", disk).mustSucceed();
    }

    /** Stalls the leases of the first host until that domain has no QEMU there. The last renewal began before that. */
    void assertGoneInTime(String domain) {
        GuardedHost a = hosts.a;
        QemuProcess qemu = a.qemu(domain);
        a.leaseDirectory("stall");
        try {
            long stalledNanos = System.nanoTime();
            Eventually.await(
                    "the QEMU of " + domain + " to be gone", LOST.plus(DESTROY).plus(SOON), qemu::isGone);
            Duration gone = Duration.ofNanos(System.nanoTime() - stalledNanos);
            System.out.printf("%s: %s gone %.1f s after the stall%n", unit, domain, gone.toMillis() / 1000.0);
            assertThat(gone).isLessThan(LOST.plus(DESTROY).plus(KILL_SLACK));
        } finally {
            a.leaseDirectory("ok");
        }
    }

    void anAutostartedDomainRunsWithItsLeaseAfterABoot() {
        GuardedHost b = hosts.b;
        String disk = hosts.disk("autostart");
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
        assertStartedAfterTheAgent(b);
        hosts.assertTaken(disk, "boots", b);
    }

    void assertStartedAfterTheAgent(GuardedHost host) {
        long agentReady = Long.parseLong(host.host.property("vmguard", "ActiveEnterTimestampMonotonic"));
        assertThat(Long.parseLong(host.host.property(unit, "ExecMainStartTimestampMonotonic")))
                .as("%s starts its domains when the agent is ready", unit)
                .isGreaterThanOrEqualTo(agentReady);
    }

    String mainPid(GuardedHost host) {
        return host.host.property(unit, "MainPID");
    }
}
