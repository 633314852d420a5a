/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who has the lock, and that giving it back gives back nothing else. */
class LocalLockTest {
    @TempDir
    Path dir;

    @Test
    void oneAtATime() {
        try (LocalLock held = LocalLock.tryTake(dir.resolve("a")).orElseThrow()) {
            assertThat(LocalLock.tryTake(dir.resolve("a"))).isEmpty();
            assertThat(held).isNotNull();
        }
        LocalLock.tryTake(dir.resolve("a")).orElseThrow().close();
    }

    /** The kernel gives the lowest free number to the next file: a second close of the first would close that one. */
    @Test
    void closingTwiceDoesNotCloseSomebodyElsesFile() {
        LocalLock first = LocalLock.tryTake(dir.resolve("a")).orElseThrow();
        first.close();
        try (LocalLock second = LocalLock.tryTake(dir.resolve("b")).orElseThrow()) {
            first.close();
            assertThat(LocalLock.tryTake(dir.resolve("b"))).as("still held").isEmpty();
            assertThat(second).isNotNull();
        }
    }

    /** A child has the open files of its parent until it runs its own program; the lock has to be free before. */
    @Test
    void aProcessThatIsJustBeingStartedKeepsNoLockThatWasGivenBack() throws Exception {
        CompletableFuture<Void> starts = CompletableFuture.runAsync(() -> {
            for (int start = 0; start < 100; start++) {
                startAndEnd();
            }
        });
        Path file = dir.resolve("a");
        while (!starts.isDone()) {
            LocalLock.tryTake(file).orElseThrow().close();
        }
        starts.get();
    }

    private static void startAndEnd() {
        try {
            assertThat(new ProcessBuilder("true").start().waitFor()).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }
}
