/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.TwoHosts.create;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Lost leases on two hosts with real libvirt and QEMU: each domain gets what its {@code <on_lockfailure>} says, and everything that must be
 * over in time is, also if libvirtd or the agent was stopped meanwhile.
 *
 * <p>io_timeout is 3 s and watchdog_timeout 10 s: lost after 24 s, SIGKILL after 29 s, and after 34 s the other host may have the leases.
 */
@NeedsTestImage
class GuardFenceIT {
    private static final SharedDir IMAGES = SharedDir.create("images");
    private static final int PORT_A = 16571;
    private static final int PORT_B = 16572;

    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts(
            (host, builder) -> {
                boolean a = host.equals("node-a");
                builder.bind(IMAGES, "/images")
                        .tcpPort(a ? PORT_A : PORT_B)
                        .migrationPorts(a ? 49510 : 49530, a ? 49529 : 49549);
            },
            "io_timeout: 3s",
            "watchdog_timeout: 10s",
            "hook_timeout: 5s",
            "allow_ignore_lockfailure: true");

    private static final Duration LOST = Duration.ofSeconds(24);
    private static final Duration KILLED = LOST.plusSeconds(5);
    /** Others may have the leases then: who is dead only later has written too long. */
    private static final Duration OTHERS = LOST.plusSeconds(10);

    private static final Duration SOON = Duration.ofSeconds(30);

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;
    private boolean taken;

    @AfterAll
    static void removeImages() {
        IMAGES.close();
    }

    @Test
    void eachDomainGetsWhatItsLockFailureSaysAlsoOnItsWayToAnotherHost() {
        String overtaken = HOSTS.disk("overtaken");
        String plain = HOSTS.disk("plain");
        String careless = HOSTS.disk("careless");
        start(a, "plain", "", plain);
        start(a, "waits", "pause", HOSTS.disk("waits"));
        start(a, "overtaken", "pause", overtaken);
        start(a, "careless", "ignore", careless);
        a.host.sh(xml("again", "restart", HOSTS.disk("again")) + " | virsh define /dev/stdin && virsh start again")
                .mustSucceed();
        for (String domain : List.of("plain", "waits", "overtaken", "careless", "again")) {
            a.awaitLeases(domain, 1, SOON);
        }
        assertThat(a.status()).contains("careless has on_lockfailure ignore").contains("worst case now");
        QemuProcess plainly = a.qemu("plain");
        QemuProcess again = a.qemu("again");
        String waits = a.pid("waits");
        List<Traveller> travellers = Traveller.setOff(IMAGES, a, b, PORT_B, List.of("pause", "restart", "ignore"));

        a.leaseDirectory("stall");
        long stalledNanos = System.nanoTime();
        try {
            Eventually.await("the end of what ends", OTHERS, () -> plainly.isGone() && again.isGone());
            assertThat(since(stalledNanos)).as("plain and again are gone").isLessThan(OTHERS);
            Eventually.await("the pauses", OTHERS, () -> a.isStopped("waits") && a.isStopped("overtaken"));
            assertThat(since(stalledNanos)).as("the paused are").isLessThan(OTHERS);
            assertThat(a.pid("waits")).isEqualTo(waits);
            assertThat(runs(a, "careless")).isTrue();
            travellers.forEach(Traveller::awaitWhatItsLockFailureSays);
            a.host.awaitJournal("vmguard", "RUNS ON: its on_lockfailure is ignore");

            Eventually.await(
                    "the other host to have a disk",
                    OTHERS.plus(SOON),
                    () -> create(b, "thief", overtaken).ok());
            b.host.virsh("destroy", "thief").mustSucceed();
        } finally {
            a.leaseDirectory("ok");
        }

        a.awaitReady();
        Eventually.await("what had another owner to end", SOON, () -> !runs(a, "overtaken"));
        Eventually.await("what had none to be let go on", SOON, () -> !a.isStopped("waits"));
        a.awaitLeases("waits", 1, SOON);
        assertThat(a.pid("waits")).isEqualTo(waits);
        assertThat(a.host.virsh("domstate", "waits").mustSucceed().stdout()).contains("paused");
        a.host.virsh("resume", "waits").mustSucceed();
        Eventually.await("the restart", Duration.ofSeconds(60), () -> runs(a, "again"));
        a.awaitLeases("again", 1, SOON);
        assertThat(runs(a, "plain")).isFalse();
        travellers.forEach(Traveller::awaitWhatFollows);

        a.host.sh("virsh destroy careless; virsh destroy again; virsh undefine again")
                .mustSucceed();
        canBeHad(a, plain);
        canBeHad(a, careless);
    }

    @Test
    void whoWantsToBePausedIsKilledInTimeIfLibvirtdHangs() {
        String disk = HOSTS.disk("hung");
        start(a, "hung", "pause", disk);
        a.awaitLeases("hung", 1, SOON);
        QemuProcess hung = a.qemu("hung");
        a.host.sh("systemctl kill -s STOP libvirtd").mustSucceed();
        a.leaseDirectory("stall");
        long stalledNanos = System.nanoTime();
        try {
            Eventually.await("the QEMU of hung to be gone", OTHERS, hung::isGone);
            assertThat(since(stalledNanos)).isLessThan(OTHERS);
        } finally {
            a.host.sh("systemctl kill -s CONT libvirtd").mustSucceed();
            a.leaseDirectory("ok");
        }
        Eventually.await("the log of it", SOON, () -> {
            assertThat(a.host.journal("vmguard")).containsPattern("VG-311 SIGKILL to domain hung .*: sent");
            return true;
        });
        a.awaitReady();
        canBeHad(a, disk);
    }

    @Test
    void anAgentThatWakesUpTooLateFencesBeforeItDoesAnythingElse() {
        // systemd would replace an agent that makes no progress, well before this is over.
        b.host.sh("mkdir -p /run/systemd/system/vmguard.service.d; cd /run/systemd/system/vmguard.service.d; "
                        + "printf '[Service]\\nWatchdogSec=0\\n' > no-watchdog.conf; systemctl daemon-reload; "
                        + "systemctl restart vmguard")
                .mustSucceed();
        b.awaitReady();
        String agent = b.host.property("vmguard", "MainPID");
        String disk = HOSTS.disk("overdue");
        start(b, "overdue", "", disk);
        b.awaitLeases("overdue", 1, SOON);
        // Alone: whoever else would kill in its place is stopped too.
        b.host.sh("systemctl stop vmguard-deadman 2>/dev/null; true").mustSucceed();
        assertThat(b.host.property("vmguard", "MainPID")).isEqualTo(agent);
        b.host.sh("systemctl kill -s STOP vmguard").mustSucceed();
        long stoppedNanos = System.nanoTime();
        Eventually.await(
                "more than the time to kill",
                KILLED.plus(SOON),
                () -> since(stoppedNanos).compareTo(KILLED.plusSeconds(1)) > 0);
        QemuProcess overdue = b.qemu("overdue");
        b.host.sh("systemctl kill -s CONT vmguard").mustSucceed();
        long wokenNanos = System.nanoTime();
        Eventually.await("the QEMU of overdue to be gone", Duration.ofSeconds(5), overdue::isGone);
        assertThat(since(wokenNanos)).isLessThan(Duration.ofSeconds(5));
        // The log waits for nobody, and nobody for the log.
        Eventually.await("the log of it", SOON, () -> b.host.journal("vmguard").contains("membership lost"));
        String journal = b.host.journal("vmguard");
        assertThat(journal).contains("the guard did not run for").contains("SIGKILL to domain overdue");
        assertThat(journal.indexOf("SIGKILL to domain overdue")).isLessThan(journal.indexOf("membership lost"));
        b.awaitReady();
        canBeHad(b, disk);
    }

    @Test
    void whatAnAgentHeldIsKeptThoughSomebodyHasDamagedItsRecord() {
        String disk = HOSTS.disk("noted");
        start(b, "noted", "", disk);
        b.awaitLeases("noted", 1, SOON);
        String owner = b.owner();
        String qemu = b.pid("noted");
        b.host.sh("systemctl kill -s KILL vmguard; for f in /run/vmguard/*.membership; do truncate -s 40 $f; done")
                .mustSucceed();
        whileTheOtherHostTries(disk, "VG-117", () -> b.host.journal("vmguard").contains("VG-117"));
        whileTheOtherHostTries(disk, "the lease", () -> {
            b.awaitReady();
            b.awaitLeases("noted", 1, SOON);
            return true;
        });
        assertThat(b.owner()).isEqualTo(owner);
        assertThat(b.pid("noted")).isEqualTo(qemu);
        b.host.virsh("destroy", "noted").mustSucceed();
        canBeHad(a, disk);
    }

    @Test
    void ifNothingIsLeftOfAnAgentsFilesItsDomainsEndBeforeAnybodyHasTheirDisks() {
        String disk = HOSTS.disk("forgotten");
        start(b, "forgotten", "", disk);
        b.awaitLeases("forgotten", 1, SOON);
        b.host.sh("systemctl kill -s KILL vmguard; rm -f /run/vmguard/*").mustSucceed();
        BooleanSupplier ended = () -> !runs(b, "forgotten");
        whileTheOtherHostTries(disk, "the end of its QEMU", ended, ended);
        b.host.awaitJournal("vmguard", "VG-302", "forgotten");
        b.awaitReady();
        canBeHad(a, disk);
    }

    /** Nobody else may have the disk while a QEMU of b has it. */
    private void whileTheOtherHostTries(String disk, String what, BooleanSupplier condition) {
        whileTheOtherHostTries(disk, what, condition, () -> false);
    }

    /** @param free asked when the other host has the disk: it may have come to be free meanwhile */
    private void whileTheOtherHostTries(String disk, String what, BooleanSupplier condition, BooleanSupplier free) {
        Eventually.await(what, OTHERS.plus(SOON), () -> {
            boolean over = condition.getAsBoolean();
            if (!over && create(a, "thief", disk).ok()) {
                taken = !free.getAsBoolean();
                a.host.virsh("destroy", "thief");
            }
            return over || taken;
        });
        assertThat(taken).as("the other host has the disk").isFalse();
    }

    @Test
    void aLibvirtdThatIsStartedWhenItIsAskedForIsThereForAsLongAsTheAgent() {
        a.host.sh("mkdir -p /run/systemd/system/libvirtd.service.d; cd /run/systemd/system/libvirtd.service.d; "
                        + "printf '[Service]\\nEnvironment=\"LIBVIRTD_ARGS=--timeout 5\"\\n' > idle.conf; systemctl daemon-reload; "
                        + "systemctl restart libvirtd")
                .mustSucceed();
        try {
            // Without domains and without an agent it ends; a connection starts it, and the agent's keeps it.
            a.host.sh("systemctl stop vmguard").mustSucceed();
            Eventually.await(
                    "libvirtd to end", Duration.ofSeconds(60), () -> libvirtd().equals("0"));
            a.host.sh("systemctl start vmguard").mustSucceed();
            a.awaitReady();
            Eventually.await("libvirtd", SOON, () -> !libvirtd().equals("0"));
            String kept = libvirtd();
            long idleNanos = System.nanoTime();
            Eventually.await(
                    "three times its idle time",
                    Duration.ofSeconds(30),
                    () -> since(idleNanos).compareTo(Duration.ofSeconds(15)) > 0);
            assertThat(libvirtd()).isEqualTo(kept);

            // Somebody stops it: the agent's next connection starts another one, and starts are answered.
            a.host.sh("systemctl stop libvirtd.service").mustSucceed();
            String disk = HOSTS.disk("alone");
            start(a, "alone", "", disk);
            a.awaitLeases("alone", 1, SOON);
            QemuProcess alone = a.qemu("alone");

            // And with its sockets closed nobody can start it; nobody needs it either.
            a.host.sh("systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service")
                    .mustSucceed();
            assertThat(libvirtd()).isEqualTo("0");
            a.leaseDirectory("stall");
            long stalledNanos = System.nanoTime();
            Eventually.await("the QEMU of alone to be gone", OTHERS, alone::isGone);
            assertThat(since(stalledNanos)).isLessThan(OTHERS);
            a.leaseDirectory("ok");
            a.host.sh("systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket")
                    .mustSucceed();
            a.awaitReady();
            canBeHad(a, disk);
        } finally {
            a.leaseDirectory("ok");
            a.host.sh(
                    "rm -f /run/systemd/system/libvirtd.service.d/idle.conf; systemctl daemon-reload; "
                            + "systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket; systemctl restart libvirtd");
        }
    }

    /** Its process; 0 if there is none. */
    private String libvirtd() {
        return a.host.property("libvirtd", "MainPID");
    }

    /** A lost lease stays as it was until somebody takes it. */
    private static void canBeHad(GuardedHost host, String disk) {
        Eventually.await(
                "a start on " + disk, SOON, () -> create(host, "next", disk).ok());
        host.host.virsh("destroy", "next").mustSucceed();
    }

    // ---- looking at hosts

    private static String xml(String name, String lockFailure, String disk) {
        String element = lockFailure.isEmpty() ? "" : "<on_lockfailure>" + lockFailure + "</on_lockfailure>";
        return "test-domain " + name + " --file " + disk + " | sed 's|<on_crash>|" + element + "<on_crash>|'";
    }

    private static void start(GuardedHost host, String name, String lockFailure, String disk) {
        host.host
                .sh(xml(name, lockFailure, disk) + " | virsh create /dev/stdin")
                .mustSucceed();
    }

    private static boolean runs(GuardedHost host, String domain) {
        return host.hasQemu(domain);
    }

    private static Duration since(long nanos) {
        return Duration.ofNanos(System.nanoTime() - nanos);
    }
}
