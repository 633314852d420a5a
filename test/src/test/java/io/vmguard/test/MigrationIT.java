/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Live migration between two guarded hosts with real libvirt and QEMU: at every moment one host owns the disk, and nobody else gets it; in
 * the end it is the host on which the domain runs. The disk is one file that both hosts see.
 */
@NeedsTestImage
class MigrationIT {
    private static final SharedDir IMAGES = SharedDir.create("images");
    private static final int PORT_A = 16521;
    private static final int PORT_B = 16522;
    private static final int PROXY = 16529;
    private static final Duration LONG = Duration.ofSeconds(60);
    /** libvirt itself would let the guest run on both hosts 25 s after a lost answer. */
    private static final Duration BEFORE_LIBVIRT = Duration.ofSeconds(20);

    @RegisterExtension
    static final TwoHosts HOSTS = new TwoHosts(
            (host, builder) -> {
                boolean a = host.equals("node-a");
                builder.bind(IMAGES, "/images")
                        .tcpPort(a ? PORT_A : PORT_B)
                        .migrationPorts(a ? 49310 : 49330, a ? 49329 : 49349);
            },
            "io_timeout: 1s",
            "hook_timeout: 10s");

    private final GuardedHost a = HOSTS.a;
    private final GuardedHost b = HOSTS.b;

    /** Random bytes in the guest's memory, so that there is something to send. */
    @BeforeAll
    static void fill() {
        HOSTS.a
                .host
                .sh("head -c 40M /dev/urandom > /images/fill; chmod 644 /images/fill")
                .mustSucceed();
    }

    @AfterAll
    static void removeImages() {
        IMAGES.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"--p2p", "--p2p --tunnelled", "", "--p2p --persistent --undefinesource"})
    void theLeasesGoWithTheDomainAndComeBackWithIt(String mode) {
        String disk = start(a, "mover");
        migrate(a, PORT_B, mode).awaitEnd(LONG).mustSucceed();
        assertOwner(b, a, disk);
        migrate(b, PORT_A, mode.replace("--undefinesource", "")).awaitEnd(LONG).mustSucceed();
        assertOwner(a, b, disk);
    }

    @Test
    void aPausedDomainKeepsItsLeasesOnItsWay() {
        String disk = start(a, "mover");
        a.host.virsh("suspend", "mover").mustSucceed();
        migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustSucceed();
        assertThat(b.host.virsh("domstate", "mover").stdout()).contains("paused");
        assertOwner(b, a, disk);
    }

    @Test
    void whileADomainIsOnItsWayNobodyElseGetsItsDisk() {
        String disk = start(a, "mover");
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 8");
        // From here on: a start that is being refused on the target can stand in the way of another one there, also of
        // this.
        awaitOnItsWay();
        List<String> refusals = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            refusals.add(intruder(a, disk).mustFail().stderr());
            refusals.add(intruder(b, disk).mustFail().stderr());
        }
        migration.awaitEnd(LONG).mustSucceed();
        assertThat(refusals).allMatch(text -> text.contains("is in use by domain mover on host node-"));
        assertOwner(b, a, disk);
    }

    @Test
    void anAbortedMigrationLeavesTheDomainAndItsLeasesWhereTheyWere() {
        String disk = start(a, "mover");
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 4");
        awaitOnItsWay();
        a.host.virsh("domjobabort", "mover").mustSucceed();
        migration.awaitEnd(LONG).mustFail();
        assertOwner(a, b, disk);
        Eventually.await(
                "another try",
                LONG,
                () -> migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustSucceed().ok());
        assertOwner(b, a, disk);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void anAgentThatIsKilledOnTheWayGoesOnWhereItWas(boolean source) {
        String disk = start(a, "mover");
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 8");
        awaitOnItsWay();
        (source ? a : b).host.run("systemctl", "kill", "-s", "KILL", "vmguard").mustSucceed();
        migration.awaitEnd(LONG).mustSucceed();
        assertOwner(b, a, disk);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aQemuThatIsKilledOnTheWayLeavesNoLeaseBehind(boolean source) {
        String disk = start(a, "mover");
        Running migration = migrate(a, PORT_B, "--p2p --bandwidth 4");
        awaitOnItsWay();
        (source ? a : b).host.sh("kill -9 $(cat /run/libvirt/qemu/mover.pid)").mustSucceed();
        migration.awaitEnd(LONG).mustFail();
        if (source) {
            Eventually.await(
                    "the disk to be free",
                    LONG,
                    () -> intruder(b, disk).mustSucceed().ok());
            return;
        }
        assertOwner(a, b, disk);
    }

    @Test
    void aHostWhoseAgentDoesNotOfferTheLeasesIsNotMigratedFrom() {
        String disk = start(a, "mover");
        a.host.run("systemctl", "kill", "-s", "STOP", "vmguard").mustSucceed();
        try {
            assertThat(migrate(a, PORT_B, "--p2p").awaitEnd(LONG).mustFail().stderr())
                    .contains("does not offer them");
        } finally {
            a.host.run("systemctl", "kill", "-s", "CONT", "vmguard").mustSucceed();
        }
        assertOwner(a, b, disk);
    }

    /** Plain libvirt runs the guest on both hosts then, 25 s later. */
    @Test
    void whenTheAnswerToTheLastStepIsLostTheSourceEnds() throws IOException {
        Files.writeString(IMAGES.resolve("half-proxy"), HALF_PROXY);
        String disk = start(a, "mover");
        Running proxy =
                a.host.spawn("python3", "/images/half-proxy", Integer.toString(PROXY), Integer.toString(PORT_B));
        Eventually.await("the proxy", LONG, () -> Files.exists(IMAGES.resolve("half-proxy.pid")));
        Running migration = migrate(a, PROXY, "--p2p --bandwidth 8");
        awaitOnItsWay();
        a.host.sh("kill -USR1 $(cat /images/half-proxy.pid)").mustSucceed();
        Eventually.await(
                "the domain to run on node-b",
                BEFORE_LIBVIRT,
                () -> b.host.virsh("domstate", "mover").stdout().contains("running"));
        Eventually.await("the source to end", BEFORE_LIBVIRT, () -> !a.hasQemu("mover"));
        assertOwner(b, a, disk);
        a.host.sh("kill $(cat /images/half-proxy.pid)").mustSucceed();
        migration.awaitEnd(LONG);
        proxy.awaitEnd(LONG);
        assertOwner(b, a, disk);
    }

    // ----

    private static final String HALF_PROXY = """
            import os, signal, socket, sys, threading
            listen, target = map(int, sys.argv[1:3])
            lost = threading.Event()
            signal.signal(signal.SIGUSR1, lambda *ignored: lost.set())
            def pump(source, sink, answers):
                while data := source.recv(65536):
                    if not (answers and lost.is_set()):
                        sink.sendall(data)
            def serve():
                server = socket.create_server(('127.0.0.1', listen))
                with open('/images/half-proxy.pid', 'w') as file:
                    file.write(str(os.getpid()))
                while True:
                    client, _ = server.accept()
                    up = socket.create_connection(('127.0.0.1', target))
                    for ends in ((client, up, False), (up, client, True)):
                        threading.Thread(target=pump, args=ends, daemon=True).start()
            threading.Thread(target=serve, daemon=True).start()
            while True:
                signal.pause()
            """;

    private static String start(GuardedHost host, String domain) {
        String disk = "/images/" + domain + ".img";
        host.host
                .sh("test-guest make " + disk + " && test-domain " + domain + " --file " + disk
                        + " | sed \"s|<domain type='qemu'>|<domain type='qemu'"
                        + " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>|;"
                        + " s|^</domain>|<qemu:commandline><qemu:arg value='-device'/>"
                        + "<qemu:arg value='loader,file=/images/fill,addr=0x1000000,force-raw=on'/>"
                        + "</qemu:commandline></domain>|\" | virsh create /dev/stdin")
                .mustSucceed();
        host.awaitLeases(domain, 1, TwoHosts.AT_ONCE);
        return disk;
    }

    private static Running migrate(GuardedHost from, int port, String options) {
        return from.host.spawn(
                "sh",
                "-c",
                "exec virsh migrate --live --unsafe " + options + " mover qemu+tcp://127.0.0.1:" + port + "/system"
                        + (options.contains("--tunnelled") ? "" : " --migrateuri tcp://127.0.0.1"));
    }

    private void awaitOnItsWay() {
        Eventually.await(
                "memory to be sent",
                LONG,
                () -> b.hasQemu("mover")
                        && a.host.sh("virsh domjobinfo mover | grep -q 'Data processed'")
                                .ok());
    }

    private static Ran intruder(GuardedHost on, String disk) {
        return on.host.createDomain("intruder", "--file", disk);
    }

    /** The domain runs on one host only, which has all its leases, and whoever wants its disk is told so. */
    private void assertOwner(GuardedHost host, GuardedHost other, String disk) {
        host.awaitLeases("mover", 1, LONG);
        Eventually.await(
                "no domain to be left on " + other.host.name(),
                LONG,
                () -> !other.hasQemu("mover") && other.statusJson().contains("\"domains\":[]"));
        assertThat(host.hasQemu("mover")).isTrue();
        for (GuardedHost asked : List.of(host, other)) {
            assertThat(intruder(asked, disk).mustFail().stderr())
                    .contains("is in use by domain mover on host " + host.host.name());
        }
    }
}
