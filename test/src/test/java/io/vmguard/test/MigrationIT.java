/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Live migration between two guarded hosts with real libvirt and QEMU: at every moment one host owns the disk, and nobody else gets it; in
 * the end it is the host on which the domain runs. The disk is one file that both hosts see, or an RBD image.
 */
@NeedsTestImage
class MigrationIT {
    private static final SharedDir IMAGES = SharedDir.create("images");

    @RegisterExtension
    @Order(1)
    static final Ceph CEPH = new Ceph();

    private static final int PORT_A = 16521;
    private static final int PORT_B = 16522;
    private static final Duration LONG = Duration.ofSeconds(60);
    /** libvirt itself would let the guest run on both hosts 25 s after a lost answer. */
    private static final Duration BEFORE_LIBVIRT = Duration.ofSeconds(20);

    @RegisterExtension
    @Order(2)
    static final TwoHosts HOSTS = new TwoHosts(
            (host, builder) -> {
                boolean a = host.equals("node-a");
                builder.bind(IMAGES, "/images")
                        .ceph(CEPH.cluster)
                        .tcpPort(a ? PORT_A : PORT_B)
                        .migrationPorts(a ? 49310 : 49330, a ? 49329 : 49349);
            },
            // An agent that is killed has 24 s to come back; one that starts on a busy machine needs a third of that.
            "io_timeout: 3s",
            "hook_timeout: 10s");

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    @SuppressWarnings("NullAway.Init") // each test begins with a start
    private Mover mover;

    /** A Ceph cluster for all tests. */
    @SuppressWarnings("NullAway.Init") // set before the first test
    private static final class Ceph implements BeforeAllCallback, AfterAllCallback {
        private CephCluster cluster;

        @Override
        public void beforeAll(ExtensionContext context) {
            cluster = CephCluster.start();
        }

        @Override
        public void afterAll(ExtensionContext context) {
            cluster.close();
        }
    }

    @BeforeAll
    static void prepare() {
        Mover.fill(HOSTS.a);
        List.of(HOSTS.a, HOSTS.b)
                .forEach(host -> host.host.sh("test-ceph secret").mustSucceed());
    }

    @AfterAll
    static void removeImages() {
        IMAGES.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"--p2p", "--p2p --tunnelled", "", "--p2p --persistent --undefinesource"})
    void theLeasesGoWithTheDomainAndComeBackWithIt(String mode) {
        start(a);
        migrate(a, PORT_B, mode).awaitEnd(LONG).mustSucceed();
        assertOwner(b, a);
        migrate(b, PORT_A, mode.replace("--undefinesource", "")).awaitEnd(LONG).mustSucceed();
        assertOwner(a, b);
    }

    @Test
    void aPausedDomainKeepsItsLeasesOnItsWay() {
        start(a);
        a.host.virsh("suspend", "mover").mustSucceed();
        migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustSucceed();
        assertThat(b.host.virsh("domstate", "mover").stdout()).contains("paused");
        assertOwner(b, a);
    }

    @Test
    void whileADomainIsOnItsWayNobodyElseGetsItsDisk() {
        start(a);
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 1");
        // From here on: a start that is being refused on the target can stand in the way of another one there, also of
        // this.
        awaitOnItsWay();
        List<String> refusals = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            refusals.add(intruder(a).mustFail().stderr());
            refusals.add(intruder(b).mustFail().stderr());
        }
        endFast(migration).mustSucceed();
        assertThat(refusals).allMatch(text -> text.contains("is in use by domain mover on host node-"));
        assertOwner(b, a);
    }

    @Test
    void anAbortedMigrationLeavesTheDomainAndItsLeasesWhereTheyWere() {
        start(a);
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 1");
        awaitOnItsWay();
        a.host.virsh("domjobabort", "mover").mustSucceed();
        migration.awaitEnd(LONG).mustFail();
        assertOwner(a, b);
        Eventually.await(
                "another try",
                LONG,
                () -> migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustSucceed().ok());
        assertOwner(b, a);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anAgentThatIsKilledOnTheWayGoesOnWhereItWas(boolean source) {
        start(a);
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 8");
        awaitOnItsWay();
        (source ? a : b).host.run("systemctl", "kill", "-s", "KILL", "vmguard").mustSucceed();
        migration.awaitEnd(LONG).mustSucceed();
        assertOwner(b, a);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aQemuThatIsKilledOnTheWayLeavesNoLeaseBehind(boolean source) {
        start(a);
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 1");
        awaitOnItsWay();
        (source ? a : b).host.sh("kill -9 $(cat /run/libvirt/qemu/mover.pid)").mustSucceed();
        migration.awaitEnd(LONG).mustFail();
        if (source) {
            Eventually.await(
                    "the disk to be free", LONG, () -> intruder(b).mustSucceed().ok());
            return;
        }
        assertOwner(a, b);
    }

    @Test
    void aHostWhoseAgentDoesNotOfferTheLeasesIsNotMigratedFrom() {
        start(a);
        // Whom it has not seen alive it waits for: longer than node-a's leases last.
        b.awaitLive(a);
        a.host.run("systemctl", "kill", "-s", "STOP", "vmguard").mustSucceed();
        try {
            assertThat(migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustFail().stderr())
                    .contains("does not offer them");
        } finally {
            a.host.run("systemctl", "kill", "-s", "CONT", "vmguard").mustSucceed();
        }
        assertOwner(a, b);
    }

    /** Plain libvirt runs the guest on both hosts then, 25 s later; of files QEMU's own locks would keep it, of RBD images nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"file", "rbd"})
    void whenTheAnswerToTheLastStepIsLostTheSourceEnds(String storage) {
        mover = storage.equals("rbd") ? Mover.onRbd("mover", a, CEPH.cluster) : Mover.onFile("mover", a);
        mover.start(a);
        try (Relay relay = Relay.to(PORT_B)) {
            Running migration = mover.migrate(a, relay.port(), "--p2p --bandwidth 8");
            mover.awaitOnItsWay(a, b);
            relay.loses(Relay.Loses.ANSWERS);
            Eventually.await(
                    "the domain to run on node-b",
                    LONG,
                    () -> b.host.virsh("domstate", "mover").stdout().contains("running"));
            Eventually.await("the source to end", BEFORE_LIBVIRT, () -> !a.hasQemu("mover"));
            assertOwner(b, a);
            relay.cut();
            migration.awaitEnd(LONG);
        }
        assertOwner(b, a);
    }

    // ---- post-copy

    @Test
    void inPostCopyTheLeasesAreWithTheTargetAsSoonAsItRuns() {
        Running migration = startPostCopy(1);
        assertThat(a.hasQemu("mover")).as("memory is still being fetched").isTrue();
        b.awaitLeases("mover", 1, LONG);
        awaitRefusalFor(b, a);
        endFast(migration).mustSucceed();
        assertOwner(b, a);
    }

    /** It is refused at once; for a moment the giver still names itself, until it has seen that the receiver knows. */
    private void awaitRefusalFor(GuardedHost holder, GuardedHost asked) {
        String named = "is in use by domain mover on host " + holder.host.name();
        Eventually.await(
                asked.host.name() + " to name " + holder.host.name(),
                LONG,
                () -> intruder(asked).mustFail().stderr().contains(named));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anAgentThatIsKilledInPostCopyLetsItGoOn(boolean source) {
        Running migration = startPostCopy();
        (source ? a : b).host.run("systemctl", "kill", "-s", "KILL", "vmguard").mustSucceed();
        migration.awaitEnd(LONG).mustSucceed();
        assertOwner(b, a);
    }

    /** Neither copy can go on alone then; the one that had begun to run owns, and only it can be brought to life again. */
    @Test
    void aConnectionLostInPostCopyLeavesTheLeasesWithTheTarget() {
        Running migration = startPostCopy();
        b.awaitLeases("mover", 1, LONG);
        a.host.virsh("domjobabort", "mover", "--postcopy").mustSucceed();
        migration.awaitEnd(LONG).mustFail();
        assertThat(a.host.virsh("domstate", "mover", "--reason").stdout()).contains("paused (post-copy failed)");
        for (GuardedHost asked : List.of(a, b)) {
            awaitRefusalFor(b, asked);
        }
        Eventually.await(
                "node-b to notice that the stream is broken",
                LONG,
                () -> b.host.virsh("domstate", "mover", "--reason").stdout().contains("(post-copy failed)"));
        // libvirt may take what it hears late of the broken stream for the end of the resumed one, and say that this
        // has failed,
        // too; QEMU goes on, and libvirt with it. What counts is that all of the guest comes.
        migrate(a, PORT_B, "--p2p --postcopy --postcopy-resume").awaitEnd(LONG);
        assertOwner(b, a);
        Eventually.await(
                "all of the guest to be there",
                LONG,
                () -> !b.host.virsh("domstate", "mover", "--reason").stdout().contains("post-copy"));
    }

    private Running startPostCopy() {
        return startPostCopy(4);
    }

    /** @param speed at which memory is sent before and after, in MiB/s; there are 40 MiB that are no zeroes */
    private Running startPostCopy(int speed) {
        // Its page faults are the kernel's to report to a privileged process only, unless a sysctl of the machine says
        // otherwise.
        for (GuardedHost host : List.of(a, b)) {
            host.host
                    .sh(
                            "grep -q '^user = \"root\"' /etc/libvirt/qemu.conf || { printf 'user = \"root\"\ngroup = \"root\"\n"
                                    + "clear_emulator_capabilities = 0\n' >> /etc/libvirt/qemu.conf; systemctl restart libvirtd; }")
                    .mustSucceed();
        }
        start(a);
        Running migration =
                migrate(a, PORT_B, "--p2p --postcopy --bandwidth " + speed + " --postcopy-bandwidth " + speed);
        awaitOnItsWay();
        a.host.virsh("migrate-postcopy", "mover").mustSucceed();
        Eventually.await(
                "the guest to run on node-b",
                LONG,
                () -> b.host.virsh("domstate", "mover", "--reason").stdout().contains("running (post-copy)"));
        return migration;
    }

    // ---- storage that is not shared

    @Test
    void aDiskThatIsCopiedIsLeasedOnTheTargetBeforeAndOnTheSourceUntilTheEnd() {
        start(a);
        b.host.sh("truncate -s 16M /images/copy.img; chmod 666 /images/copy.img")
                .mustSucceed();
        a.host.sh("virsh dumpxml --migratable mover | sed s,/images/mover.img,/images/copy.img, > /images/copy.xml")
                .mustSucceed();
        Running migration = migrate(a, PORT_B, "--p2p --copy-storage-all --bandwidth 1 --xml /images/copy.xml");
        awaitOnItsWay();
        Mover copy = mover.on("/images/copy.img");
        for (GuardedHost asked : List.of(a, b)) {
            assertThat(intruder(asked).mustFail().stderr()).contains("is in use by domain mover on host node-a");
            assertThat(copy.intruder(asked).mustFail().stderr()).contains("is in use by domain mover on host node-b");
        }
        endFast(migration).mustSucceed();
        b.awaitLeases("mover", 1, LONG);
        Eventually.await(
                "the old disk to be free",
                LONG,
                () -> !a.hasQemu("mover") && intruder(a).mustSucceed().ok());
        assertThat(copy.intruder(b).mustFail().stderr()).contains("is in use by domain mover on host node-b");
    }

    // ---- hosts that nobody guards

    @Test
    void aDomainComesFromAnUnguardedHostOnlyIfThatIsAllowed() {
        unguarded(b, () -> {
            mover = Mover.onFile("mover", b);
            mover.startUnguarded(b);
            assertThat(migrate(b, PORT_A, "--p2p").awaitEnd(LONG).mustFail().stderr())
                    .contains("holds no lease for it")
                    .contains("allow_unguarded_migration");
            assertThat(b.host.virsh("domstate", "mover").stdout()).contains("running");
            b.host.virsh("destroy", "mover").mustSucceed();
        });
    }

    @Test
    void whereItIsAllowedADomainComesFromAnUnguardedHostAndIsGuardedFromItsStartOn() {
        String key = "allow_unguarded_migration";
        a.host.sh("echo '" + key + ": true' >> /etc/vmguard/vmguard.yaml && systemctl restart vmguard")
                .mustSucceed();
        a.awaitReady();
        try {
            unguarded(b, () -> {
                mover = Mover.onFile("mover", b);
                mover.startUnguarded(b);
                Running migration = migrate(b, PORT_A, "--p2p --bandwidth 8");
                mover.awaitOnItsWay(b, a);
                assertThat(intruder(a).mustFail().stderr()).contains("is in use by domain mover on host node-a");
                migration.awaitEnd(LONG).mustSucceed();
                a.awaitLeases("mover", 1, LONG);
                assertThat(b.hasQemu("mover")).isFalse();
            });
            // Somebody guards it again: its disk is taken there too.
            assertOwner(a, b);
        } finally {
            a.host.sh("sed -i /" + key + "/d /etc/vmguard/vmguard.yaml && systemctl restart vmguard")
                    .mustSucceed();
            a.awaitReady();
        }
    }

    @Test
    void aDomainThatGoesToAnUnguardedHostLeavesNoLeasesAndAWarning() {
        start(a);
        unguarded(b, () -> {
            migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustSucceed();
            Eventually.await(
                    "no domain to be left on node-a",
                    LONG,
                    () -> !a.hasQemu("mover") && a.statusJson().contains("\"domains\":[]"));
            a.host.awaitJournal("vmguard", "mover has been migrated to a host that has not asked for its leases");
            b.host.virsh("destroy", "mover").mustSucceed();
        });
    }

    /** Takes the agent and its hook away from a host for a while. */
    private static void unguarded(GuardedHost host, Runnable meanwhile) {
        host.host
                .sh("systemctl stop vmguard && mkdir /run/hooks && mv /etc/libvirt/hooks/qemu.d/* /run/hooks/")
                .mustSucceed();
        try {
            meanwhile.run();
        } finally {
            host.host
                    .sh("mv /run/hooks/* /etc/libvirt/hooks/qemu.d/ && rmdir /run/hooks && systemctl start vmguard")
                    .mustSucceed();
            host.awaitReady();
        }
    }

    // ----

    private void start(GuardedHost host) {
        mover = Mover.onFile("mover", host);
        mover.start(host);
    }

    private Running migrate(GuardedHost from, int port, String options) {
        return mover.migrate(from, port, options);
    }

    /** Lets a slow migration from node-a go on as fast as it can, in whichever phase it is. */
    private Ran endFast(Running migration) {
        Eventually.await("the migration to end", LONG, () -> {
            a.host.sh("for how in '' --postcopy; do virsh -q migrate-setspeed mover 500 $how; done");
            return migration.ended().isPresent();
        });
        return migration.awaitEnd(LONG);
    }

    private void awaitOnItsWay() {
        mover.awaitOnItsWay(a, b);
    }

    private Ran intruder(GuardedHost on) {
        return mover.intruder(on);
    }

    /** The domain runs on one host only, which has all its leases, and whoever wants its disk is told so. */
    private void assertOwner(GuardedHost host, GuardedHost other) {
        host.awaitLeases("mover", 1, LONG);
        Eventually.await(
                "no domain to be left on " + other.host.name(),
                LONG,
                () -> !other.hasQemu("mover") && other.statusJson().contains("\"domains\":[]"));
        assertThat(host.hasQemu("mover")).isTrue();
        for (GuardedHost asked : List.of(host, other)) {
            awaitRefusalFor(host, asked);
        }
    }
}
