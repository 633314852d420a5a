/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.migration;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.migration.SourceSide.Leases;
import io.vmguard.agent.migration.SourceSide.Qemu;
import io.vmguard.agent.migration.SourceSide.Step;
import io.vmguard.agent.migration.SourceSide.Word;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The two tables: every state with everything that can be known has one result, and none of them lets two guests run. */
class SidesTest {
    private static final boolean[] EITHER = {false, true};

    /** An asterisk stands for everything that can be there. */
    @ParameterizedTest(name = "{0} {1} {2} job {3} spent {4} answers {5} late {6} overdue {7}: {8}")
    @CsvSource({
        // qemu,      leases,    word,      job,    spent,  answers,  late,   overdue, step
        "ACTIVE,    OURS,      RUNNING,   *,      *,      *,        *,      *,       KILL",
        "ACTIVE,    OURS,      PREPARED,  true,   *,      *,        *,      *,       WAIT",
        "ACTIVE,    OURS,      PREPARED,  false,  *,      *,        *,      *,       CLOSE",
        "ACTIVE,    OURS,      UNKNOWN,   true,   *,      *,        *,      *,       WAIT",
        "ACTIVE,    OURS,      UNKNOWN,   false,  *,      *,        *,      *,       CLOSE",
        "ACTIVE,    OURS,      NONE,      true,   *,      *,        *,      *,       WAIT",
        "ACTIVE,    OURS,      NONE,      false,  *,      *,        *,      *,       CLOSE",
        "ACTIVE,    OURS,      ENDED,     true,   *,      *,        *,      *,       WAIT",
        "ACTIVE,    OURS,      ENDED,     false,  *,      *,        *,      *,       CLOSE",
        "SWITCHED,  OURS,      PREPARED,  *,      false,  false,    *,      *,       HALT",
        "SWITCHED,  OURS,      PREPARED,  *,      false,  true,     false,  *,       HAND_OVER",
        "SWITCHED,  OURS,      PREPARED,  *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  OURS,      PREPARED,  *,      true,   *,        *,      *,       HAND_OVER",
        "SWITCHED,  OURS,      RUNNING,   *,      false,  false,    *,      *,       HALT",
        "SWITCHED,  OURS,      RUNNING,   *,      false,  true,     *,      *,       HAND_OVER",
        "SWITCHED,  OURS,      RUNNING,   *,      true,   *,        *,      *,       HAND_OVER",
        "SWITCHED,  OURS,      NONE,      true,   *,      *,        *,      *,       WAIT",
        "SWITCHED,  OURS,      NONE,      false,  *,      *,        *,      *,       CLOSE",
        "SWITCHED,  OURS,      ENDED,     true,   *,      *,        *,      *,       WAIT",
        "SWITCHED,  OURS,      ENDED,     false,  *,      *,        *,      *,       CLOSE",
        "SWITCHED,  OURS,      UNKNOWN,   *,      false,  false,    *,      *,       HALT",
        "SWITCHED,  OURS,      UNKNOWN,   *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  OURS,      UNKNOWN,   *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  OURS,      UNKNOWN,   *,      true,   *,        *,      *,       WAIT",
        "STOPPED,   OURS,      RUNNING,   *,      false,  *,        false,  *,       HAND_OVER",
        "STOPPED,   OURS,      RUNNING,   *,      false,  *,        true,   *,       KILL",
        "STOPPED,   OURS,      PREPARED,  *,      false,  *,        *,      false,   HAND_OVER",
        "STOPPED,   OURS,      PREPARED,  *,      false,  *,        *,      true,    KILL",
        "STOPPED,   OURS,      UNKNOWN,   *,      false,  *,        *,      false,   WAIT",
        "STOPPED,   OURS,      UNKNOWN,   *,      false,  *,        *,      true,    KILL",
        "STOPPED,   OURS,      NONE,      *,      false,  *,        *,      *,       PROCEED",
        "STOPPED,   OURS,      ENDED,     *,      false,  *,        *,      *,       PROCEED",
        "ACTIVE,    GIVING,    RUNNING,   *,      *,      *,        *,      *,       KILL",
        "ACTIVE,    GIVING,    NONE,      *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVING,    PREPARED,  *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVING,    ENDED,     *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVING,    UNKNOWN,   *,      *,      *,        *,      *,       HALT",
        "SWITCHED,  GIVING,    *,         *,      false,  false,    *,      *,       HALT",
        "SWITCHED,  GIVING,    RUNNING,   *,      false,  true,     *,      *,       WAIT",
        "SWITCHED,  GIVING,    ENDED,     *,      false,  true,     *,      *,       WAIT",
        "SWITCHED,  GIVING,    NONE,      *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVING,    NONE,      *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVING,    PREPARED,  *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVING,    PREPARED,  *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVING,    UNKNOWN,   *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVING,    UNKNOWN,   *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVING,    *,         *,      true,   *,        *,      *,       WAIT",
        "STOPPED,   GIVING,    NONE,      *,      false,  *,        *,      *,       WAIT",
        "STOPPED,   GIVING,    PREPARED,  *,      false,  *,        *,      *,       WAIT",
        "STOPPED,   GIVING,    ENDED,     *,      false,  *,        *,      *,       WAIT",
        "STOPPED,   GIVING,    UNKNOWN,   *,      false,  *,        *,      *,       WAIT",
        "STOPPED,   GIVING,    RUNNING,   *,      false,  *,        false,  *,       WAIT",
        "STOPPED,   GIVING,    RUNNING,   *,      false,  *,        true,   *,       KILL",
        "ACTIVE,    GIVEN,     RUNNING,   *,      *,      *,        *,      *,       KILL",
        "ACTIVE,    GIVEN,     NONE,      *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVEN,     PREPARED,  *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVEN,     ENDED,     *,      *,      *,        *,      *,       HALT",
        "ACTIVE,    GIVEN,     UNKNOWN,   *,      *,      *,        *,      *,       HALT",
        "SWITCHED,  GIVEN,     *,         *,      false,  false,    *,      *,       HALT",
        "SWITCHED,  GIVEN,     RUNNING,   *,      false,  true,     *,      *,       END",
        "SWITCHED,  GIVEN,     ENDED,     *,      false,  true,     *,      *,       TAKE_BACK",
        "SWITCHED,  GIVEN,     NONE,      *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVEN,     NONE,      *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVEN,     PREPARED,  *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVEN,     PREPARED,  *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVEN,     UNKNOWN,   *,      false,  true,     false,  *,       WAIT",
        "SWITCHED,  GIVEN,     UNKNOWN,   *,      false,  true,     true,   *,       HALT",
        "SWITCHED,  GIVEN,     RUNNING,   *,      true,   *,        *,      *,       END",
        "SWITCHED,  GIVEN,     ENDED,     *,      true,   *,        *,      *,       TAKE_BACK",
        "SWITCHED,  GIVEN,     NONE,      *,      true,   *,        *,      *,       WAIT",
        "SWITCHED,  GIVEN,     PREPARED,  *,      true,   *,        *,      *,       WAIT",
        "SWITCHED,  GIVEN,     UNKNOWN,   *,      true,   *,        *,      *,       WAIT",
        "STOPPED,   GIVEN,     RUNNING,   *,      false,  *,        *,      *,       END",
        "STOPPED,   GIVEN,     PREPARED,  true,   false,  *,        false,  *,       WAIT",
        "STOPPED,   GIVEN,     PREPARED,  true,   false,  *,        true,   *,       TAKE_BACK",
        "STOPPED,   GIVEN,     PREPARED,  false,  false,  *,        *,      *,       TAKE_BACK",
        "STOPPED,   GIVEN,     NONE,      true,   false,  *,        false,  *,       WAIT",
        "STOPPED,   GIVEN,     NONE,      true,   false,  *,        true,   *,       TAKE_BACK",
        "STOPPED,   GIVEN,     NONE,      false,  false,  *,        *,      *,       TAKE_BACK",
        "STOPPED,   GIVEN,     ENDED,     *,      false,  *,        *,      *,       TAKE_BACK",
        "STOPPED,   GIVEN,     UNKNOWN,   *,      false,  *,        *,      *,       WAIT",
        "STOPPED,   RETURNED,  *,         *,      false,  *,        *,      *,       PROCEED",
        "STOPPED,   *,         *,         *,      true,   *,        *,      *,       LET_END",
        "ACTIVE,    RETURNED,  *,         true,   *,      *,        *,      *,       WAIT",
        "ACTIVE,    RETURNED,  *,         false,  *,      *,        *,      *,       CLOSE",
        "SWITCHED,  RETURNED,  *,         true,   *,      *,        *,      *,       WAIT",
        "SWITCHED,  RETURNED,  *,         false,  *,      *,        *,      *,       CLOSE",
        "GONE,      OURS,      PREPARED,  *,      *,      *,        false,  *,       HAND_OVER",
        "GONE,      OURS,      PREPARED,  *,      *,      *,        true,   *,       RELEASE",
        "GONE,      OURS,      RUNNING,   *,      *,      *,        false,  *,       HAND_OVER",
        "GONE,      OURS,      RUNNING,   *,      *,      *,        true,   *,       RELEASE",
        "GONE,      OURS,      NONE,      *,      *,      *,        *,      *,       RELEASE",
        "GONE,      OURS,      ENDED,     *,      *,      *,        *,      *,       RELEASE",
        "GONE,      OURS,      UNKNOWN,   *,      *,      *,        *,      *,       RELEASE",
        "GONE,      GIVING,    *,         *,      *,      *,        *,      *,       WAIT",
        "GONE,      GIVEN,     *,         *,      *,      *,        *,      *,       RELEASE",
        "GONE,      RETURNED,  *,         *,      *,      *,        *,      *,       RELEASE",
    })
    void theSourceDoes(
            String qemu,
            String leases,
            String word,
            String job,
            String spent,
            String answers,
            String late,
            String overdue,
            Step step) {
        List<SourceSide.Facts> matching = allOfSource().stream()
                .filter(facts -> matches(qemu, facts.qemu())
                        && matches(leases, facts.leases())
                        && matches(word, facts.word())
                        && matches(job, facts.job())
                        && matches(spent, facts.spent())
                        && matches(answers, facts.answers())
                        && matches(late, facts.late())
                        && matches(overdue, facts.overdue()))
                .toList();
        assertThat(matching)
                .isNotEmpty()
                .allSatisfy(facts -> assertThat(SourceSide.next(facts)).isEqualTo(step));
    }

    private static boolean matches(String pattern, Object value) {
        return pattern.equals("*") || pattern.equals(value.toString());
    }

    @Test
    void theSourceNeverRunsWithoutItsLeases() {
        for (SourceSide.Facts facts : allOfSource()) {
            Step step = SourceSide.next(facts);
            boolean elsewhere = facts.leases() == Leases.GIVEN || facts.leases() == Leases.GIVING;
            if (elsewhere && facts.qemu() == Qemu.ACTIVE) {
                assertThat(step).as("%s", facts).isIn(Step.HALT, Step.KILL);
            }
            if (elsewhere && facts.qemu() == Qemu.SWITCHED && !facts.spent() && !facts.answers()) {
                assertThat(step).as("%s: it could be resumed", facts).isEqualTo(Step.HALT);
            }
            if (elsewhere) {
                assertThat(step).as("%s", facts).isNotIn(Step.PROCEED, Step.CLOSE);
            }
        }
    }

    @Test
    void theSourceGivesNothingThatItsGuestMayStillWriteTo() {
        for (SourceSide.Facts facts : allOfSource()) {
            if (facts.qemu() == Qemu.ACTIVE || (facts.qemu() == Qemu.SWITCHED && !facts.spent() && !facts.answers())) {
                assertThat(SourceSide.next(facts)).as("%s", facts).isNotIn(Step.HAND_OVER, Step.RELEASE);
            }
        }
    }

    @Test
    void theSourceGoesOnAfterAStopOnlyIfTheGuestIsNotThere() {
        for (SourceSide.Facts facts : allOfSource()) {
            boolean mayRunThere = facts.leases() != Leases.RETURNED
                    && (facts.word() == Word.RUNNING || facts.word() == Word.PREPARED || facts.word() == Word.UNKNOWN);
            if (facts.qemu() == Qemu.STOPPED && mayRunThere) {
                assertThat(SourceSide.next(facts)).as("%s", facts).isNotEqualTo(Step.PROCEED);
            }
            if (SourceSide.next(facts) == Step.LET_END) {
                assertThat(facts.spent())
                        .as("%s: it will not be resumed", facts)
                        .isTrue();
            }
        }
    }

    @Test
    void theSourceKillsNothingThatIsTheOnlyOne() {
        for (SourceSide.Facts facts : allOfSource()) {
            Step step = SourceSide.next(facts);
            if (step == Step.KILL || step == Step.END) {
                assertThat(facts.word() == Word.RUNNING || facts.overdue())
                        .as("%s", facts)
                        .isTrue();
            }
        }
    }

    private static List<SourceSide.Facts> allOfSource() {
        List<SourceSide.Facts> all = new ArrayList<>();
        for (Qemu qemu : Qemu.values()) {
            for (Leases leases : Leases.values()) {
                for (Word word : Word.values()) {
                    for (boolean job : EITHER) {
                        for (boolean late : EITHER) {
                            for (boolean overdue : EITHER) {
                                for (boolean spent : EITHER) {
                                    for (boolean answers : EITHER) {
                                        all.add(new SourceSide.Facts(
                                                qemu, leases, word, job, spent, answers, late, overdue));
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return all;
    }

    @ParameterizedTest(name = "{0} {1} giver silent {2}: {3}")
    @CsvSource({
        "NONE,     *,         *,     WAIT",
        "INCOMING, *,         *,     WAIT",
        "RUNNING,  RECEIVING, false, CONFIRM",
        "RUNNING,  RECEIVING, true,  STOP",
        "RUNNING,  REFUSED,   false, CLAIM",
        "RUNNING,  REFUSED,   true,  STOP",
        "RUNNING,  OURS,      *,     CLOSE",
        "GONE,     RECEIVING, *,     DECLINE",
        "GONE,     REFUSED,   *,     DECLINE",
        "GONE,     OURS,      *,     CLOSE",
    })
    void theTargetDoes(String qemu, String leases, String silent, TargetSide.Step step) {
        int found = 0;
        for (TargetSide.Qemu q : TargetSide.Qemu.values()) {
            for (TargetSide.Leases l : TargetSide.Leases.values()) {
                for (boolean s : EITHER) {
                    if (matches(qemu, q) && matches(leases, l) && matches(silent, s)) {
                        assertThat(TargetSide.next(new TargetSide.Facts(q, l, s)))
                                .isEqualTo(step);
                        found++;
                    }
                }
            }
        }
        assertThat(found).isPositive();
    }
}
