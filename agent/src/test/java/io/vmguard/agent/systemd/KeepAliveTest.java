/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.testing.Await;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** systemd is asked for patience while there is progress, and no longer. */
class KeepAliveTest {
    private static final ReadinessSocket NOBODY = ReadinessSocket.of(Map.of());

    @Test
    void withoutALimitOfSystemdsNobodyIsAsked() {
        AtomicInteger asked = new AtomicInteger();
        try (KeepAlive keepAlive = new KeepAlive(NOBODY, Map.of("WATCHDOG_USEC", "soon"), () -> {
            asked.incrementAndGet();
            return Optional.empty();
        })) {
            keepAlive.start();
        }
        assertThat(asked).hasValue(0);
    }

    @Test
    void progressIsLookedAtSeveralTimesWithinTheLimit() {
        AtomicInteger asked = new AtomicInteger();
        try (KeepAlive keepAlive = new KeepAlive(NOBODY, Map.of("WATCHDOG_USEC", "80000"), () -> {
            asked.incrementAndGet();
            return Optional.empty();
        })) {
            keepAlive.start();
            Await.until("a few looks", Duration.ofSeconds(10), () -> asked.get() > 3);
        }
    }

    @Test
    void onlyProgressIsToldToSystemd(@TempDir Path dir) throws Exception {
        Path heard = dir.resolve("heard");
        Path socket = dir.resolve("notify");
        Process systemd = new ProcessBuilder(
                        "python3",
                        "-c",
                        "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1])\n"
                                + "while True:\n m=s.recv(99).decode();open(sys.argv[2],'a').write(m+'\\n')",
                        socket.toString(),
                        heard.toString())
                .start();
        try {
            Await.until("the socket", Duration.ofSeconds(10), () -> Files.exists(socket));
            ReadinessSocket readiness = ReadinessSocket.of(Map.of("NOTIFY_SOCKET", socket.toString()));
            AtomicReference<Optional<String>> stuck = new AtomicReference<>(Optional.of("stuck"));
            try (KeepAlive keepAlive = new KeepAlive(readiness, Map.of("WATCHDOG_USEC", "20000000"), stuck::get)) {
                keepAlive.step();
                readiness.status("between");
                stuck.set(Optional.empty());
                keepAlive.step();
            }
            Await.until("both", Duration.ofSeconds(10), () -> Files.exists(heard) && lines(heard) == 2);
            assertThat(Files.readAllLines(heard)).containsExactly("STATUS=between", "WATCHDOG=1");
        } finally {
            systemd.destroyForcibly();
        }
    }

    private static int lines(Path file) {
        try {
            return Files.readAllLines(file).size();
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
    }
}
