/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The RPM's scriptlets, under a running systemd and libvirtd. The host is Debian, so dependencies are not looked at; what EL has else,
 * SELinux for one, is not there.
 */
@NeedsTestImage
class RpmIT {
    private static final String HOOK = "/etc/libvirt/hooks/qemu.d/50-vmguard";
    /** Joining waits for a multiple of io_timeout. */
    private static final Duration INSTALL_LIMIT = Duration.ofMinutes(2);

    private static Path rpm;

    private static TestHost host;

    @BeforeAll
    static void boot() {
        Optional<Path> built = BuiltPackage.findRpm();
        if (built.isEmpty()) {
            System.err.println("SKIPPED RpmIT: there is no target/vmguard-*.noarch.rpm: run make rpm");
        }
        Assumptions.assumeTrue(built.isPresent(), "run make rpm first");
        rpm = built.orElseThrow();
        host = TestHost.named("node-r").bind(rpm.getParent(), "/packages").start();
        host.sh("mkdir -p /leases /images; truncate -s 1M /images/vm1.img /images/vm2.img /images/vm3.img")
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
        String early = qemu("early");

        rpm("-i", inHost()).mustSucceed();
        assertThat(host.sh("systemctl is-active vmguard && systemctl is-enabled vmguard")
                        .mustSucceed()
                        .stdout()
                        .lines())
                .containsExactly("active", "enabled");
        host.sh("cmp " + HOOK + " /usr/share/vmguard/qemu-hook && [ -x " + HOOK + " ]")
                .mustSucceed();
        assertThat(host.sh("ls -A /etc/libvirt/hooks /etc/libvirt/hooks/qemu.d").stdout())
                .as("nothing else is where libvirt looks for hooks")
                .doesNotContain("new");
        assertThat(host.sh("cat /etc/vmguard/vmguard.yaml").stdout())
                .as("a configuration that was there stays")
                .contains("io_timeout: 3s");
        anArchiveOfClassesFits();
        theRunningLibvirtAsks();

        String guarded = qemu("guarded");
        String agent = agentPid();
        // rpm treats it as an upgrade: the scriptlets of the new package, then those of the old one, with the same
        // arguments.
        rpm("-U", "--force", inHost()).mustSucceed();
        assertThat(agentPid()).as("the agent is a new one").isNotEqualTo(agent).isNotEqualTo("0");
        anArchiveOfClassesFits();
        assertThat(List.of(qemu("early"), qemu("guarded"))).containsExactly(early, guarded);
        Eventually.await(
                "leases to be held again",
                Duration.ofSeconds(20),
                () -> host.run("vmguard", "status").stdout().split("held for", -1).length == 5);
        assertThat(create("second", 2).mustFail().stderr()).contains("in use by domain guarded on host node-r");

        rpm("-e", "vmguard").mustSucceed();
        nothingIsLeftBut("/etc/vmguard/vmguard.yaml.rpmsave");
        assertThat(List.of(qemu("early"), qemu("guarded"))).containsExactly(early, guarded);
        create("late", 3).mustSucceed();
        host.sh("ls -A /leases | grep -q .").mustSucceed();
    }

    private static void anArchiveOfClassesFits() {
        host.sh("VMGUARD_SHARE=on vmguard --version").mustSucceed();
    }

    private void theRunningLibvirtAsks() {
        create("guarded", 2).mustSucceed();
        assertThat(host.run("vmguard", "status").mustSucceed().stdout())
                .as("one found running, one granted")
                .containsPattern("(?s)early .*held for.*guarded .*held for|guarded .*held for.*early .*held for");
        assertThat(create("second", 2).mustFail().stderr())
                .contains("vmguard: vda (file:/images/vm2.img) is in use by domain guarded on host node-r");
    }

    @Test
    void aHookOfSomebodyElseInItsPlaceIsLeftAlone() {
        String foreign =
                "mkdir -p /etc/libvirt/hooks/qemu.d; printf '#!/bin/sh\\nexit 0\\n' > " + HOOK + "; chmod 755 " + HOOK;
        host.sh(foreign).mustSucceed();
        assertThat(rpm("-i", inHost()).mustSucceed().output()).contains("is left alone: DOMAINS ARE NOT PROTECTED");
        rpm("-e", "vmguard").mustSucceed();
        assertThat(host.sh("cat " + HOOK).mustSucceed().stdout()).isEqualTo("#!/bin/sh\nexit 0\n");
    }

    /** As when the image of a host is made: the files of systemd are there, but it does not run. */
    @Test
    void withoutARunningSystemdItIsReadyForTheNextBoot() {
        assertThat(offline("rpm --nodeps --force-debian -i " + inHost())
                        .mustSucceed()
                        .output())
                .doesNotContain("Failed")
                .doesNotContain("vmguard:");
        host.sh("[ -x " + HOOK + " ] && systemctl is-enabled vmguard && [ -d /var/lib/vmguard/leases ]")
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
        return host.run("unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && " + command);
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

    /** Process id of a domain's QEMU, which must run. */
    private String qemu(String domain) {
        return host.sh("pid=$(cat /run/libvirt/qemu/" + domain + ".pid) && kill -0 $pid && echo $pid")
                .mustSucceed()
                .stdout()
                .strip();
    }

    private String agentPid() {
        return host.sh("systemctl show -P MainPID vmguard")
                .mustSucceed()
                .stdout()
                .strip();
    }
}
