/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
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
}
