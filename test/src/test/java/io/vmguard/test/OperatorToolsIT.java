/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** The first minutes of two hosts and what their operator asks, with the built package, systemd and libvirtd. */
@NeedsTestImage
@Execution(ExecutionMode.CONCURRENT)
class OperatorToolsIT {
    private static final Path DEB = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));
    private static final Duration LIMIT = Duration.ofMinutes(5);
    /** An agent that is restarted with a lease held has 24 s, a third of which it may need on a busy machine. */
    private static final String IO_TIMEOUT = "3s";

    @Test
    void twoHostsAreSetUpExaminedAndAskedFromTheInstallationOn() {
        try (SharedDir leases = SharedDir.create("leases");
                TestHost a = host("node-a", leases);
                TestHost b = host("node-b", leases)) {
            try {
                initFindsOutWhetherTheDirectoryIsShared(a, b);
                aHealthyHostHasNothingRed(a);
                theSwitchToObserveAndBackLeavesDomainsAndLeasesAlone(a);
                aHookThatIsNotCalledIsRedHoweverItLooks(a);
                withoutRightsACommandAnswersWithASentence(b);
            } catch (AssertionError e) {
                throw LastWords.with(e, Stream.of(a, b));
            }
        }
    }

    @Test
    void aStockHostIsMovedByOneCommandUnderItsOwnHostId() {
        try (SharedDir leases = SharedDir.create("leases");
                TestHost stock = TestHost.named("stock")
                        .bind(leases, "/shared-leases")
                        .bind(DEB.getParent(), "/packages")
                        .start()) {
            stock.sh("""
                    printf '%s\\n' 'auto_disk_leases = 1' 'host_id = 200' 'io_timeout = 2' 'disk_lease_dir = "/shared-leases"' \\
                        >/etc/libvirt/qemu-sanlock.conf
                    echo 'lock_manager = "sanlock"' >>/etc/libvirt/qemu.conf
                    systemctl start sanlock && systemctl restart libvirtd && testhost-ready 60
                    test-guest make /var/lib/libvirt/images/vm1.img""").mustSucceed();
            stock.run(LIMIT, "dpkg", "-i", "/packages/" + DEB.getFileName()).mustSucceed();
            stock.createDomain("demo1", "--file", "/var/lib/libvirt/images/vm1.img")
                    .mustSucceed();
            assertThat(stock.run("vmguard", "import-sanlock").mustSucceed().stdout())
                    .contains("host_id: 200", "lease_dir: /shared-leases", "Host by host");
            assertThat(stock.run("vmguard", "import-sanlock", "--apply", "--yes")
                            .mustFail()
                            .stderr())
                    .contains("They are: demo1");
            stock.virsh("destroy", "demo1").mustSucceed();
            stock.run(LIMIT, "vmguard", "import-sanlock", "--apply", "--yes").mustSucceed();
            stock.sh("testhost-ready 60").mustSucceed();
            assertThat(stock.run("vmguard", "status").mustSucceed().stdout())
                    .contains("in /shared-leases: member", "host id 200,");
            assertThat(stock.sh("sanlock client status").output()).doesNotContain("s __LIBVIRT__DISKS__");
            assertThat(stock.sh("vmguard doctor || :").mustSucceed().stdout())
                    .containsPattern("green +lock_manager")
                    .containsPattern("green +hook_active");
            stock.createDomain("demo1", "--file", "/var/lib/libvirt/images/vm1.img")
                    .mustSucceed();
            assertThat(stock.run("vmguard", "whohas", "/var/lib/libvirt/images/vm1.img")
                            .mustSucceed()
                            .stdout())
                    .contains("demo1");
        }
    }

    /** Booted, with the package on it as somebody leaves it who has not configured anything. */
    private static TestHost host(String name, SharedDir leases) {
        TestHost host = TestHost.named(name)
                .bind(leases, "/shared-leases")
                .bind(DEB.getParent(), "/packages")
                .start();
        try {
            host.run(LIMIT, "dpkg", "-i", "/packages/" + DEB.getFileName()).mustSucceed();
            return host;
        } catch (RuntimeException | Error e) {
            host.close();
            throw e;
        }
    }

    private static void initFindsOutWhetherTheDirectoryIsShared(TestHost a, TestHost b) {
        Ran alone = a.run(
                        LIMIT, "vmguard", "init", "--yes", "--lease-dir", "/shared-leases", "--io-timeout", IO_TIMEOUT)
                .mustFail();
        assertThat(alone.stderr()).contains("no other host has ever joined there", "--alone");
        Ran first = a.run(
                        LIMIT,
                        "vmguard",
                        "init",
                        "--yes",
                        "--alone",
                        "--lease-dir",
                        "/shared-leases",
                        "--io-timeout",
                        IO_TIMEOUT)
                .mustSucceed();
        assertThat(first.stdout()).contains("This will be done:", "of lockspace __LIBVIRT__DISKS__ in /shared-leases");
        assertThat(a.run(LIMIT, "vmguard", "init", "--alone").mustSucceed().stdout())
                .contains("nothing to do");
        Ran second = b.run(
                        LIMIT,
                        "vmguard",
                        "init",
                        "--yes",
                        "--lease-dir",
                        "/shared-leases",
                        "--io-timeout",
                        IO_TIMEOUT,
                        "--peers",
                        "node-a")
                .mustSucceed();
        assertThat(second.stdout()).contains("node-a, live");
        assertThat(a.run(LIMIT, "vmguard", "init", "--peers", "node-z")
                        .mustFail()
                        .stderr())
                .contains("node-z is not seen");
    }

    /**
     * Asks it until it says what it should. Where the processors are busy a program that it runs may need longer than it waits, and then it
     * says that.
     */
    private static void awaitDoctor(TestHost host, int worst, Consumer<String> check, String... more) {
        Eventually.await("the doctor to say so", Duration.ofSeconds(120), () -> {
            check.accept(doctor(host, worst, more));
            return true;
        });
    }

    private static String doctor(TestHost host, int worst, String... more) {
        Ran ran = host.sh("vmguard doctor " + String.join(" ", more) + "; echo \"exit $?\"")
                .mustSucceed();
        assertThat(host.sh("virsh list --all --name; ps -eo args | grep '[v]mguard-doctor-' || :")
                        .output())
                .as("nothing is left of the probe")
                .doesNotContain("vmguard-doctor-");
        List<String> lines = ran.stdout().lines().toList();
        String last = lines.get(lines.size() - 1);
        assertThat(Integer.parseInt(last.replace("exit ", ""))).as(ran.output()).isLessThanOrEqualTo(worst);
        return ran.stdout();
    }

    private static void aHealthyHostHasNothingRed(TestHost a) {
        // A container has no watchdog, and its lease directory lies on a local disk of this machine: yellow.
        awaitDoctor(
                a,
                1,
                seen -> assertThat(seen)
                        .containsPattern(
                                "green +hook_active +libvirt called the hook for a probe, and the agent answered")
                        .containsPattern("green +lease_directory .*node-b")
                        // Yellow if the disk of a machine that has much to do takes a tenth of io_timeout once.
                        .containsPattern("(green|yellow) +lease_io .*direct writes and reads of 512 bytes")
                        .containsPattern("green +hook_installed")
                        .containsPattern("green +agent")
                        .containsPattern("yellow +watchdog")
                        .doesNotContain("RED"),
                "--peers",
                "node-b");
        awaitDoctor(
                a,
                2,
                seen -> assertThat(seen).containsPattern("RED +lease_directory .*no renewal of node-z"),
                "--peers",
                "node-b,node-z");
    }

    private static void theSwitchToObserveAndBackLeavesDomainsAndLeasesAlone(TestHost a) {
        a.sh("test-guest make /var/lib/libvirt/images/vm1.img").mustSucceed();
        a.createDomain("demo1", "--file", "/var/lib/libvirt/images/vm1.img").mustSucceed();
        a.run(LIMIT, "vmguard", "mode", "observe", "--yes").mustSucceed();
        a.createDomain(
                "demo2", "--file", "/var/lib/libvirt/images/vm1.img"); // QEMU's own lock may refuse it on one host
        Ran mode = a.run("vmguard", "mode").mustFail();
        assertThat(mode.stdout())
                .contains("mode observe", "1 starts would have been refused", "in use by domain demo1");
        a.sh("virsh destroy demo2 || :").mustSucceed();
        a.run(LIMIT, "vmguard", "mode", "enforce", "--yes").mustSucceed();
        assertThat(a.runningDomains()).containsExactly("demo1");
        assertThat(a.createDomain("demo2", "--file", "/var/lib/libvirt/images/vm1.img")
                        .mustFail()
                        .stderr())
                .contains("in use by domain demo1");
        assertThat(a.run("vmguard", "events").mustSucceed().stdout()).contains("WARN VG-203 refused: ");
        a.virsh("destroy", "demo1").mustSucceed();
    }

    private static void aHookThatIsNotCalledIsRedHoweverItLooks(TestHost a) {
        a.sh("mv " + GuardedHost.HOOK + " /root/hook").mustSucceed();
        awaitDoctor(
                a,
                2,
                seen -> assertThat(seen)
                        .containsPattern("RED +hook_installed")
                        .containsPattern("RED +hook_active +libvirt did not call the hook"));
        // Installed again while libvirt has looked for hooks and found none: it looks as it should, and is not called.
        a.sh("systemctl restart libvirtd && testhost-ready 60 && mv /root/hook " + GuardedHost.HOOK)
                .mustSucceed();
        awaitDoctor(
                a,
                2,
                seen -> assertThat(seen)
                        .containsPattern("green +hook_installed")
                        .containsPattern("RED +hook_active +libvirt did not call the hook"));
        a.sh("systemctl reload libvirtd").mustSucceed();
        awaitDoctor(a, 2, seen -> assertThat(seen).containsPattern("green +hook_active "));
        a.sh("chmod a-x " + GuardedHost.HOOK).mustSucceed();
        awaitDoctor(a, 2, seen -> assertThat(seen).containsPattern("RED +hook_installed .*not executable"));
        a.sh("chmod 0755 " + GuardedHost.HOOK).mustSucceed();
    }

    private static void withoutRightsACommandAnswersWithASentence(TestHost b) {
        for (String command : List.of(
                "status",
                "events",
                "hosts",
                "leases",
                "lease list",
                "lease show x",
                "lease dump",
                "lease release --confirm-dead x",
                "whohas /x",
                "explain --on x",
                "doctor",
                "mode")) {
            Ran ran = b.sh("runuser -u nobody -- vmguard " + command + " </dev/null; echo \"exit $?\"")
                    .mustSucceed();
            assertThat(ran.output())
                    .as(command)
                    .doesNotContain("Exception", "\tat ", "internal error", "exit 0\n", "exit 70")
                    .containsPattern(
                            "(?i)permission denied|cannot tell|does not answer|no agent|not a member|not permitted|no such file|nothing was done");
        }
    }
}
