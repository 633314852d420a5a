/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ProcessLife;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A membership whose last renewal is older than the first process of this machine, or container, has no users left. */
class JoinerTest {
    /** Seconds: the renewal by the monotonic clock, how long the machine has slept by now, the start of init by the boot clock. */
    @ParameterizedTest
    @CsvSource({
        "100, 0, 102, true",
        "100, 0, 101, false", // it may have been in that very second
        "100, 0, 1, false",
        "100, 50, 102, false", // it may have slept before the renewal
        "100, 50, 152, true",
        "100, 0, 0, false"
    })
    void isBeforeInitOnlyIfItWasForCertain(long timestamp, long suspended, long init, boolean before) {
        assertThat(Joiner.isBefore(
                        timestamp,
                        Duration.ofSeconds(suspended).toNanos(),
                        Duration.ofSeconds(init).toNanos()))
                .isEqualTo(before);
    }

    @Test
    void ifTheStartOfInitCannotBeToldNothingIsBeforeIt() {
        assertThat(Joiner.isBefore(0, 0, Long.MIN_VALUE)).isFalse();
    }

    @Test
    void thisProcessWasStartedAfterInitAndBeforeNow() throws IOException {
        long own = ProcessLife.startedBootNanos(ProcessHandle.current().pid());
        assertThat(own).isBetween(ProcessLife.startedBootNanos(1), new LinuxClock().bootNanos());
    }
}
