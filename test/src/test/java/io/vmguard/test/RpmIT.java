/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * The RPM's scriptlets, under a running systemd and libvirtd. The host is Debian, so dependencies are not looked at; what EL has else,
 * SELinux for one, is not there.
 */
@NeedsTestImage
class RpmIT {
    /** Joining waits for a multiple of io_timeout. */
    private static final Duration INSTALL_LIMIT = Duration.ofMinutes(6);

    private static final Duration LIMIT = Duration.ofMinutes(3);

    private static Path rpm;

    private static TestHost host;

    @RegisterExtension
    static final LastWords LAST_WORDS = new LastWords(() -> Stream.ofNullable(host));

    @BeforeAll
    static void boot() {
        Optional<Path> built = BuiltPackage.findRpm();
        if (built.isEmpty()) {
            System.err.println("SKIPPED RpmIT: there is no target/vmguard-*.noarch.rpm: run make rpm");
        }
        Assumptions.assumeTrue(built.isPresent(), "run make rpm first");
        rpm = built.orElseThrow();
        host = TestHost.named("node-r")
                .bind(rpm.getParent(), "/packages")
                .bind(Path.of("..", "packaging", "rpm"), "/spec")
                .start();
        host.sh("mkdir -p /leases /images; truncate -s 1M /images/vm1.img /images/vm2.img /images/vm3.img")
                .mustSucceed();
        // Built from the same files by the rpmbuild of the host, as a later version.
        host.run(LIMIT, "bash", "-euc", """
                mkdir -p /next/SOURCES; cd /next; tar -xf /packages/rpm/SOURCES/vmguard-*.tar
                mv vmguard-* vmguard-9.8.7; old=$(sed -n 's/^Version: *//p' /spec/vmguard.spec)
                """ + NextVersion.OF_JARS.formatted("/next/vmguard-9.8.7/files/lib") + """

                tar -cf SOURCES/vmguard-9.8.7.tar vmguard-9.8.7
                sed "s/^Version: .*/Version: 9.8.7/; s/ - $old-/ - 9.8.7-/" /spec/vmguard.spec >vmguard.spec
                rpmbuild -bb --define '_topdir /next' vmguard.spec >/next/log 2>&1 || { tail -20 /next/log; exit 1; }
                mv RPMS/noarch/vmguard-9.8.7-*.rpm /next/next.rpm""")
                .mustSucceed();
    }

    @AfterAll
    static void shutDown() {
        if (host != null) {
            host.close();
        }
    }

    @BeforeEach
    void configure() {
        host.sh(
                        "mkdir -p /etc/vmguard; printf '%s\\n' 'lease_dir: /leases' 'io_timeout: 3s' > /etc/vmguard/vmguard.yaml")
                .mustSucceed();
    }

    /** As if it had never been there. */
    @AfterEach
    void purge() {
        host.sh("for domain in $(virsh list --name); do virsh destroy $domain; done;"
                        + " if rpm -q vmguard >/dev/null; then rpm --force-debian -e vmguard; fi;"
                        + " rm -rf /etc/vmguard /etc/libvirt/hooks/qemu.d /leases/* /var/lib/vmguard /run/vmguard")
                .mustSucceed();
    }

    @Test
    void domainsLiveThroughInstallationUpgradeAndRemoval() {
        create("early", 1).mustSucceed();
        String early = host.qemuPid("early");

        rpm("-i", inHost()).mustSucceed();
        assertThat(host.sh("systemctl is-active vmguard && systemctl is-enabled vmguard")
                        .mustSucceed()
                        .stdout()
                        .lines())
                .containsExactly("active", "enabled");
        host.sh("cmp " + GuardedHost.HOOK + " /usr/share/vmguard/qemu-hook && [ -x " + GuardedHost.HOOK + " ]")
                .mustSucceed();
        assertThat(host.sh("ls -A /etc/libvirt/hooks /etc/libvirt/hooks/qemu.d").stdout())
                .as("nothing else is where libvirt looks for hooks")
                .doesNotContain("new");
        assertThat(host.sh("cat /etc/vmguard/vmguard.yaml").stdout())
                .as("a configuration that was there stays")
                .contains("io_timeout: 3s");
        anArchiveOfClassesFits();
        theRunningLibvirtAsks();

        String guarded = host.qemuPid("guarded");
        String agent = agentPid();
        // rpm treats it as an upgrade: the scriptlets of the new package, then those of the old one, with the same
        // arguments.
        rpm("-U", "--force", inHost()).mustSucceed();
        assertThat(agentPid()).as("the agent is a new one").isNotEqualTo(agent).isNotEqualTo("0");
        anArchiveOfClassesFits();
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).containsExactly(early, guarded);
        Eventually.await(
                "leases to be held again",
                Duration.ofSeconds(60),
                () -> host.run("vmguard", "status").stdout().split("held for", -1).length == 5);
        assertThat(create("second", 2).mustFail().stderr()).contains("in use by domain guarded on host node-r");

        String owner = owner();
        rpm("-U", "/next/next.rpm").mustSucceed();
        itIsNow(NextVersion.NUMBER, agent);
        goesOn(early, guarded, owner);
        host.sh(NextVersion.IN_THE_RECORD).mustSucceed();
        host.run("rm", GuardedHost.HOOK).mustSucceed();
        rpm("-U", "--oldpackage", inHost()).mustSucceed();
        itIsNow(host.sh("rpm -q --qf '%{VERSION}' vmguard").stdout(), agent);
        goesOn(early, guarded, owner);

        // An agent that may not go keeps the package here, and what is here stays whole.
        host.run("mkdir", BuiltPackage.IN_THE_WAY_OF_A_STOP).mustSucceed();
        assertThat(rpm("-e", "vmguard").mustFail().output())
                .contains("the agent goes on: ", "vmguard: not removed.", "systemctl stop vmguard");
        host.run("rmdir", BuiltPackage.IN_THE_WAY_OF_A_STOP).mustSucceed();
        goesOn(early, guarded, owner);

        rpm("-e", "vmguard").mustSucceed();
        nothingIsLeftBut("/etc/vmguard/vmguard.yaml.rpmsave");
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).containsExactly(early, guarded);
        create("late", 3).mustSucceed();
        host.virsh("destroy", "late").mustSucceed();
        host.sh("ls -A /leases | grep -q .").mustSucceed();

        host.sh("mv /etc/vmguard/vmguard.yaml.rpmsave /etc/vmguard/vmguard.yaml")
                .mustSucceed();
        rpm("-i", inHost()).mustSucceed();
        Eventually.await(
                "the agent to be a member",
                Duration.ofSeconds(60),
                () -> host.run("vmguard", "status").ok());
        goesOn(early, guarded, owner());
    }

    private void itIsNow(String version, String firstAgent) {
        assertThat(agentPid()).isNotEqualTo(firstAgent).isNotEqualTo("0");
        assertThat(host.sh("ls /usr/share/vmguard/lib | grep vmguard-agent")
                        .stdout()
                        .strip())
                .as("never the jars of two versions on one class path")
                .isEqualTo("vmguard-agent-" + version + ".jar");
        assertThat(host.run("vmguard", "status", "--json").stdout()).contains("\"version\":\"" + version + "\"");
        anArchiveOfClassesFits();
    }

    /** After whatever was done to it with domains running. */
    private void goesOn(String early, String guarded, String owner) {
        Eventually.await(
                "leases to be held again",
                Duration.ofSeconds(60),
                () -> host.run("vmguard", "status").stdout().split("held for", -1).length == 5);
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).containsExactly(early, guarded);
        assertThat(owner()).as("no lease was lost on the way").isEqualTo(owner);
        host.sh("cmp " + GuardedHost.HOOK + " /usr/share/vmguard/qemu-hook && [ -x " + GuardedHost.HOOK + " ]")
                .mustSucceed();
        host.sh("systemctl is-active vmguard vmguard-deadman && systemctl is-enabled vmguard vmguard-deadman")
                .mustSucceed();
        assertThat(create("second", 2).mustFail().stderr()).contains("in use by domain guarded on host node-r");
        create("third", 3).mustSucceed();
        host.virsh("destroy", "third").mustSucceed();
    }

    /** Host id and generation: after a loss it would be another. */
    private static String owner() {
        return host.run("vmguard", "status", "--json")
                .stdout()
                .replaceFirst("(?s).*?(\"host_id\":[0-9]+,\"generation\":[0-9]+).*", "$1");
    }

    @Test
    void withAConfigurationThatIsWrongItRefusesUntilItIsRemoved() {
        host.sh("echo 'io_timout: 3s' >> /etc/vmguard/vmguard.yaml").mustSucceed();
        assertThat(rpm("-i", inHost()).mustSucceed().output()).contains("the agent did not start");
        assertThat(create("late", 3).mustFail().stderr())
                .contains("the lease agent does not answer", "systemctl status vmguard");
        rpm("-e", "vmguard").mustSucceed();
        nothingIsLeftBut("/etc/vmguard/vmguard.yaml.rpmsave");
        create("late", 3).mustSucceed();
    }

    @Test
    void itIsSmall() throws IOException {
        assertThat(Files.size(rpm)).isLessThanOrEqualTo(BuiltPackage.MAX_BYTES);
    }

    /** What EL and Fedora would say at every boot about a line that systemd does not understand. */
    @Test
    void systemdFindsNothingToSayAboutTheUnits() {
        rpm("-i", inHost()).mustSucceed();
        Ran verified = host.sh(
                "systemd-analyze verify --man=no /usr/lib/systemd/system/vmguard.service /usr/lib/systemd/system/vmguard-deadman.service");
        assertThat(verified.mustSucceed().output().lines().filter(line -> line.contains("vmguard")))
                .isEmpty();
    }

    private static void anArchiveOfClassesFits() {
        host.sh("VMGUARD_SHARE=on vmguard --version").mustSucceed();
    }

    private void theRunningLibvirtAsks() {
        create("guarded", 2).mustSucceed();
        // The agent looks at what runs when it is a member and libvirt has answered: a moment after its start.
        Eventually.await("both to be held, one found running, one granted", Duration.ofSeconds(60), () -> {
            assertThat(host.run("vmguard", "status").mustSucceed().stdout())
                    .containsPattern("(?s)early .*held for.*guarded .*held for|guarded .*held for.*early .*held for");
            return true;
        });
        assertThat(create("second", 2).mustFail().stderr())
                .contains("vmguard: vda (file:/images/vm2.img) is in use by domain guarded on host node-r");
    }

    @Test
    void aHookOfSomebodyElseInItsPlaceIsLeftAlone() {
        String foreign = "mkdir -p /etc/libvirt/hooks/qemu.d; printf '#!/bin/sh\\nexit 0\\n' > " + GuardedHost.HOOK
                + "; chmod 755 " + GuardedHost.HOOK;
        host.sh(foreign).mustSucceed();
        assertThat(rpm("-i", inHost()).mustSucceed().output()).contains("is left alone: DOMAINS ARE NOT PROTECTED");
        rpm("-e", "vmguard").mustSucceed();
        assertThat(host.sh("cat " + GuardedHost.HOOK).mustSucceed().stdout()).isEqualTo("#!/bin/sh\nexit 0\n");
    }

    /** As when the image of a host is made: the files of systemd are there, but it does not run. */
    @Test
    void withoutARunningSystemdItIsReadyForTheNextBoot() {
        assertThat(offline("rpm --nodeps --force-debian -i " + inHost())
                        .mustSucceed()
                        .output())
                .doesNotContain("Failed")
                .doesNotContain("vmguard:");
        host.sh("[ -x " + GuardedHost.HOOK + " ] && systemctl is-enabled vmguard && [ -d /var/lib/vmguard/leases ]")
                .mustSucceed();
        assertThat(host.sh("systemctl is-active vmguard").output()).startsWith("inactive");
        assertThat(offline("rpm --nodeps --force-debian -e vmguard")
                        .mustSucceed()
                        .output())
                .doesNotContain("Failed");
        nothingIsLeftBut("/etc/vmguard/vmguard.yaml.rpmsave");
        assertThat(host.sh("ls -d /var/lib/vmguard").output())
                .as("directories go if they are empty")
                .contains("No such file");
    }

    private Ran offline(String command) {
        return host.run(INSTALL_LIMIT, "unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && " + command);
    }

    private void nothingIsLeftBut(String configuration) {
        assertThat(host.sh(
                                "ls -d /etc/vmguard/* /usr/bin/vmguard /usr/lib/vmguard /usr/share/vmguard /usr/libexec/vmguard /var/cache/vmguard"
                                        + " /usr/share/man/man1/vmguard* /etc/libvirt/hooks/*"
                                        + " /usr/lib/systemd/system/vmguard.service"
                                        + " /etc/systemd/system/*.wants/vmguard.service /usr/lib/tmpfiles.d/vmguard.conf"
                                        + " 2>/dev/null")
                        .stdout()
                        .lines()
                        .filter(line -> !line.endsWith(".rpmnew")))
                .containsExactly(configuration);
        assertThat(host.sh("systemctl is-active vmguard").output()).startsWith("inactive");
    }

    private Ran rpm(String... arguments) {
        // Debian's rpm asks whether one really means it.
        List<String> command = new ArrayList<>(List.of("rpm", "--nodeps", "--force-debian"));
        command.addAll(List.of(arguments));
        return host.run(INSTALL_LIMIT, command.toArray(String[]::new));
    }

    private static String inHost() {
        return "/packages/" + rpm.getFileName();
    }

    private Ran create(String domain, int image) {
        return host.createDomain(domain, "--file", "/images/vm" + image + ".img");
    }

    private String agentPid() {
        return host.property("vmguard", "MainPID");
    }
}
