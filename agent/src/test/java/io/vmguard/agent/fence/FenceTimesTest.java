/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.fence;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The stages of a loss: their order for every configuration that is allowed, and the numbers that the documentation gives. */
class FenceTimesTest {
    private static FenceTimes times(long ioTimeout, long watchdog, long destroy) {
        return new FenceTimes(
                new Timeouts(Duration.ofSeconds(ioTimeout), Duration.ofSeconds(watchdog)), Duration.ofSeconds(destroy));
    }

    @ParameterizedTest
    @CsvSource({"10, 60, 5, 40 80 85 86 88 140", "2, 10, 5, 8 16 21 22 24 26"})
    void theTableIsWhatIsDocumented(long t, long w, long d, String seconds) {
        FenceTimes times = times(t, w, d);
        assertThat(String.join(
                        " ",
                        List.of(
                                        times.warned(),
                                        times.leasesLost(),
                                        times.killed(),
                                        times.deadmanKills(),
                                        times.deadmanHasKilled(),
                                        times.hostDead())
                                .stream()
                                .map(stage -> Long.toString(stage.toSeconds()))
                                .toList()))
                .isEqualTo(seconds);
    }

    @Test
    void everyAllowedConfigurationLeavesEachStageItsTime() {
        for (long t = 1; t <= 30; t++) {
            for (long w = 10; w <= 60; w++) {
                // The configuration allows less than two thirds of W.
                for (long d = 1; 3 * d < 2 * w; d++) {
                    FenceTimes times = times(t, w, d);
                    assertThat(List.of(
                                    times.warned(),
                                    times.leasesLost(),
                                    times.killed(),
                                    times.deadmanKills(),
                                    times.deadmanHasKilled(),
                                    times.hostDead()))
                            .as("T %d, W %d, D %d", t, w, d)
                            .isSorted()
                            .doesNotHaveDuplicates();
                }
            }
        }
    }

    @Test
    void aBudgetThatLeavesNoTimeToKillIsABug() {
        assertThatThrownBy(() -> times(1, 10, 7)).isInstanceOf(IllegalArgumentException.class);
    }
}
