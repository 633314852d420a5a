/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.fence;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.fence.FencePolicy.Deed;
import io.vmguard.agent.fence.FencePolicy.Progress;
import io.vmguard.agent.fence.FencePolicy.Stage;
import io.vmguard.agent.fence.FencePolicy.Verdict;
import io.vmguard.agent.fence.FencePolicy.Wish;
import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The rule as a table: age of the last renewal, what has happened, what must be done. */
class FencePolicyTest {
    /** T = 10 s, W = 60 s, five seconds for an orderly end: lost at 80, SIGKILL at 85, others at 140. */
    private static final FenceTimes TIMES = new FenceTimes(Timeouts.ofSeconds(10), Duration.ofSeconds(5));

    @ParameterizedTest(name = "{0} s after the renewal, {1} s after the loss: {2}, next in {3} s")
    @CsvSource({
        "0,      ,     IN_TIME, 40",
        "39.999, ,     IN_TIME, 0.001",
        "40,     ,     WARNING, 40",
        "79.999, ,     WARNING, 0.001",
        // Without any event: the age alone is a loss.
        "80,     ,     ORDERLY, 5",
        "84.999, ,     ORDERLY, 0.001",
        "85,     ,     KILL,    0",
        // Noticed a moment late, the orderly end still ends when it must.
        "80.1,   0,    ORDERLY, 4.9",
        "83,     0,    ORDERLY, 2",
        // Woken up after everything: nothing is orderly any more.
        "86,     0,    KILL,    0",
        "139,    0,    KILL,    0",
        "100000, 0,    KILL,    0",
        // Lost by an event right after a renewal: the budget counts from the event.
        "0,      0,    ORDERLY, 5",
        "3,      2,    ORDERLY, 3",
        "7,      5,    KILL,    0",
        // Lost by an event late: whichever comes first.
        "79,     0,    ORDERLY, 5",
        "82,     1,    ORDERLY, 3",
        "84,     5,    KILL,    0",
    })
    void stageFollowsFromAgeAndEvents(String age, String loss, Stage stage, String left) {
        Optional<Duration> sinceLoss = Optional.ofNullable(loss).map(FencePolicyTest::seconds);
        assertThat(FencePolicy.judge(TIMES, seconds(age), sinceLoss)).isEqualTo(new Verdict(stage, seconds(left)));
    }

    @ParameterizedTest(name = "{0} with {1} s left, {2}, {3}: {4}")
    @CsvSource({
        "IN_TIME, 40,    POWEROFF, NONE,           NOTHING",
        "WARNING, 1,     PAUSE,    NONE,           NOTHING",
        "IN_TIME, 40,    IGNORE,   NONE,           NOTHING",
        "ORDERLY, 5,     POWEROFF, NONE,           DESTROY",
        "ORDERLY, 0.001, POWEROFF, NONE,           DESTROY",
        "ORDERLY, 4,     POWEROFF, ORDERLY_FAILED, KILL",
        "KILL,    0,     POWEROFF, NONE,           KILL",
        "ORDERLY, 5,     PAUSE,    NONE,           PAUSE",
        "ORDERLY, 2.501, PAUSE,    NONE,           PAUSE",
        "ORDERLY, 2.5,   PAUSE,    NONE,           DESTROY",
        "ORDERLY, 5,     PAUSE,    PAUSE_FAILED,   DESTROY",
        "ORDERLY, 5,     PAUSE,    ORDERLY_FAILED, KILL",
        "ORDERLY, 1,     PAUSE,    PAUSE_PROVED,   KEEP_PAUSED",
        "KILL,    0,     PAUSE,    NONE,           KILL",
        "KILL,    0,     PAUSE,    PAUSE_FAILED,   KILL",
        "KILL,    0,     PAUSE,    PAUSE_PROVED,   KEEP_PAUSED",
        "ORDERLY, 5,     IGNORE,   NONE,           NOTHING",
        "KILL,    0,     IGNORE,   NONE,           NOTHING",
    })
    void deedFollowsFromStageWishAndProgress(Stage stage, String left, Wish wish, Progress progress, Deed deed) {
        assertThat(FencePolicy.deed(TIMES, new Verdict(stage, seconds(left)), wish, progress))
                .isEqualTo(deed);
    }

    @Test
    void whoDoesNotIgnoreAndIsNotProvedPausedIsKilledAtLeastByTheKillTime() {
        for (Wish wish : Wish.values()) {
            for (Progress progress : Progress.values()) {
                Verdict overdue = FencePolicy.judge(TIMES, TIMES.killed(), Optional.empty());
                Deed deed = FencePolicy.deed(TIMES, overdue, wish, progress);
                assertThat(deed)
                        .as("%s, %s", wish, progress)
                        .isEqualTo(
                                wish == Wish.IGNORE
                                        ? Deed.NOTHING
                                        : progress == Progress.PAUSE_PROVED ? Deed.KEEP_PAUSED : Deed.KILL);
            }
        }
    }

    private static Duration seconds(String text) {
        return Duration.ofNanos(new java.math.BigDecimal(text).movePointRight(9).longValueExact());
    }
}
