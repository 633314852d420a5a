/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What the Debian package does to a host that works: real dpkg, systemd, libvirtd and QEMU. Whatever is done to the package, a domain that
 * runs goes on, and libvirt can start domains afterwards: guarded if the package is there, unguarded if it is not.
 */
@NeedsTestImage
class PackageIT {
    /** Of an installation, which joins, archives classes, and waits for the agent. */
    private static final Duration LIMIT = Duration.ofMinutes(4);
    /** For an agent to have taken up everything after its start. */
    private static final Duration SETTLED = Duration.ofSeconds(60);

    /** Rules of AppArmor's profile of libvirtd. */
    static final List<String> LETS_THE_HOOK_RUN =
            List.of("  /etc/libvirt/hooks/** rmix,\n", "  /usr/bin/* PUx,\n", "  /bin/* PUx,\n", "  /** rwmkl,\n");

    private static final Path DEB = BuiltPackage.find().orElseThrow(() -> new AssertionError("run make deb first"));

    private static TestHost host;

    @RegisterExtension
    static final LastWords LAST_WORDS = new LastWords(() -> Stream.ofNullable(host));

    @BeforeAll
    static void boot() {
        host = TestHost.named("node-p").bind(DEB.getParent(), "/packages").start();
        host.sh("mkdir -p /leases /images /next; for i in 1 2 3 4; do truncate -s 1M /images/vm$i.img; done;"
                        + " dpkg-deb -R " + deb() + " /next/tree &&"
                        + " sed -i 's/^Version: .*/Version: " + NextVersion.NUMBER + "/' /next/tree/DEBIAN/control &&"
                        + NextVersion.OF_JARS.formatted("/next/tree/usr/share/vmguard/lib") + " &&"
                        + " dpkg-deb -Znone -b /next/tree " + next())
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
        host.sh("mkdir -p /etc/vmguard;"
                        + " printf '%s\\n' 'lease_dir: /leases' 'io_timeout: 3s' > /etc/vmguard/vmguard.yaml")
                .mustSucceed();
    }

    /** As if it had never been there. */
    @AfterEach
    void purge() {
        host.sh("for domain in $(virsh list --name); do virsh destroy $domain; done")
                .mustSucceed();
        dpkg("--purge", "vmguard").mustSucceed();
        host.sh("rm -rf /etc/vmguard /etc/libvirt/hooks/qemu.d /leases/* /var/lib/vmguard /run/vmguard")
                .mustSucceed();
    }

    @Test
    void domainsLiveThroughEverythingThatIsDoneToThePackage() {
        create("early", 1).mustSucceed();
        String early = host.qemuPid("early");

        dpkg("-i", deb()).mustSucceed();
        isInstalled();
        awaitHeld("early");
        create("guarded", 2).mustSucceed();
        List<String> running = List.of(early, host.qemuPid("guarded"));
        String owner = owner();

        String agent = agentPid();
        dpkg("-i", next()).mustSucceed();
        assertThat(agentPid()).as("an upgrade restarts the agent").isNotEqualTo(agent);
        assertThat(status()).contains("\"version\":\"" + NextVersion.NUMBER + "\"");
        goesOn(running, owner);

        host.run("rm", GuardedHost.HOOK).mustSucceed();
        dpkg("-i", next()).mustSucceed();
        goesOn(running, owner);

        host.sh(NextVersion.IN_THE_RECORD).mustSucceed();
        dpkg("-i", deb()).mustSucceed();
        assertThat(status()).as("a downgrade").doesNotContain(NextVersion.NUMBER);
        goesOn(running, owner);
        assertThat(host.sh("cat /etc/vmguard/vmguard.yaml").stdout())
                .as("a configuration that was there stays")
                .contains("io_timeout: 3s");

        // An agent that may not go keeps the package here, and what is here stays whole.
        host.run("mkdir", BuiltPackage.IN_THE_WAY_OF_A_STOP).mustSucceed();
        assertThat(dpkg("--remove", "vmguard").mustFail().output())
                .contains("the agent goes on: ", "vmguard: not removed.", "systemctl stop vmguard");
        host.run("rmdir", BuiltPackage.IN_THE_WAY_OF_A_STOP).mustSucceed();
        goesOn(running, owner);

        assertThat(dpkg("--remove", "vmguard").mustSucceed().output())
                .contains("NOBODY GUARDS these domains from now on: ");
        isGone();
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).isEqualTo(running);
        startsUnguarded();

        dpkg("-i", deb()).mustSucceed();
        isInstalled();
        awaitHeld("early", "guarded");
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).isEqualTo(running);

        dpkg("--purge", "vmguard").mustSucceed();
        isGone();
        nothingIsLeft();
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).isEqualTo(running);
        startsUnguarded();
        host.sh("ls /leases | grep -q .").mustSucceed();
    }

    @Test
    void withAConfigurationThatIsWrongItRefusesUntilItIsRemoved() {
        host.sh("echo 'io_timout: 3s' >> /etc/vmguard/vmguard.yaml").mustSucceed();
        dpkg("-i", deb()).mustSucceed();
        assertThat(host.sh("systemctl is-active vmguard").output()).startsWith("failed");
        assertThat(create("late", 3).mustFail().stderr())
                .contains("the lease agent does not answer", "systemctl status vmguard");

        dpkg("--remove", "vmguard").mustSucceed();
        isGone();
        startsUnguarded();
        dpkg("--purge", "vmguard").mustSucceed();
        nothingIsLeft();
    }

    @Test
    void itIsSmall() throws IOException {
        assertThat(Files.size(DEB)).isLessThanOrEqualTo(BuiltPackage.MAX_BYTES);
    }

    @Test
    void aHookOfSomebodyElseInItsPlaceIsLeftAlone() {
        String foreign = "#!/bin/sh\nexit 0\n";
        host.sh("mkdir -p /etc/libvirt/hooks/qemu.d; printf '#!/bin/sh\\nexit 0\\n' > " + GuardedHost.HOOK
                        + "; chmod 755 " + GuardedHost.HOOK)
                .mustSucceed();
        assertThat(dpkg("-i", deb()).mustSucceed().output()).contains("is left alone: DOMAINS ARE NOT PROTECTED");
        dpkg("--purge", "vmguard").mustSucceed();
        assertThat(host.sh("cat " + GuardedHost.HOOK).mustSucceed().stdout()).isEqualTo(foreign);
    }

    /** After whatever was done to it with domains running. */
    private void goesOn(List<String> running, String owner) {
        isInstalled();
        awaitHeld("early", "guarded");
        assertThat(List.of(host.qemuPid("early"), host.qemuPid("guarded"))).isEqualTo(running);
        assertThat(owner()).as("no lease was lost on the way").isEqualTo(owner);
        assertThat(create("second", 2).mustFail().stderr()).contains("is in use by domain guarded on host node-p");
        assertThat(create("third", 3).mustSucceed().ok()).isTrue();
        host.virsh("destroy", "third").mustSucceed();
    }

    private void isInstalled() {
        assertThat(host.sh(
                                "systemctl is-active vmguard vmguard-deadman && systemctl is-enabled vmguard vmguard-deadman")
                        .mustSucceed()
                        .stdout()
                        .lines())
                .containsExactly("active", "active", "enabled", "enabled");
        host.sh("cmp " + GuardedHost.HOOK + " /usr/share/vmguard/qemu-hook && [ -x " + GuardedHost.HOOK + " ]")
                .mustSucceed();
        assertThat(host.sh("ls -A /etc/libvirt/hooks /etc/libvirt/hooks/qemu.d")
                        .stdout()
                        .lines())
                .as("nothing else is where libvirt looks for hooks")
                .containsExactly("/etc/libvirt/hooks:", "qemu.d", "", "/etc/libvirt/hooks/qemu.d:", "50-vmguard");
        host.sh("VMGUARD_SHARE=on vmguard --version").mustSucceed();
        assertThat(host.sh("find /var/cache/vmguard -type f").stdout().lines())
                .as("an archive of classes that fits, and nothing beside it")
                .containsExactly("/var/cache/vmguard/classes.jsa");
    }

    /**
     * Under Debian's AppArmor the hook runs in libvirt's profile, which is not in force here: it must let it run from there, and let the
     * programs of the hook out of it.
     */
    @Test
    void debiansProfileOfLibvirtLetsTheHookAndItsProgramsRun() {
        assertThat(host.sh("cat /etc/apparmor.d/usr.sbin.libvirtd")
                        .mustSucceed()
                        .stdout())
                .contains(LETS_THE_HOOK_RUN);
    }

    private void isGone() {
        assertThat(host.sh("systemctl is-active vmguard vmguard-deadman")
                        .output()
                        .lines())
                .containsExactly("inactive", "inactive");
        assertThat(host.sh("ls -d " + GuardedHost.HOOK
                                + " /usr/bin/vmguard /usr/share/vmguard /usr/lib/vmguard /usr/libexec/vmguard"
                                + " /var/cache/vmguard 2>/dev/null")
                        .stdout())
                .isEmpty();
    }

    private void nothingIsLeft() {
        assertThat(host.sh("find / -xdev -path /proc -prune -o -path /packages -prune -o -path /next -prune -o"
                                + " -iname '*vmguard*' -print 2>/dev/null")
                        .stdout()
                        .lines()
                        .filter(file -> !file.matches("/var/lib/vmguard|/var/lib/vmguard/.*")))
                .isEmpty();
    }

    private void startsUnguarded() {
        create("late", 3).mustSucceed();
        host.virsh("destroy", "late").mustSucceed();
    }

    private void awaitHeld(String... domains) {
        Eventually.await("leases of " + Arrays.toString(domains), SETTLED, () -> {
            String status = status();
            return Arrays.stream(domains).allMatch(domain -> status.contains("\"name\":\"" + domain + "\""))
                    && status.contains("\"held\":true")
                    && !status.contains("\"held\":false");
        });
    }

    private static String status() {
        return host.run(
                        "curl",
                        "-sS",
                        "-m",
                        "10",
                        "--unix-socket",
                        "/run/vmguard/agent.sock",
                        "http://vmguard/v1/status")
                .stdout();
    }

    /** Host id and generation: after a loss it would be another. */
    private static String owner() {
        return status().replaceFirst("(?s).*?(\"host_id\":[0-9]+,\"generation\":[0-9]+).*", "$1");
    }

    private static String deb() {
        return "/packages/" + DEB.getFileName();
    }

    private static String next() {
        return "/next/next.deb";
    }

    private static Ran dpkg(String... arguments) {
        String[] command = new String[arguments.length + 2];
        command[0] = "dpkg";
        command[1] = "--force-confold";
        System.arraycopy(arguments, 0, command, 2, arguments.length);
        return host.run(LIMIT, command);
    }

    private static Ran create(String domain, int image) {
        return host.createDomain(domain, "--file", "/images/vm" + image + ".img");
    }

    private static String agentPid() {
        return host.property("vmguard", "MainPID");
    }
}
