/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.State;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.PaxosHandOver.Progress;
import io.vmguard.lease.paxos.PaxosHandOver.Result;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Host 1 of generation 2 gives what it holds as version 4 to host 2 of generation 3.
 *
 * <p>The I/Os of an undisturbed step: 1 look, 2 the receiver's word, 3 its delta lease, 4 write and 5 read of phase 1, 6 write and 7 read
 * of phase 2, 8 the receiver's block, 9 leader. In a run that was begun before: 1 look, 2 to 5 ballot, 6 leader.
 */
class PaxosHandOverTest {
    private static final Owner ME = new Owner(1, 2);
    private static final Owner RECEIVER = new Owner(2, 3);
    private static final DiskBlock ENTERING = DiskBlock.entering(2001, 5).giving(ME.generation());
    private static final DiskBlock PROPOSING = ENTERING.proposing(2, 3, 1000);

    private final LeaseBench bench =
            new LeaseBench().delta(ME, 990).delta(RECEIVER, 990).looks(1);
    private final HeldRecord held = bench.prepared(RECEIVER, 4).held(ME, 4, 500);
    private final LeaderRecord given = held.leader()
            .edit()
            .owner(RECEIVER)
            .lver(5)
            .timestamp(1000)
            .writer(ME, 1000)
            .seal();

    private Result give(Owner receiver, boolean begun) {
        return bench.disk.run(new PaxosHandOver(bench.host(ME), held, receiver, begun).start());
    }

    private Result give() {
        return give(RECEIVER, false);
    }

    private Result finish() {
        return give(RECEIVER, true);
    }

    private static void kept(Result result, LeaseFault fault, String why) {
        assertThat(result).isInstanceOf(Result.Kept.class);
        assertThat(((Result.Kept) result).fault()).isEqualTo(fault);
        assertThat(((Result.Kept) result).why()).contains(why);
    }

    private static void unknown(Result result, LeaseFault fault) {
        assertThat(result).isInstanceOf(Result.Unknown.class);
        assertThat(((Result.Unknown) result).fault()).isEqualTo(fault);
    }

    private void leaderUntouched() {
        assertThat(bench.leader()).isEqualTo(held.leader());
    }

    @Test
    void oneBallotForTheReceiverAndOneWriteOfTheLeader() {
        assertThat(give()).isEqualTo(new Result.Given(given));
        assertThat(bench.written())
                .containsExactly(
                        bench.blockWritten(1, ENTERING), bench.blockWritten(1, PROPOSING), bench.leaderWritten(given));
        assertThat(bench.disk.reads()).hasSize(6);
    }

    @Test
    void aStepThatWasBegunIsFinishedWithoutAskingAgain() {
        bench.delta(RECEIVER, 0).block(2, DiskBlock.entering(0, 0).asReleased());
        assertThat(finish()).isEqualTo(new Result.Given(given));
        assertThat(bench.written())
                .containsExactly(
                        bench.blockWritten(1, ENTERING), bench.blockWritten(1, PROPOSING), bench.leaderWritten(given));
        assertThat(bench.disk.reads()).hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatWasGivenIsFoundGiven(boolean begun) {
        bench.leader(given);
        assertThat(give(RECEIVER, begun)).isEqualTo(new Result.Given(given));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "2, 3, 4, 500", // the receiver's, of our version: not by our step
        "2, 3, 5, 0", // his, and free again
        "2, 4, 5, 500", // his next life's
        "3, 1, 5, 500",
        "1, 2, 5, 500",
        "1, 2, 4, 0",
    })
    void whatIsNotOursIsNotGiven(long id, long generation, long lver, long timestamp) {
        bench.leader(edit -> edit.owner(new Owner(id, generation)).lver(lver).timestamp(timestamp));
        LeaderRecord before = bench.leader();
        assertThat(give()).isEqualTo(new Result.NotOurs(LeaseFault.LEADER_CHANGED, "the leader now says " + before));
        assertThat(finish()).isInstanceOf(Result.NotOurs.class);
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aLeaderThatAnotherHostWroteForUsOnceMoreIsStillOurs() {
        bench.leader(edit -> edit.writer(new Owner(3, 1), 501));
        assertThat(give()).isEqualTo(new Result.Given(given));
    }

    /** A late write of somebody has put the leader of an earlier hold of ours back. */
    @Test
    void whatTheLeaderShowsInAnOlderVersionThanOursIsKept() {
        LeaderRecord old = held.leader().edit().lver(2).timestamp(300).seal();
        bench.leader(old).prepared(RECEIVER, 2);
        HeldRecord found = new HeldRecord(old, held.block());
        kept(
                bench.disk.run(new PaxosHandOver(bench.host(ME), found, RECEIVER, false).start()),
                LeaseFault.LEADER_CHANGED,
                "the leader shows an older version than the one that is held");
        assertThat(bench.disk.writes()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"2, 3, 500", "3, 1, 500", "1, 2, 0"})
    void anOlderVersionThanOursInTheLeaderIsALateWriteWhoeverItNames(long id, long generation, long timestamp) {
        bench.leader(edit -> edit.owner(new Owner(id, generation)).lver(3).timestamp(timestamp));
        kept(
                give(),
                LeaseFault.LEADER_CHANGED,
                "the leader shows an older version than the one that is held: " + bench.leader());
        assertThat(finish()).isInstanceOf(Result.NotOurs.class);
        assertThat(bench.disk.writes()).isEmpty();
    }

    // ---- who can be given it

    @ParameterizedTest
    @CsvSource({"0, 1", "7, 1", "1, 2"})
    void nobodyButAnotherHostWithABlockCanOwnIt(long id, long generation) {
        kept(give(new Owner(id, generation), false), LeaseFault.NUM_HOSTS, "host id " + id + " cannot own it");
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void theHostsOfTheFirstAndTheLastBlockCanOwnIt() {
        Owner last = new Owner(6, 1);
        bench.delta(last, 990).looks(1).prepared(last, 4);
        assertThat(give(last, false)).isInstanceOf(Result.Given.class);
        LeaseBench other = new LeaseBench().delta(new Owner(1, 1), 990).looks(2);
        HeldRecord theirs = other.prepared(new Owner(1, 1), 4).held(RECEIVER, 4, 500);
        assertThat(other.disk.run(new PaxosHandOver(other.host(RECEIVER), theirs, new Owner(1, 1), false).start()))
                .isInstanceOf(Result.Given.class);
    }

    @Test
    void aReceiverThatHasNotPreparedIsNotGivenIt() {
        bench.block(2, DiskBlock.entering(2, 3).asReleased());
        kept(give(), LeaseFault.NOT_OWNER, "has not prepared");
        assertThat(bench.disk.writes()).isEmpty();
    }

    /** The block of a host that never had the lease has no flag: what it says of this very version counts. */
    @ParameterizedTest
    @CsvSource({
        "2, 3, 3, PREPARED", // of a version that is over
        "2, 3, 5, PREPARED",
        "2, 2, 4, PREPARED", // of another life of its
        "3, 3, 4, PREPARED", // of another host
        "2, 3, 4, ENDED",
    })
    void aReceiverThatDoesNotSayThatItIsPreparedIsNotGivenIt(long id, long generation, long lver, State state) {
        bench.word(new TransferWord(new Owner(id, generation), 0, lver, state));
        kept(give(), LeaseFault.NOT_OWNER, "has not prepared");
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aReceiverThatUsesItAlreadyIsGivenIt() {
        bench.word(new TransferWord(RECEIVER, 77, 4, State.RUNNING));
        assertThat(give()).isEqualTo(new Result.Given(given));
    }

    @Test
    void whoeverGaveItAndWaitsIsGivenItBackWithoutAWord() {
        bench.word(new TransferWord(ME, 0, 3, State.PREPARED));
        assertThat(bench.disk.run(
                        PaxosHandOver.back(bench.host(ME), held, RECEIVER).start()))
                .isEqualTo(new Result.Given(given));
    }

    @ParameterizedTest
    @CsvSource({"2, 3, 0", "2, 4, 990", "2, 2, 990"})
    void aReceiverThatLeftOrLivesAnotherLifeIsNotGivenIt(long id, long generation, long timestamp) {
        bench.delta(new Owner(id, generation), timestamp);
        kept(give(), LeaseFault.NOT_OWNER, "host id 2 is not known to be alive as 2/3");
        assertThat(bench.disk.writes()).isEmpty();
    }

    /** 8 x 10 s of silence. A renewal that our look has not seen yet is life. */
    @ParameterizedTest
    @CsvSource({"80, 990, true", "81, 990, false", "81, 1050, true", "9999, 1050, true"})
    void aReceiverThatIsSilentForTooLongIsNotGivenIt(long silentSeconds, long timestamp, boolean gets) {
        bench.clock.pass(Duration.ofSeconds(silentSeconds));
        bench.delta(RECEIVER, timestamp);
        Result result = give();
        assertThat(result).isInstanceOf(gets ? Result.Given.class : Result.Kept.class);
        assertThat(bench.disk.writes()).hasSize(gets ? 3 : 0);
    }

    @Test
    void aReceiverThatWasNeverSeenIsNotGivenIt() {
        Owner unseen = new Owner(3, 1);
        bench.delta(unseen, 990).prepared(unseen, 4);
        kept(give(unseen, false), LeaseFault.NOT_OWNER, "not known to be alive");
    }

    @Test
    void theSightOfAnotherLifeIsNone() {
        bench.delta(new Owner(2, 2), 990).looks(1).delta(RECEIVER, 995);
        kept(give(), LeaseFault.NOT_OWNER, "not known to be alive");
    }

    @Test
    void aReceiverWhoseRecordWasNotSoundWhenWeLookedIsNotGivenIt() {
        bench.disk.put(io.vmguard.lease.step.Step.Area.LOCKSPACE, 512, new byte[512]);
        bench.looks(1).delta(RECEIVER, 995);
        kept(give(), LeaseFault.NOT_OWNER, "not known to be alive");
    }

    // ---- what comes between

    @Test
    void aReceiverThatDeclinesDuringTheBallotIsNotGivenIt() {
        bench.disk.before(8, () -> bench.block(2, DiskBlock.entering(2, 3).asReleased()));
        kept(give(), LeaseFault.NOT_OWNER, "declined");
        leaderUntouched();
    }

    @ParameterizedTest
    @ValueSource(ints = {5, 7})
    void aHostThatIsAheadTakesUsForDead(int io) {
        bench.disk.before(io, () -> bench.block(3, DiskBlock.entering(4003, 5)));
        kept(give(), LeaseFault.LOST_RACE, "another host is taking the lease");
        leaderUntouched();
    }

    @Test
    void aHostThatIsAheadOfAStepThatWasBegunLeavesItOpen() {
        bench.disk.before(3, () -> bench.block(3, DiskBlock.entering(4003, 5)));
        unknown(finish(), LeaseFault.LOST_RACE);
    }

    @Test
    void anotherHostsProposalIsNotCommittedForIt() {
        bench.block(3, DiskBlock.entering(3, 5).proposing(3, 1, 777));
        kept(give(), LeaseFault.LOST_RACE, "another host's proposal was found: 3/1");
        leaderUntouched();
        assertThat(bench.block(1).released()).as("we hold it").isFalse();
        bench.disk.fresh();
        unknown(finish(), LeaseFault.LOST_RACE);
        leaderUntouched();
    }

    // ---- storage fails

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void beforeTheStepEveryFailureLeavesItOurs(int io) {
        bench.disk.failing(io);
        kept(give(), LeaseFault.IO, "I/O " + io + " fails");
        leaderUntouched();
    }

    @Test
    void aStepWhoseWriteFailsMayHaveBeenTaken() {
        bench.disk.failing(9);
        Result result = give();
        unknown(result, LeaseFault.IO);
        assertThat(((Result.Unknown) result).why()).isEqualTo("commit: I/O 9 fails");
        leaderUntouched();
        bench.disk.fresh();
        assertThat(finish()).isInstanceOf(Result.Given.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6})
    void onceBegunEveryFailureLeavesItOpen(int io) {
        bench.disk.failing(io);
        unknown(finish(), LeaseFault.IO);
    }

    @Test
    void aMembershipThatEndsBeforeTheStepKeepsTheLease() {
        bench.disk.before(8, () -> bench.lose(1));
        kept(give(), LeaseFault.NO_MEMBERSHIP, "lost meanwhile");
        leaderUntouched();
    }

    @Test
    void aMembershipThatEndsAfterAnEarlierTryLeavesItOpen() {
        bench.disk.before(5, () -> bench.lose(1));
        unknown(finish(), LeaseFault.NO_MEMBERSHIP);
        leaderUntouched();
    }

    // ---- afterwards

    @ParameterizedTest
    @CsvSource({
        "2, 3, 1, 2, 1000, UNCONFIRMED",
        "2, 3, 2, 3, 1000, CONFIRMED",
        "2, 3, 2, 4, 1000, UNCONFIRMED",
        "2, 3, 2, 3, 0,    ELSEWHERE",
        "1, 2, 2, 3, 1000, RETURNED",
        "1, 2, 1, 2, 0,    ELSEWHERE",
        "1, 1, 1, 1, 1000, ELSEWHERE",
        "3, 1, 3, 1, 1000, ELSEWHERE",
        "2, 4, 2, 4, 1000, ELSEWHERE",
    })
    void theGiverSeesWhatBecameOfIt(
            long id, long generation, long writer, long writerGeneration, long timestamp, Progress progress) {
        bench.leader(edit -> edit.owner(new Owner(id, generation))
                .writer(new Owner(writer, writerGeneration), 1000)
                .timestamp(timestamp));
        assertThat(bench.disk.run(PaxosHandOver.progress(bench.host(ME), RECEIVER)))
                .isEqualTo(progress);
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aLookThatFailsTellsNothing() {
        bench.disk.failing(1);
        assertThat(bench.disk.run(PaxosHandOver.progress(bench.host(ME), RECEIVER)))
                .isEqualTo(Progress.UNKNOWN);
    }
}
