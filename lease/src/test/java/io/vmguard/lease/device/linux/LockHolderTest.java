/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who has a lock, when its file tells the truth and when it does not: a lie never makes a holder look dead. */
class LockHolderTest {
    private static final String BOOT = "3b241101-e2bb-4255-8caf-4136c566a962";

    @TempDir
    Path dir;

    private Path file;
    private LocalLock lock;

    @BeforeEach
    void lock() {
        file = dir.resolve("LS.lock");
        lock = LocalLock.tryTake(file).orElseThrow();
    }

    @AfterEach
    void unlock() {
        lock.close();
    }

    @Test
    void whoSignedAndLivesIsAlive() throws IOException {
        LocalLock.sign(file, BOOT);
        LockHolder.Verdict verdict = LockHolder.look(file, BOOT);
        assertThat(verdict.life()).isEqualTo(ProcessLife.ALIVE);
        assertThat(verdict.who()).isEqualTo("process " + ProcessHandle.current().pid());
        assertThat(LocalLock.tryTake(file))
                .as("writing into it does not unlock it")
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "1234",
                "1234 5\n",
                "x y " + BOOT + "\n",
                "-1 5 " + BOOT + "\n",
                "99999999999 5 " + BOOT + "\n",
                "1 99999999999999999999 " + BOOT + "\n",
                "1 2 " + BOOT + "\n1 2 " + BOOT + "\n",
                "1 2 another-boot\n"
            })
    void aFileThatDoesNotSayItCannotTell(String text) throws IOException {
        Files.writeString(file, text);
        assertThat(LockHolder.look(file, BOOT).life()).isEqualTo(ProcessLife.UNCLEAR);
    }

    @Test
    void aFileOfAnyLengthCannotTell() throws IOException {
        Files.write(file, new byte[1 << 20]);
        assertThat(LockHolder.look(file, BOOT).life()).isEqualTo(ProcessLife.UNCLEAR);
    }

    /** Somebody has the lock, and it is not the one that is named: whoever it is may live. */
    @Test
    void aProcessThatHasEndedIsNotTheHolder() throws IOException {
        LockHolder self = LockHolder.self(BOOT);
        new LockHolder(self.pid(), self.startTicks() + 1, BOOT).write(file);
        LockHolder.Verdict verdict = LockHolder.look(file, BOOT);
        assertThat(verdict.life()).isEqualTo(ProcessLife.UNCLEAR);
        assertThat(verdict.who()).contains("has ended, and it is still locked");
    }

    @Test
    void aDyingProcessThatIsNamedAndDoesNotHaveItIsNotTheHolder() throws IOException {
        Process parent = new ProcessBuilder("sh", "-c", "sleep 0.01 & echo $!; exec sleep 60").start();
        try {
            long zombie = Long.parseLong(parent.inputReader().readLine());
            long started = ProcessLife.startTicks(zombie);
            io.vmguard.lease.testing.Await.until(
                    "it to be a zombie",
                    java.time.Duration.ofSeconds(10),
                    () -> ProcessLife.of(zombie, started) == ProcessLife.DYING);
            new LockHolder(zombie, started, BOOT).write(file);
            LockHolder.Verdict verdict = LockHolder.look(file, BOOT);
            assertThat(verdict.life()).isEqualTo(ProcessLife.UNCLEAR);
            assertThat(verdict.who()).contains("is not the one that has it");
        } finally {
            parent.destroyForcibly();
        }
    }
}
