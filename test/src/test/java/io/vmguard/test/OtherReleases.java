/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The same package on other releases, with another libvirt, QEMU, systemd and Java runtime each, beside a host of the usual one: two hosts of a
 * fleet that is being upgraded, on one lease directory. A disk is one path on both, but a file of each host's own.
 *
 * <p>Not part of {@code make test}, as each release needs an image: {@code make test-releases}.
 */
@NeedsTestImage
@ParameterizedClass
@MethodSource("releases")
@SuppressWarnings("NullAway.Init") // set before the first test
class OtherReleases {
    /** Those to be tried, by the names that build-images.sh has for them, with spaces between. */
    private static final String WANTED = System.getProperty("releases", "trixie jammy");

    enum Release {
        TRIXIE("\"13\"\\n11\\."),
        JAMMY("\"22\\.04\"\\n8\\.");

        private final String versions;

        Release(String versions) {
            this.versions = versions;
        }
    }

    private static final String IMAGES = "/var/lib/libvirt/images/";
    private static final Duration LIMIT = Duration.ofMinutes(3);
    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int T = 3;
    private static final Duration LOST = Duration.ofSeconds(8 * T);

    private static final List<String> CONFIGURATION = List.of("lease_dir: /leases", "io_timeout: " + T + "s");

    @Parameter
    private Release tried;

    private static SharedDir leases;
    private static GuardedHost usual;
    private static GuardedHost other;

    static Stream<Release> releases() {
        return Stream.of(WANTED.strip().split(" +")).map(name -> Release.valueOf(name.toUpperCase(Locale.ROOT)));
    }

    @BeforeParameterizedClassInvocation
    static void install(Release wanted) {
        String name = wanted.name().toLowerCase(Locale.ROOT);
        leases = SharedDir.create("leases");
        CompletableFuture<GuardedHost> first = CompletableFuture.supplyAsync(
                () -> GuardedHost.start(TestHost.named("node-t").release(name), leases, "io_timeout: " + T + "s"));
        try {
            usual = GuardedHost.startOnPlainLeases(TestHost.named("node-o"), leases, "io_timeout: " + T + "s");
        } finally {
            other = first.join();
        }
        usual.awaitReady();
        other.awaitReady();
        for (GuardedHost host : List.of(usual, other)) {
            host.host
                    .sh("for i in 1 2 3; do truncate -s 1M " + IMAGES + "vm$i.img; done")
                    .mustSucceed();
        }
    }

    @AfterParameterizedClassInvocation
    static void shutDown() {
        for (GuardedHost host : new GuardedHost[] {usual, other}) {
            if (host != null) {
                host.close();
            }
        }
        if (leases != null) {
            leases.close();
        }
    }

    @AfterEach
    void destroyAll() {
        other.leaseDirectory("ok");
        for (GuardedHost host : List.of(usual, other)) {
            host.host
                    .sh("for d in $(virsh list --name); do virsh destroy $d; done")
                    .mustSucceed();
            host.awaitReady();
            Eventually.await(
                    "no domain to be left", SOON, () -> host.statusJson().contains("\"domains\":[]"));
        }
    }

    private static Ran create(GuardedHost host, String domain, int image) {
        return host.host.createDomain(domain, "--file", IMAGES + "vm" + image + ".img");
    }

    @Test
    void itIsAnotherReleaseAndItsSystemdUnderstandsTheUnits() {
        assertThat(other.host
                        .sh("sed -n 's/^VERSION_ID=//p' /etc/os-release; virsh --version")
                        .mustSucceed()
                        .stdout())
                .containsPattern(tried.versions);
        Ran verified = other.host
                .sh("systemd-analyze verify --man=no $(systemctl show -P FragmentPath vmguard vmguard-deadman)")
                .mustSucceed();
        assertThat(verified.output().lines().filter(line -> line.contains("vmguard")))
                .isEmpty();
    }

    /** Not in force here: see AppArmorIT. */
    @Test
    void theProfileOfItsLibvirtLetsTheHookAndItsProgramsRun() {
        assertThat(other.host
                        .sh("cat /etc/apparmor.d/usr.sbin.libvirtd")
                        .mustSucceed()
                        .stdout())
                .contains(PackageIT.LETS_THE_HOOK_RUN);
    }

    @Test
    void hostsOfBothReleasesKeepEachOtherOffADisk() {
        create(other, "one", 1).mustSucceed();
        create(usual, "two", 2).mustSucceed();
        assertThat(create(usual, "intruder", 1).mustFail().stderr()).contains("is in use by domain one on host node-t");
        assertThat(create(other, "intruder", 2).mustFail().stderr()).contains("is in use by domain two on host node-o");
        // The same domain, elsewhere.
        assertThat(create(usual, "one", 3).mustFail().stderr()).contains("is in use by domain one on host node-t");
        other.host.virsh("destroy", "one").mustSucceed();
        Eventually.await(
                "the disk to be free for the other release",
                SOON,
                () -> create(usual, "one", 1).ok());
        assertThat(create(other, "one", 1).mustFail().stderr()).contains("is in use by domain one on host node-o");
    }

    @Test
    void theArchiveOfClassesIsOfThisJavaRuntime() {
        other.host.sh("VMGUARD_SHARE=on vmguard --version").mustSucceed();
    }

    @Test
    void theDoctorSeesThatLibvirtCallsTheHook() {
        // The probe is a start that is refused; nothing of it is left.
        String seen = other.host.run(LIMIT, "vmguard", "doctor").output();
        assertThat(seen)
                .containsPattern("green +hook_active +libvirt called the hook for a probe, and the agent answered")
                .containsPattern("green +hook_installed")
                .containsPattern("green +java")
                .containsPattern("green +agent")
                .doesNotContain("RED");
    }

    @Test
    void theAgentFindsItsWayBackToALibvirtThatIsRestarted() {
        create(other, "one", 1).mustSucceed();
        String owner = other.owner();
        other.host.sh("systemctl restart libvirtd && testhost-ready 60").mustSucceed();
        Eventually.await("the connection", SOON, () -> other.statusJson().contains("\"connected\":true"));
        assertThat(other.host.runningDomains()).containsExactly("one");
        assertThat(other.owner()).isEqualTo(owner);
        assertThat(create(usual, "intruder", 1).mustFail().stderr()).contains("is in use by domain one on host node-t");
        // By an event: nothing else tells the agent so soon that it has ended.
        other.host.virsh("destroy", "one").mustSucceed();
        Eventually.await(
                "the disk to be free", SOON, () -> create(usual, "two", 1).ok());
    }

    @Test
    void aLostLeaseEndsADomainWhileLibvirtStandsStill() {
        create(other, "one", 1).mustSucceed();
        other.host.sh("kill -STOP $(systemctl show -P MainPID libvirtd)").mustSucceed();
        try {
            other.leaseDirectory("stall");
            Eventually.await("the QEMU to be gone", LOST.plus(SOON), () -> !other.hasQemu("one"));
        } finally {
            other.leaseDirectory("ok");
            other.host.sh("kill -CONT $(systemctl show -P MainPID libvirtd)").mustSucceed();
        }
    }

    @Test
    void domainsLiveThroughAnUpgradeAndStartUnguardedOnceItIsPurged() {
        create(other, "one", 1).mustSucceed();
        String owner = other.owner();
        other.install();
        other.awaitLeases("one", 1, SOON);
        assertThat(other.owner()).isEqualTo(owner);
        try {
            other.host.run(LIMIT, "dpkg", "--purge", "vmguard").mustSucceed();
            other.host
                    .sh("! ls /etc/libvirt/hooks/qemu.d/* /etc/vmguard/vmguard.yaml")
                    .mustSucceed();
            assertThat(other.host.runningDomains()).containsExactly("one");
            other.host.sh("systemctl restart libvirtd && testhost-ready 60").mustSucceed();
            create(other, "two", 2).mustSucceed();
        } finally {
            other.configure(CONFIGURATION);
            other.install();
        }
        other.awaitReady();
    }
}
