/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.hooks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Proves that a start goes on only after a complete "granted", that nothing can hang or break the hook, and that it
 * asks what docs/hook-api.md says: the shipped script, under each shell, against a fake agent on a Unix socket.
 */
@ParameterizedClass
@EnumSource(Shell.class)
@Timeout(60)
class QemuHookTest {

    private static final String XML =
            "<domain type='qemu'>\n  <name>demo1</name>\n  <title>Grün $(id) `id` %s \\n</title>\n" + "</domain>\n";
    private static final String GRANTED = "";
    private static final String BUSY =
            "vmguard: vda (rbd:rbd/vm1) is in use by domain demo1 on host node-a. Not started. See: vmguard status";
    /** On a busy machine; its timeout is 25 s where nothing else is said. */
    private static final Duration AT_ONCE = Duration.ofSeconds(12);

    @Parameter
    private Shell shell;

    @TempDir
    private Path dir;

    private Path socket;
    private Path config;

    @BeforeEach
    void needsTheShell() {
        if (!shell.isInstalled()) {
            System.out.println("QemuHookTest skipped under " + shell + ": not installed");
            Assumptions.abort(shell + " is not installed");
        }
        socket = dir.resolve("agent.sock");
        config = dir.resolve("vmguard.yaml");
    }

    // What the agent decides

    @Test
    void grantedStartGoesOn() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, GRANTED))) {
            var result = hook().run("demo1", "prepare", XML);

            assertThat(result.status()).isZero();
            assertThat(result.stderr()).isEmpty();
            FakeAgent.Request request = agent.awaitRequest();
            assertThat(request.head().split("\r\n"))
                    .startsWith("POST /v1/hook?operation=prepare&domain=demo1 HTTP/1.0")
                    .contains("Accept: text/plain", "Content-Type: application/xml");
            assertThat(new String(request.body(), StandardCharsets.UTF_8)).isEqualTo(XML.stripTrailing());
        }
    }

    @Test
    void warningOfAGrantedStartIsNoRefusal() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, "vmguard: would be refused\n"))) {
            assertThat(hook().run("demo1", "prepare", XML).status()).isZero();
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"prepare", "migrate"})
    void refusalIsShownAsTheAgentSaysIt(String operation) throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(409, BUSY + "\n"))) {
            var result = hook().run("demo2", operation, XML);

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr()).isEqualTo(BUSY);
            assertThat(agent.awaitRequest().requestLine()).contains("operation=" + operation);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {201, 204, 301, 400, 404, 413, 500, 503})
    void everyOtherStatusRefuses(int status) throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(status, "not ready"))) {
            var result = hook().run("demo1", "prepare", XML);

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr())
                    .isEqualTo("vmguard: demo1: not started, the lease agent says " + status + " not ready");
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @Test
    void refusalWithoutAReasonStillSaysWho() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(503, ""))) {
            assertThat(hook().run("demo1", "prepare", XML).stderr())
                    .isEqualTo("vmguard: demo1: not started, the lease agent says 503 without a reason");
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @Test
    void messageIsOneBoundedLineWithoutControlCharacters() throws Exception {
        String nasty = "vmguard: \u001b[2Jred\r\nsecond\tline é " + "x".repeat(3000);
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(409, nasty))) {
            var result = hook().run("demo1", "prepare", XML);

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr())
                    .startsWith("vmguard:  [2Jred  second line é xxx")
                    .endsWith("xxx...");
            assertThat(result.stderr().getBytes(StandardCharsets.UTF_8)).hasSize(1024);
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @Test
    void completeReplyCountsThoughTheConnectionStaysOpen() throws Exception {
        var over = new CountDownLatch(1);
        try (FakeAgent agent = FakeAgent.listening(socket, client -> {
            FakeAgent.replying(409, BUSY).to(client);
            over.await();
        })) {
            // Within which its programs must have started, and the answer must have come.
            var result = hook().with("VMGUARD_HOOK_TIMEOUT", "4").run("demo1", "prepare", XML);
            over.countDown();

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr()).isEqualTo(BUSY);
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    // Nobody decides

    @Test
    void noSocketRefuses() throws Exception {
        assertUndecided(hook(), "no socket at " + socket);
    }

    @Test
    void socketFileWithoutListenerRefuses() throws Exception {
        leaveStaleSocket();
        assertUndecided(hook(), "cannot connect to " + socket);
    }

    @Test
    void regularFileInPlaceOfTheSocketRefuses() throws Exception {
        Files.writeString(socket, "no socket");
        assertUndecided(hook(), "no socket at " + socket);
    }

    @Test
    void agentThatNeverAnswersRefusesAtTheDeadline() throws Exception {
        try (ServerSocketChannel deaf = FakeAgent.deaf(socket, 16)) {
            assertThat(deaf.isOpen()).isTrue();
            var result = assertUndecided(hook().with("VMGUARD_HOOK_TIMEOUT", "1"), "nothing within 1 s");
            assertThat(result.took())
                    .isBetween(Duration.ofSeconds(1), Duration.ofSeconds(1).plus(AT_ONCE));
        }
    }

    /** What a killed JVM leaves when a thread of it is stuck in I/O: at last even connect() blocks. */
    @Test
    void agentThatAcceptsNoMoreConnectionsRefusesAtTheDeadline() throws Exception {
        List<SocketChannel> queued = new ArrayList<>();
        try (ServerSocketChannel deaf = FakeAgent.deaf(socket, 1)) {
            assertThat(deaf.isOpen()).isTrue();
            fillBacklog(queued);
            assertUndecided(hook().with("VMGUARD_HOOK_TIMEOUT", "1"), "nothing within 1 s");
        } finally {
            for (SocketChannel client : queued) {
                client.close();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "garbage",
                "\u0000\u0001\u0000",
                "HTTP/1.1 200 OK",
                "HTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nvmguard:",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nvmguard: and more",
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX-Other: 0\r\n\r\n\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
                "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
                "200 OK\r\nContent-Length: 0\r\n\r\n",
                "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            })
    void replyThatIsCutShortOrNoHttpRefuses(String raw) throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.sending(raw))) {
            assertUndecided(hook(), "its reply is cut short or not HTTP");
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @Test
    void closingWithoutAReplyRefuses() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, client -> {})) {
            assertUndecided(hook(), "it closed the connection without a word");
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @Test
    void endlessReplyRefusesLongBeforeTheDeadline() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, client -> {
            FakeAgent.sending("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").to(client);
            while (true) {
                FakeAgent.sending("x".repeat(4096)).to(client);
            }
        })) {
            var result = assertUndecided(hook(), "its reply is cut short or not HTTP");
            assertThat(result.took()).isLessThan(AT_ONCE);
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    // Odd input

    @Test
    void fiftyMegabytesOfXmlAreRefusedAtOnce() throws Exception {
        byte[] xml = new byte[50 << 20];
        Arrays.fill(xml, (byte) 'x');
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, GRANTED))) {
            var result = hook().run("demo1", "prepare", xml);

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr())
                    .isEqualTo("vmguard: demo1: the domain XML is larger than 4 MiB: not started."
                            + " See: systemctl status vmguard");
            assertThat(result.took()).isLessThan(AT_ONCE);
            assertThat(agent.wasAsked()).isFalse();
        }
    }

    @Test
    void xmlOfFourMegabytesIsSentWhole() throws Exception {
        byte[] xml = new byte[4 << 20];
        Arrays.fill(xml, (byte) 'x');
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, GRANTED))) {
            assertThat(hook().run("demo1", "prepare", xml).status()).isZero();
            assertThat(agent.awaitRequest().body()).isEqualTo(xml);
        }
    }

    @Test
    void noXmlIsRefused() throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, GRANTED))) {
            var result = hook().run("demo1", "prepare", "");

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr())
                    .isEqualTo("vmguard: demo1: libvirt gave the hook no domain XML: not started."
                            + " See: systemctl status vmguard");
            assertThat(agent.wasAsked()).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "two words",
                "quote's \"here\"",
                "$(touch pwned) `touch pwned` ${HOME}",
                "a&operation=release",
                "100%",
                "-n",
                "--help",
                "*",
                "Grün 虚拟机",
                "line\nbreak",
                "\\033[31m",
            })
    void oddNamesArriveAsTheyAre(String name) throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(409, ""))) {
            var result = hook().run(name, "prepare", XML);

            assertThat(result.status()).isEqualTo(1);
            assertThat(result.stderr()).startsWith("vmguard: " + name.replace('\n', ' ') + ": ");
            assertThat(agent.awaitRequest().requestLine())
                    .isEqualTo("POST /v1/hook?operation=prepare&domain=" + percentEncoded(name) + " HTTP/1.0");
        }
    }

    // Operations that never refuse

    @ParameterizedTest
    @ValueSource(strings = {"start", "started", "stopped", "restore", "attach", "something-new", ""})
    void otherOperationsTouchNeitherSocketNorStdin(String operation) throws Exception {
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(409, BUSY))) {
            var result = hook().runWithoutInput("demo1", operation);

            assertThat(result.status()).isZero();
            assertThat(result.stderr()).isEmpty();
            assertThat(agent.wasAsked()).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"release", "reconnect"})
    void newsIsDeliveredWithoutWaitingForTheAgent(String operation) throws Exception {
        // More than a pipe and a socket hold, so that delivery must go on after the hook has returned.
        String xml = "<domain>" + "x".repeat(1_000_000) + "</domain>";
        try (ServerSocketChannel server = FakeAgent.deaf(socket, 16)) {
            var result = hook().run("demo1", operation, xml);

            assertThat(result.status()).isZero();
            assertThat(result.stderr()).isEmpty();
            assertThat(result.took()).isLessThan(AT_ONCE);
            FakeAgent.Request request = FakeAgent.readNext(server);
            assertThat(request.requestLine()).contains("operation=" + operation + "&domain=demo1");
            assertThat(new String(request.body(), StandardCharsets.UTF_8)).isEqualTo(xml);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"release", "reconnect"})
    void newsNeverFails(String operation) throws Exception {
        assertSilentSuccess(hook(), operation, XML);
        assertSilentSuccess(hook(), operation, "");
        assertSilentSuccess(hook(), operation, "x".repeat(5 << 20));
        assertSilentSuccess(hook().with("VMGUARD_HOOK_TIMEOUT", "nonsense"), operation, XML);
        leaveStaleSocket();
        assertSilentSuccess(hook(), operation, XML);
        for (var answer : List.of(
                FakeAgent.replying(409, BUSY),
                FakeAgent.replying(503, "not ready"),
                FakeAgent.sending("garbage"),
                FakeAgent.sending("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
                (FakeAgent.Answer) client -> {})) {
            Files.delete(socket);
            try (FakeAgent agent = FakeAgent.listening(socket, answer)) {
                assertSilentSuccess(hook(), operation, XML);
                assertThat(agent.awaitRequest()).isNotNull();
            }
        }
    }

    /** Nothing of the hook's own tools may matter to a domain that runs. */
    @Test
    void reconnectSucceedsWithoutAnyTool() throws Exception {
        Path empty = Files.createDirectory(dir.resolve("empty"));
        for (String xml : List.of(XML, "")) {
            assertThat(hook().hiding(empty).run("demo1", "reconnect", xml).status())
                    .isZero();
        }
    }

    @Test
    void reconnectSucceedsThoughKilled() throws Exception {
        assertThat(hook().terminated("demo1", "reconnect")).isZero();
        assertThat(hook().terminated("demo1", "prepare")).isNotZero();
    }

    // Observe

    @ParameterizedTest
    @ValueSource(
            strings = {
                "mode: observe\n",
                "mode: observe",
                "# mode: enforce\n\nmode:   \"observe\"   # for now\n",
                "mode: 'observe'\r\n"
            })
    void observeModeLetsThroughWithAJournalEntry(String yaml) throws Exception {
        Files.writeString(config, yaml);
        Path journal = fakeLogger();

        var result = hook().firstOnPath(dir).run("demo1", "prepare", XML);

        assertThat(result.status()).isZero();
        assertThat(result.stderr()).isEmpty();
        assertThat(journal)
                .hasContent(
                        "-t vmguard -p daemon.warning -- VG-207 demo1: the lease agent does not answer (no socket at "
                                + socket + "): let through unprotected (mode observe), operation prepare");
    }

    @Test
    void observeModeLetsThroughAtTheDeadlineAndWithOddInput() throws Exception {
        Files.writeString(config, "mode: observe\n");
        Path journal = fakeLogger();
        try (ServerSocketChannel deaf = FakeAgent.deaf(socket, 16)) {
            assertThat(deaf.isOpen()).isTrue();
            HookRun hook = hook().firstOnPath(dir).with("VMGUARD_HOOK_TIMEOUT", "1");
            assertThat(hook.run("demo1", "prepare", XML).status()).isZero();
            assertThat(hook.run("demo1", "prepare", "").status()).isZero();
            assertThat(hook.run("demo1", "prepare", "x".repeat(5 << 20)).status())
                    .isZero();
        }
        assertThat(Files.readAllLines(journal)).hasSize(3);
    }

    @Test
    void observeModeDoesNotOverruleTheAgent() throws Exception {
        Files.writeString(config, "mode: observe\n");
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(409, BUSY))) {
            assertThat(hook().run("demo1", "prepare", XML).status()).isEqualTo(1);
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "mode: enforce\n",
                "#mode: observe\n",
                "mode:\n",
                "modes: observe\n",
                "mode: observed\n",
                "\u0000"
            })
    void anyOtherModeRefuses(String yaml) throws Exception {
        Files.writeString(config, yaml);
        assertUndecided(hook(), "no socket at " + socket);
    }

    @Test
    void socketOfTheConfigurationIsUsedIfNothingIsAtTheDefault() throws Exception {
        Assumptions.assumeFalse(
                Files.exists(Path.of("/run/vmguard/agent.sock")), "an agent has its socket at the default path here");
        Files.writeString(config, "mode: enforce\nsocket: " + socket + "\n");
        try (FakeAgent agent = FakeAgent.listening(socket, FakeAgent.replying(200, GRANTED))) {
            assertThat(hook().with("VMGUARD_SOCKET", "")
                            .run("demo1", "prepare", XML)
                            .status())
                    .isZero();
            assertThat(agent.wasAsked()).isTrue();
        }
    }

    // Private parts

    private HookRun hook() {
        return new HookRun(shell, socket, config);
    }

    private static HookRun.Result assertUndecided(HookRun hook, String why) throws Exception {
        var result = hook.run("demo1", "prepare", XML);
        assertThat(result.stderr())
                .isEqualTo("vmguard: demo1: the lease agent does not answer (" + why
                        + "): not started. See: systemctl status vmguard");
        assertThat(result.status()).isEqualTo(1);
        return result;
    }

    private static void assertSilentSuccess(HookRun hook, String operation, String xml) throws Exception {
        var result = hook.run("demo1", operation, xml);
        assertThat(result.stderr()).isEmpty();
        assertThat(result.status()).isZero();
        assertThat(result.took()).isLessThan(AT_ONCE);
    }

    /** A socket file that outlived its listener. */
    private void leaveStaleSocket() throws IOException {
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
        }
        assertThat(socket).exists();
    }

    private void fillBacklog(List<SocketChannel> queued) throws IOException {
        while (true) {
            SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
            queued.add(client);
            client.configureBlocking(false);
            try {
                if (!client.connect(UnixDomainSocketAddress.of(socket))) {
                    return;
                }
            } catch (IOException full) {
                return;
            }
            assertThat(queued).hasSizeLessThan(100);
        }
    }

    /** A `logger` that keeps its arguments, first on the path; returns where. */
    private Path fakeLogger() throws IOException {
        Path journal = dir.resolve("journal");
        Path logger = dir.resolve("logger");
        Files.writeString(logger, "#!/bin/sh\nprintf '%s\\n' \"$*\" >>'" + journal + "'\n");
        assertThat(logger.toFile().setExecutable(true)).isTrue();
        return journal;
    }

    private static String percentEncoded(String name) {
        if (name.matches("[A-Za-z0-9._-]*")) {
            return name;
        }
        var encoded = new StringBuilder();
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            encoded.append(String.format("%%%02x", b & 0xff));
        }
        return encoded.toString();
    }
}
