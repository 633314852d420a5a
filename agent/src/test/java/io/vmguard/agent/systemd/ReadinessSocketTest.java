/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNoException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Datagrams as systemd would get them, received by a Python process on a real socket. */
@Timeout(60)
class ReadinessSocketTest {

    private static final Path PYTHON = Path.of("/usr/bin/python3");

    @Test
    void messagesArriveAtAPath(@TempDir Path directory) throws IOException {
        assertMessagesArriveAt(directory.resolve("notify").toString());
    }

    @Test
    void messagesArriveAtAnAbstractName() throws IOException {
        assertMessagesArriveAt("@vmguard-test/" + UUID.randomUUID());
    }

    @Test
    void withoutASocketNothingHappens() {
        assertThatNoException().isThrownBy(() -> sendAll(ReadinessSocket.of(Map.of())));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "relative", "vsock:2:1234", "/nonexistent/notify", "@nobody-listens-here"})
    void socketThatDoesNotWorkIsNotTheCallersProblem(String address) {
        assertThatNoException().isThrownBy(() -> sendAll(ReadinessSocket.of(Map.of("NOTIFY_SOCKET", address))));
    }

    @Test
    void nameThatIsTooLongIsNotTheCallersProblem() {
        ReadinessSocket socket = ReadinessSocket.of(Map.of("NOTIFY_SOCKET", "/" + "x".repeat(108)));
        assertThatNoException().isThrownBy(() -> sendAll(socket));
    }

    private static void assertMessagesArriveAt(String address) throws IOException {
        assumeTrue(Files.isExecutable(PYTHON), "no " + PYTHON + " to receive datagrams with");
        Process receiver = new ProcessBuilder(PYTHON.toString(), "-c", """
                        import socket, sys
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                        a = sys.argv[1]
                        s.bind('\\0' + a[1:] if a[0] == '@' else a)
                        print('bound', flush=True)
                        for _ in range(3):
                            print(repr(s.recv(4096)), flush=True)
                        """, address).start();
        try (BufferedReader out =
                new BufferedReader(new InputStreamReader(receiver.getInputStream(), StandardCharsets.UTF_8))) {
            assertThat(out.readLine()).isEqualTo("bound");
            sendAll(ReadinessSocket.of(Map.of("NOTIFY_SOCKET", address)));
            assertThat(List.of(out.readLine(), out.readLine(), out.readLine()))
                    .containsExactly("b'READY=1'", "b'STATUS=guards 2 domains, all well'", "b'STOPPING=1'");
        } finally {
            receiver.destroyForcibly();
        }
    }

    private static void sendAll(ReadinessSocket socket) {
        socket.ready();
        socket.status("guards 2 domains,\nall well");
        socket.stopping();
    }
}
