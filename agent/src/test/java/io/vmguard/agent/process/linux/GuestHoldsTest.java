/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.Lookup;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Threads of a real process that are named like virtual processors are stopped and let go, and the others are not. */
@Timeout(60)
class GuestHoldsTest {
    private static final String NAME = "demo1";

    @TempDir
    private Path pidDirectory;

    private final UUID uuid = UUID.randomUUID();
    private LinuxQemuProcesses processes;
    private Process qemu;
    private GuardedProcess held;

    /** Two threads that count, and one that says how far they are when it is asked. */
    public static final class Guest {
        private Guest() {}

        public static void main(String[] arguments) throws IOException {
            AtomicLong count = new AtomicLong();
            for (int i = 0; i < 2; i++) {
                Thread thread = new Thread(
                        () -> {
                            while (true) {
                                count.incrementAndGet();
                            }
                        },
                        "CPU " + i + "/TCG");
                thread.setDaemon(true);
                thread.start();
            }
            PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
            out.println(0);
            while (System.in.read() >= 0) {
                out.println(count.get());
            }
        }
    }

    @BeforeEach
    void start() throws Exception {
        Path ptraceScope = Path.of("/proc/sys/kernel/yama/ptrace_scope");
        String scope = Files.exists(ptraceScope) ? Files.readString(ptraceScope).strip() : "0";
        boolean root = "root".equals(System.getProperty("user.name"));
        // A child of this process may be traced by it, but not where nobody may trace, or only root.
        boolean allowed = scope.equals("0") || scope.equals("1") || (root && scope.equals("2"));
        if (!allowed) {
            System.err.println("SKIPPED GuestHoldsTest: kernel.yama.ptrace_scope is " + scope);
        }
        assumeTrue(allowed, "kernel.yama.ptrace_scope is " + scope);
        processes = LinuxQemuProcesses.start(pidDirectory);
        qemu = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-XX:+UseSerialGC",
                        Guest.class.getName(),
                        "-name",
                        "guest=" + NAME,
                        "-uuid",
                        uuid.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        assertThat(reader().readLine()).isEqualTo("0");
        assertThat(processes.find(NAME, uuid)).isInstanceOf(Lookup.Found.class);
        held = ((Lookup.Found) processes.find(NAME, uuid)).process();
    }

    @AfterEach
    void end() {
        if (qemu != null) {
            qemu.destroyForcibly();
            processes.close();
        }
    }

    private BufferedReader reader() {
        return qemu.inputReader(StandardCharsets.UTF_8);
    }

    /** How far they have counted, said by a thread that is never held. */
    private long count() {
        try {
            qemu.getOutputStream().write('\n');
            qemu.getOutputStream().flush();
            return Long.parseLong(reader().readLine());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean hold() throws Exception {
        CompletableFuture<Boolean> told = new CompletableFuture<>();
        held.holdGuest(told::complete);
        return told.get(20, TimeUnit.SECONDS);
    }

    private void awaitProgress() {
        long from = count();
        while (count() == from && !Thread.currentThread().isInterrupted()) { // by the limit of the class
            Thread.onSpinWait();
        }
    }

    @Test
    void whatIsHeldStandsStillWhileTheRestAnswers() throws Exception {
        assertThat(hold()).isTrue();
        long from = count();
        for (int i = 0; i < 1000; i++) {
            assertThat(count()).isEqualTo(from);
        }
        held.letGuestGo();
        awaitProgress();
    }

    @Test
    void itIsHeldAgainAtOnce() throws Exception {
        for (int i = 0; i < 20; i++) {
            assertThat(hold()).isTrue();
            long from = count();
            assertThat(count()).isEqualTo(from);
            held.letGuestGo();
        }
        awaitProgress();
    }

    @Test
    void whatIsHeldCanBeKilledAndIsSeenToBeGone() throws Exception {
        assertThat(hold()).isTrue();
        CountDownLatch gone = new CountDownLatch(1);
        held.onGone(gone::countDown);
        held.kill();
        assertThat(gone.await(20, TimeUnit.SECONDS)).isTrue();
        assertThat(qemu.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void whatIsHeldCanBeStoppedAsAWholeAndProceeds() throws Exception {
        assertThat(hold()).isTrue();
        held.stop();
        held.proceed();
        long from = count();
        assertThat(count()).as("still held").isEqualTo(from);
        held.letGuestGo();
        awaitProgress();
        assertThat(hold()).isTrue();
        held.stop();
        held.letGuestGo();
        held.proceed();
        awaitProgress();
    }

    @Test
    void whoIsLetGoOfGoesOn() throws Exception {
        assertThat(hold()).isTrue();
        held.close();
        awaitProgress();
    }
}
