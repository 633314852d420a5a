/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.State;
import io.vmguard.lease.ondisk.TransferSector;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Host 1 holds version 4 and gives; host 2 is to receive. */
class PaxosWordsTest {
    private static final Owner GIVER = new Owner(1, 2);
    private static final Owner RECEIVER = new Owner(2, 3);
    private static final long ATTEMPT = 77;

    private final LeaseBench bench = new LeaseBench();

    {
        bench.held(GIVER, 4, 500);
    }

    private TransferResult tell(Owner who, State state) {
        return bench.disk.run(PaxosWords.tell(bench.host(who), ATTEMPT, state));
    }

    private TransferResult look() {
        return bench.disk.run(PaxosWords.look(bench.host(RECEIVER)));
    }

    private static TransferWord word(Owner from, State state) {
        return new TransferWord(from, ATTEMPT, 4, state);
    }

    private static TransferResult seen(Optional<TransferWord> giver, Optional<TransferWord> receiver) {
        return new TransferResult.Seen(Optional.of(GIVER), 4, true, giver, receiver);
    }

    @Test
    void whereNothingWasSaidNothingIsRead() {
        assertThat(look()).isEqualTo(seen(Optional.empty(), Optional.empty()));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(State.class)
    void aWordIsWrittenIntoThePlaceOfItsSideAndReadBack(State state) {
        Owner from = state.side() == TransferWord.Side.GIVER ? GIVER : RECEIVER;
        Optional<TransferWord> word = Optional.of(word(from, state));
        assertThat(tell(from, state))
                .isEqualTo(
                        state.side() == TransferWord.Side.GIVER
                                ? seen(word, Optional.empty())
                                : seen(Optional.empty(), word));
        assertThat(bench.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.area()).isEqualTo(Step.Area.RESOURCE);
            assertThat(write.offset()).isEqualTo(bench.layout.wordOffset(state.side()));
            assertThat(write.sector()).isEqualTo(TransferSector.encode(bench.layout, word.get()));
        });
    }

    @Test
    void bothSidesStandBesideEachOther() {
        tell(GIVER, State.OFFERED);
        assertThat(tell(RECEIVER, State.PREPARED))
                .isEqualTo(seen(Optional.of(word(GIVER, State.OFFERED)), Optional.of(word(RECEIVER, State.PREPARED))));
    }

    /** The other way about, a word of the version before would be taken for one of this version. */
    @Test
    void theLeaderIsReadBeforeTheWords() {
        look();
        assertThat(bench.disk.reads())
                .extracting(MemoryDisk.Read::offset)
                .containsExactly(0L, bench.layout.wordOffset(TransferWord.Side.GIVER));
    }

    @Test
    void aFreeLeaseHasNoOwner() {
        bench.leader(edit -> edit.timestamp(0));
        assertThat(look())
                .isEqualTo(new TransferResult.Seen(Optional.empty(), 4, false, Optional.empty(), Optional.empty()));
    }

    @Test
    void anOwnerWhomAnotherWroteHasNotConfirmed() {
        bench.leader(edit -> edit.owner(RECEIVER).lver(5).writer(GIVER, 600));
        assertThat(look())
                .isEqualTo(
                        new TransferResult.Seen(Optional.of(RECEIVER), 5, false, Optional.empty(), Optional.empty()));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void aLookThatTheStorageDoesNotAnswerTellsNothing(int io) {
        bench.disk.failing(io);
        assertThat(look()).isEqualTo(new TransferResult.CannotTell(LeaseFault.IO, "I/O " + io + " fails"));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void aWordThatTheStorageDoesNotTakeTellsNothing(int io) {
        bench.disk.failing(io);
        assertThat(tell(GIVER, State.OFFERED))
                .isEqualTo(new TransferResult.CannotTell(LeaseFault.IO, "I/O " + io + " fails"));
    }

    @Test
    void nothingIsSaidUnderALostMembership() {
        bench.lose(GIVER.hostId());
        assertThat(tell(GIVER, State.OFFERED))
                .isEqualTo(
                        new TransferResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile"));
        assertThat(bench.disk.writes()).isEmpty();
    }
}
