/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.migration;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.migration.SourceSide.Guest;
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
    @ParameterizedTest(name = "{0} {1} {2} job {3} spent {4} answers {5} guest {6} late {7} overdue {8}: {9}")
    @CsvSource({
        // qemu,   leases,    word,      job,    spent,  answers,  guest,      late,   overdue, step
        "ACTIVE,   OURS,      RUNNING,   *,      *,      *,        *,          *,      *,       KILL",
        "ACTIVE,   OURS,      PREPARED,  *,      *,      *,        HELD,       *,      *,       HALT",
        "ACTIVE,   OURS,      PREPARED,  *,      *,      *,        BEING_HELD, *,      *,       HALT",
        "ACTIVE,   OURS,      PREPARED,  true,   *,      *,        FREE,       *,      *,       WAIT",
        "ACTIVE,   OURS,      PREPARED,  true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "ACTIVE,   OURS,      PREPARED,  false,  *,      *,        FREE,       *,      *,       CLOSE",
        "ACTIVE,   OURS,      PREPARED,  false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "ACTIVE,   OURS,      UNKNOWN,   *,      *,      *,        HELD,       *,      *,       HALT",
        "ACTIVE,   OURS,      UNKNOWN,   *,      *,      *,        BEING_HELD, *,      *,       HALT",
        "ACTIVE,   OURS,      UNKNOWN,   true,   *,      *,        FREE,       *,      *,       WAIT",
        "ACTIVE,   OURS,      UNKNOWN,   true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "ACTIVE,   OURS,      UNKNOWN,   false,  *,      *,        FREE,       *,      *,       CLOSE",
        "ACTIVE,   OURS,      UNKNOWN,   false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "ACTIVE,   OURS,      NONE,      *,      *,      *,        HELD,       *,      *,       HALT",
        "ACTIVE,   OURS,      NONE,      *,      *,      *,        BEING_HELD, *,      *,       HALT",
        "ACTIVE,   OURS,      NONE,      true,   *,      *,        FREE,       *,      *,       WAIT",
        "ACTIVE,   OURS,      NONE,      true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "ACTIVE,   OURS,      NONE,      false,  *,      *,        FREE,       *,      *,       CLOSE",
        "ACTIVE,   OURS,      NONE,      false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "ACTIVE,   OURS,      ENDED,     *,      *,      *,        HELD,       *,      *,       HALT",
        "ACTIVE,   OURS,      ENDED,     *,      *,      *,        BEING_HELD, *,      *,       HALT",
        "ACTIVE,   OURS,      ENDED,     true,   *,      *,        FREE,       *,      *,       WAIT",
        "ACTIVE,   OURS,      ENDED,     true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "ACTIVE,   OURS,      ENDED,     false,  *,      *,        FREE,       *,      *,       CLOSE",
        "ACTIVE,   OURS,      ENDED,     false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "SWITCHED, OURS,      PREPARED,  *,      false,  false,    *,          *,      *,       HALT",
        "SWITCHED, OURS,      PREPARED,  *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, OURS,      PREPARED,  *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, OURS,      PREPARED,  *,      false,  true,     HELD,       false,  *,       HAND_OVER",
        "SWITCHED, OURS,      PREPARED,  *,      false,  true,     UNHOLDABLE, false,  *,       HAND_OVER",
        "SWITCHED, OURS,      PREPARED,  *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, OURS,      PREPARED,  *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, OURS,      PREPARED,  *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, OURS,      PREPARED,  *,      true,   *,        FREE,       *,      *,       HAND_OVER",
        "SWITCHED, OURS,      PREPARED,  *,      true,   *,        UNHOLDABLE, *,      *,       HAND_OVER",
        "SWITCHED, OURS,      RUNNING,   *,      false,  false,    *,          *,      *,       HALT",
        "SWITCHED, OURS,      RUNNING,   *,      false,  true,     FREE,       *,      *,       HOLD",
        "SWITCHED, OURS,      RUNNING,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, OURS,      RUNNING,   *,      false,  true,     BEING_HELD, true,   *,       HAND_OVER",
        "SWITCHED, OURS,      RUNNING,   *,      false,  true,     HELD,       *,      *,       HAND_OVER",
        "SWITCHED, OURS,      RUNNING,   *,      false,  true,     UNHOLDABLE, *,      *,       HAND_OVER",
        "SWITCHED, OURS,      RUNNING,   *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, OURS,      RUNNING,   *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, OURS,      RUNNING,   *,      true,   *,        FREE,       *,      *,       HAND_OVER",
        "SWITCHED, OURS,      RUNNING,   *,      true,   *,        UNHOLDABLE, *,      *,       HAND_OVER",
        "SWITCHED, OURS,      NONE,      *,      false,  *,        HELD,       *,      *,       PROCEED",
        "SWITCHED, OURS,      NONE,      *,      false,  *,        BEING_HELD, *,      *,       PROCEED",
        "SWITCHED, OURS,      NONE,      *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, OURS,      NONE,      *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, OURS,      NONE,      true,   *,      *,        FREE,       *,      *,       WAIT",
        "SWITCHED, OURS,      NONE,      true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, OURS,      NONE,      false,  *,      *,        FREE,       *,      *,       CLOSE",
        "SWITCHED, OURS,      NONE,      false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "SWITCHED, OURS,      ENDED,     *,      false,  *,        HELD,       *,      *,       PROCEED",
        "SWITCHED, OURS,      ENDED,     *,      false,  *,        BEING_HELD, *,      *,       PROCEED",
        "SWITCHED, OURS,      ENDED,     *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, OURS,      ENDED,     *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, OURS,      ENDED,     true,   *,      *,        FREE,       *,      *,       WAIT",
        "SWITCHED, OURS,      ENDED,     true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, OURS,      ENDED,     false,  *,      *,        FREE,       *,      *,       CLOSE",
        "SWITCHED, OURS,      ENDED,     false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  false,    *,          *,      *,       HALT",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, OURS,      UNKNOWN,   *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, OURS,      UNKNOWN,   *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, OURS,      UNKNOWN,   *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, OURS,      UNKNOWN,   *,      true,   *,        FREE,       *,      *,       WAIT",
        "SWITCHED, OURS,      UNKNOWN,   *,      true,   *,        UNHOLDABLE, *,      *,       WAIT",
        "STOPPED,  OURS,      RUNNING,   *,      false,  *,        *,          false,  *,       HAND_OVER",
        "STOPPED,  OURS,      RUNNING,   *,      false,  *,        *,          true,   *,       KILL",
        "STOPPED,  OURS,      PREPARED,  *,      false,  *,        *,          *,      false,   HAND_OVER",
        "STOPPED,  OURS,      PREPARED,  *,      false,  *,        *,          *,      true,    KILL",
        "STOPPED,  OURS,      UNKNOWN,   *,      false,  *,        *,          *,      false,   WAIT",
        "STOPPED,  OURS,      UNKNOWN,   *,      false,  *,        *,          *,      true,    KILL",
        "STOPPED,  OURS,      NONE,      *,      false,  *,        *,          *,      *,       PROCEED",
        "STOPPED,  OURS,      ENDED,     *,      false,  *,        *,          *,      *,       PROCEED",
        "ACTIVE,   GIVING,    RUNNING,   *,      *,      *,        *,          *,      *,       KILL",
        "ACTIVE,   GIVING,    NONE,      *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVING,    PREPARED,  *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVING,    ENDED,     *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVING,    UNKNOWN,   *,      *,      *,        *,          *,      *,       HALT",
        "SWITCHED, GIVING,    *,         *,      false,  false,    *,          *,      *,       HALT",
        "SWITCHED, GIVING,    RUNNING,   *,      false,  true,     FREE,       *,      *,       HOLD",
        "SWITCHED, GIVING,    RUNNING,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVING,    RUNNING,   *,      false,  true,     BEING_HELD, true,   *,       WAIT",
        "SWITCHED, GIVING,    RUNNING,   *,      false,  true,     HELD,       *,      *,       WAIT",
        "SWITCHED, GIVING,    RUNNING,   *,      false,  true,     UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, GIVING,    ENDED,     *,      false,  true,     FREE,       *,      *,       HOLD",
        "SWITCHED, GIVING,    ENDED,     *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVING,    ENDED,     *,      false,  true,     BEING_HELD, true,   *,       WAIT",
        "SWITCHED, GIVING,    ENDED,     *,      false,  true,     HELD,       *,      *,       WAIT",
        "SWITCHED, GIVING,    ENDED,     *,      false,  true,     UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, GIVING,    NONE,      *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVING,    NONE,      *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVING,    NONE,      *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVING,    NONE,      *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVING,    NONE,      *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVING,    PREPARED,  *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVING,    PREPARED,  *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVING,    PREPARED,  *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVING,    PREPARED,  *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVING,    PREPARED,  *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVING,    UNKNOWN,   *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVING,    UNKNOWN,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVING,    UNKNOWN,   *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVING,    UNKNOWN,   *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVING,    UNKNOWN,   *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVING,    *,         *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVING,    *,         *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVING,    *,         *,      true,   *,        FREE,       *,      *,       WAIT",
        "SWITCHED, GIVING,    *,         *,      true,   *,        UNHOLDABLE, *,      *,       WAIT",
        "STOPPED,  GIVING,    NONE,      *,      false,  *,        *,          *,      *,       WAIT",
        "STOPPED,  GIVING,    PREPARED,  *,      false,  *,        *,          *,      *,       WAIT",
        "STOPPED,  GIVING,    ENDED,     *,      false,  *,        *,          *,      *,       WAIT",
        "STOPPED,  GIVING,    UNKNOWN,   *,      false,  *,        *,          *,      *,       WAIT",
        "STOPPED,  GIVING,    RUNNING,   *,      false,  *,        *,          false,  *,       WAIT",
        "STOPPED,  GIVING,    RUNNING,   *,      false,  *,        *,          true,   *,       KILL",
        "ACTIVE,   GIVEN,     RUNNING,   *,      *,      *,        *,          *,      *,       KILL",
        "ACTIVE,   GIVEN,     NONE,      *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVEN,     PREPARED,  *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVEN,     ENDED,     *,      *,      *,        *,          *,      *,       HALT",
        "ACTIVE,   GIVEN,     UNKNOWN,   *,      *,      *,        *,          *,      *,       HALT",
        "SWITCHED, GIVEN,     *,         *,      false,  false,    *,          *,      *,       HALT",
        "SWITCHED, GIVEN,     RUNNING,   *,      false,  true,     FREE,       *,      *,       HOLD",
        "SWITCHED, GIVEN,     RUNNING,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVEN,     RUNNING,   *,      false,  true,     BEING_HELD, true,   *,       END",
        "SWITCHED, GIVEN,     RUNNING,   *,      false,  true,     HELD,       *,      *,       END",
        "SWITCHED, GIVEN,     RUNNING,   *,      false,  true,     UNHOLDABLE, *,      *,       END",
        "SWITCHED, GIVEN,     ENDED,     *,      false,  true,     FREE,       *,      *,       HOLD",
        "SWITCHED, GIVEN,     ENDED,     *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVEN,     ENDED,     *,      false,  true,     BEING_HELD, true,   *,       TAKE_BACK",
        "SWITCHED, GIVEN,     ENDED,     *,      false,  true,     HELD,       *,      *,       TAKE_BACK",
        "SWITCHED, GIVEN,     ENDED,     *,      false,  true,     UNHOLDABLE, *,      *,       TAKE_BACK",
        "SWITCHED, GIVEN,     NONE,      *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVEN,     NONE,      *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVEN,     NONE,      *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVEN,     NONE,      *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVEN,     NONE,      *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVEN,     PREPARED,  *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVEN,     PREPARED,  *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVEN,     PREPARED,  *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVEN,     PREPARED,  *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVEN,     PREPARED,  *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      false,  true,     FREE,       false,  *,       HOLD",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      false,  true,     BEING_HELD, false,  *,       WAIT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      false,  true,     HELD,       false,  *,       WAIT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      false,  true,     UNHOLDABLE, false,  *,       WAIT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      false,  true,     *,          true,   *,       HALT",
        "SWITCHED, GIVEN,     RUNNING,   *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVEN,     RUNNING,   *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVEN,     RUNNING,   *,      true,   *,        FREE,       *,      *,       END",
        "SWITCHED, GIVEN,     RUNNING,   *,      true,   *,        UNHOLDABLE, *,      *,       END",
        "SWITCHED, GIVEN,     ENDED,     *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVEN,     ENDED,     *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVEN,     ENDED,     *,      true,   *,        FREE,       *,      *,       TAKE_BACK",
        "SWITCHED, GIVEN,     ENDED,     *,      true,   *,        UNHOLDABLE, *,      *,       TAKE_BACK",
        "SWITCHED, GIVEN,     NONE,      *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVEN,     NONE,      *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVEN,     NONE,      *,      true,   *,        FREE,       *,      *,       WAIT",
        "SWITCHED, GIVEN,     NONE,      *,      true,   *,        UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, GIVEN,     PREPARED,  *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVEN,     PREPARED,  *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVEN,     PREPARED,  *,      true,   *,        FREE,       *,      *,       WAIT",
        "SWITCHED, GIVEN,     PREPARED,  *,      true,   *,        UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      true,   *,        FREE,       *,      *,       WAIT",
        "SWITCHED, GIVEN,     UNKNOWN,   *,      true,   *,        UNHOLDABLE, *,      *,       WAIT",
        "STOPPED,  GIVEN,     RUNNING,   *,      false,  *,        *,          *,      *,       END",
        "STOPPED,  GIVEN,     PREPARED,  true,   false,  *,        *,          false,  *,       WAIT",
        "STOPPED,  GIVEN,     PREPARED,  true,   false,  *,        *,          true,   *,       TAKE_BACK",
        "STOPPED,  GIVEN,     PREPARED,  false,  false,  *,        *,          *,      *,       TAKE_BACK",
        "STOPPED,  GIVEN,     NONE,      true,   false,  *,        *,          false,  *,       WAIT",
        "STOPPED,  GIVEN,     NONE,      true,   false,  *,        *,          true,   *,       TAKE_BACK",
        "STOPPED,  GIVEN,     NONE,      false,  false,  *,        *,          *,      *,       TAKE_BACK",
        "STOPPED,  GIVEN,     ENDED,     *,      false,  *,        *,          *,      *,       TAKE_BACK",
        "STOPPED,  GIVEN,     UNKNOWN,   *,      false,  *,        *,          *,      *,       WAIT",
        "STOPPED,  RETURNED,  *,         *,      false,  *,        *,          *,      *,       PROCEED",
        "STOPPED,  *,         *,         *,      true,   *,        *,          *,      *,       LET_END",
        "ACTIVE,   RETURNED,  *,         *,      *,      *,        HELD,       *,      *,       PROCEED",
        "ACTIVE,   RETURNED,  *,         *,      *,      *,        BEING_HELD, *,      *,       PROCEED",
        "ACTIVE,   RETURNED,  *,         true,   *,      *,        FREE,       *,      *,       WAIT",
        "ACTIVE,   RETURNED,  *,         true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "ACTIVE,   RETURNED,  *,         false,  *,      *,        FREE,       *,      *,       CLOSE",
        "ACTIVE,   RETURNED,  *,         false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "SWITCHED, RETURNED,  *,         *,      false,  *,        HELD,       *,      *,       PROCEED",
        "SWITCHED, RETURNED,  *,         *,      false,  *,        BEING_HELD, *,      *,       PROCEED",
        "SWITCHED, RETURNED,  *,         *,      true,   *,        HELD,       *,      *,       LET_END",
        "SWITCHED, RETURNED,  *,         *,      true,   *,        BEING_HELD, *,      *,       LET_END",
        "SWITCHED, RETURNED,  *,         true,   *,      *,        FREE,       *,      *,       WAIT",
        "SWITCHED, RETURNED,  *,         true,   *,      *,        UNHOLDABLE, *,      *,       WAIT",
        "SWITCHED, RETURNED,  *,         false,  *,      *,        FREE,       *,      *,       CLOSE",
        "SWITCHED, RETURNED,  *,         false,  *,      *,        UNHOLDABLE, *,      *,       CLOSE",
        "GONE,     OURS,      PREPARED,  *,      *,      *,        *,          false,  *,       HAND_OVER",
        "GONE,     OURS,      PREPARED,  *,      *,      *,        *,          true,   *,       RELEASE",
        "GONE,     OURS,      RUNNING,   *,      *,      *,        *,          false,  *,       HAND_OVER",
        "GONE,     OURS,      RUNNING,   *,      *,      *,        *,          true,   *,       RELEASE",
        "GONE,     OURS,      NONE,      *,      *,      *,        *,          *,      *,       RELEASE",
        "GONE,     OURS,      ENDED,     *,      *,      *,        *,          *,      *,       RELEASE",
        "GONE,     OURS,      UNKNOWN,   *,      *,      *,        *,          *,      *,       RELEASE",
        "GONE,     GIVING,    *,         *,      *,      *,        *,          *,      *,       WAIT",
        "GONE,     GIVEN,     *,         *,      *,      *,        *,          *,      *,       RELEASE",
        "GONE,     RETURNED,  *,         *,      *,      *,        *,          *,      *,       RELEASE",
    })
    void theSourceDoes(
            String qemu,
            String leases,
            String word,
            String job,
            String spent,
            String answers,
            String guest,
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
                        && matches(guest, facts.guest())
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
            if (elsewhere && facts.qemu() == Qemu.SWITCHED && !facts.spent() && facts.guest() == Guest.FREE) {
                assertThat(step).as("%s: it could be resumed", facts).isIn(Step.HALT, Step.HOLD);
            }
            if (elsewhere) {
                assertThat(step).as("%s", facts).isNotIn(Step.PROCEED, Step.CLOSE);
            }
        }
    }

    @Test
    void theSourceGivesNothingThatItsGuestMayStillWriteTo() {
        for (SourceSide.Facts facts : allOfSource()) {
            boolean unheld = facts.guest() == Guest.FREE || (facts.guest() == Guest.BEING_HELD && !facts.late());
            if (facts.qemu() == Qemu.ACTIVE
                    || (facts.qemu() == Qemu.SWITCHED && !facts.spent() && (!facts.answers() || unheld))) {
                assertThat(SourceSide.next(facts)).as("%s", facts).isNotIn(Step.HAND_OVER, Step.RELEASE);
            }
        }
    }

    @Test
    void theSourceGoesOnAfterAStopOnlyIfTheGuestIsNotThere() {
        for (SourceSide.Facts facts : allOfSource()) {
            boolean mayRunThere = facts.leases() != Leases.RETURNED
                    && (facts.word() == Word.RUNNING || facts.word() == Word.PREPARED || facts.word() == Word.UNKNOWN);
            boolean held = facts.guest() == Guest.HELD && facts.qemu() != Qemu.GONE;
            if ((facts.qemu() == Qemu.STOPPED || held) && mayRunThere) {
                assertThat(SourceSide.next(facts)).as("%s", facts).isNotIn(Step.PROCEED, Step.CLOSE);
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
                                        for (Guest guest : Guest.values()) {
                                            all.add(new SourceSide.Facts(
                                                    qemu, leases, word, job, spent, answers, guest, late, overdue));
                                        }
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
