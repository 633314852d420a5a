/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.guard.Run.Wanted;
import io.vmguard.agent.migration.SourceSide.Word;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** When a QEMU may outlive the membership because another host runs its guest and owns all of its leases: only if all of that is known. */
class LeftBehindTest {
    private static final LeaseName DISK = new LeaseName("disk");
    private static final LeaseName BASE = new LeaseName("base");

    /** One thing that is otherwise, or not known. */
    private enum Doubt {
        NO_POST_COPY((run, out) -> out.postCopy = false),
        NEVER_SAID_TO_RUN_THERE((run, out) -> out.runningSinceNanos = 0),
        NOT_THERE_ANY_MORE((run, out) -> out.word = Word.ENDED),
        WORD_OF_NOBODY((run, out) -> out.word = Word.NONE),
        GIVEN_BY_AN_EARLIER_AGENT((run, out) -> out.inherited = true),
        STOPPED((run, out) -> out.stopped = true),
        RESUMED((run, out) -> out.resumed = true),
        UNDER_WAY((run, out) -> out.underWay.add(DISK)),
        NOT_ALL_GIVEN((run, out) -> run.wanted.put(BASE, wanted())),
        NONE_GIVEN((run, out) -> {
            out.given.clear();
            run.wanted.clear();
        });

        private final BiConsumer<Run, Outgoing> arises;

        Doubt(BiConsumer<Run, Outgoing> arises) {
            this.arises = arises;
        }
    }

    private final Run run = new Run(new UUID(1, 2), "demo1", Phase.GRANTED);
    private final Outgoing outgoing = new Outgoing(run.channel());

    LeftBehindTest() {
        run.wanted.put(DISK, wanted());
        run.outgoing = outgoing;
        outgoing.given.add(DISK);
        outgoing.postCopy = true;
        outgoing.runningSinceNanos = 1;
        outgoing.word = Word.RUNNING;
    }

    private static Wanted wanted() {
        return new Wanted("vda", "file:/a", LeaseMode.EXCLUSIVE, new LeaseNote("demo1", "uuid", "vda", "node-a", 0));
    }

    @Test
    void whoOwnsNothingAndCannotRunHereMayOutliveTheMembership() {
        assertThat(run.isLeftBehind()).isTrue();
        assertThat(run.isBetweenHosts()).isFalse();
    }

    /** That the other side runs it was read before the storage was lost. */
    @Test
    void whatWasKnownStaysSoWhileItCannotBeReadAgain() {
        outgoing.word = Word.UNKNOWN;
        assertThat(run.isLeftBehind()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void inAnyDoubtItMustNot(Doubt doubt) {
        doubt.arises.accept(run, outgoing);
        assertThat(run.isLeftBehind()).isFalse();
        assertThat(run.isBetweenHosts()).isEqualTo(doubt != Doubt.NONE_GIVEN);
    }

    @Test
    void whoIsNotMigratingIsNotLeftBehind() {
        run.outgoing = null;
        assertThat(run.isLeftBehind()).isFalse();
    }
}
