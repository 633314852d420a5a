/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.PaxosReceive.Result;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Host 2 of generation 3 receives from host 1 of generation 2, who holds version 4. */
class PaxosReceiveTest {
    private static final Owner GIVER = new Owner(1, 2);
    private static final Owner ME = new Owner(2, 3);

    /** What this host left behind when it held the resource last. */
    private static final DiskBlock LEFT = DiskBlock.entering(2, 3).proposing(2, 3, 400);

    private final LeaseBench bench =
            new LeaseBench().delta(GIVER, 990).delta(ME, 990).looks(1).looks(2);
    private final HeldRecord theirs = bench.held(GIVER, 4, 500);
    private final PaxosReceive machine = new PaxosReceive(bench.host(ME), GIVER);

    private Result prepare() {
        return bench.disk.run(machine.prepare());
    }

    private Result confirm() {
        return bench.disk.run(machine.confirm());
    }

    private Result decline() {
        return bench.disk.run(machine.decline());
    }

    /** The giver takes its step. */
    private LeaderRecord give() {
        bench.block(1, DiskBlock.decided(2001, ME, 1000, 5));
        return bench.leader(theirs.leader()
                        .edit()
                        .owner(ME)
                        .lver(5)
                        .timestamp(1000)
                        .writer(GIVER, 1000)
                        .seal())
                .leader();
    }

    private void notOurs(Result result) {
        assertThat(result).isInstanceOf(Result.NotOurs.class);
        assertThat(((Result.NotOurs) result).fault()).isEqualTo(LeaseFault.NOT_OWNER);
    }

    private static void failed(Result result, int io) {
        assertThat(result).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O " + io + " fails"));
    }

    private void wrote(DiskBlock block) {
        assertThat(bench.written()).containsExactly(bench.blockWritten(2, block));
    }

    private void wroteNothing() {
        assertThat(bench.disk.writes()).isEmpty();
    }

    // ---- prepare

    @Test
    void preparingTakesTheFlagOutOfOurBlockAndKeepsTheRest() {
        bench.block(2, LEFT.asReleased());
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        assertThat(bench.written()).containsExactly(bench.blockWritten(2, LEFT), bench.preparedWritten(ME, 4));
    }

    @Test
    void preparingTakesAMarkOutToo() {
        bench.block(2, LEFT.keepingMark(3));
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        assertThat(bench.written()).containsExactly(bench.blockWritten(2, LEFT), bench.preparedWritten(ME, 4));
    }

    @Test
    void aBlockWithoutFlagIsLeftAlone() {
        bench.block(2, LEFT);
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        assertThat(bench.written()).containsExactly(bench.preparedWritten(ME, 4));
    }

    @ParameterizedTest
    @EnumSource(
            value = TransferWord.State.class,
            names = {"PREPARED", "RUNNING"})
    void whatWasSaidOfThisVersionAlreadyStays(TransferWord.State said) {
        bench.word(new TransferWord(ME, 77, 4, said));
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        wroteNothing();
    }

    @Test
    void whatWasSaidInAnAttemptThatHasEndedIsSaidAnew() {
        bench.word(new TransferWord(ME, 77, 4, TransferWord.State.ENDED));
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        assertThat(bench.written()).containsExactly(bench.preparedWritten(ME, 4));
    }

    @Test
    void afterTheStepThereIsNothingToPrepare() {
        bench.block(2, LEFT.asReleased());
        give();
        assertThat(prepare()).isEqualTo(new Result.Prepared());
        wroteNothing();
    }

    @ParameterizedTest
    @CsvSource({"1, 3, 500", "1, 2, 0", "3, 1, 500", "2, 3, 0", "2, 2, 500"})
    void nobodyPreparesForWhatTheGiverDoesNotHold(long id, long generation, long timestamp) {
        bench.block(2, LEFT.asReleased());
        bench.leader(edit -> edit.owner(new Owner(id, generation)).timestamp(timestamp));
        Result result = prepare();
        notOurs(result);
        assertThat(((Result.NotOurs) result).why()).isEqualTo("the leader says " + bench.leader());
        wroteNothing();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void preparingFailsWithTheStorage(int io) {
        bench.block(2, LEFT.asReleased());
        bench.disk.failing(io);
        failed(prepare(), io);
    }

    // ---- confirm

    @Test
    void beforeTheStepOneSectorIsReadAndThereIsNothingToConfirm() {
        assertThat(confirm()).isEqualTo(new Result.NotYet());
        assertThat(bench.disk.reads())
                .singleElement()
                .satisfies(read -> assertThat(read.length()).isEqualTo(512));
        wroteNothing();
    }

    @Test
    void confirmingLeavesTheLeaseAsIfWeHadWonIt() {
        bench.block(1, DiskBlock.entering(2001, 5).proposing(2, 3, 1000));
        LeaderRecord given = give();
        DiskBlock decided = DiskBlock.decided(4002, ME, 1000, 5);
        LeaderRecord confirmed = given.edit().writer(ME, 1000).seal();
        assertThat(confirm()).isEqualTo(new Result.Confirmed(new HeldRecord(confirmed, decided)));
        assertThat(bench.written())
                .as("the block first: whoever sees us as writer finds our version in it")
                .containsExactly(bench.blockWritten(2, decided), bench.leaderWritten(confirmed));
    }

    @Test
    void whatWeDeclinedIsNotConfirmed() {
        bench.block(2, LEFT.asReleased());
        give();
        notOurs(confirm());
        wroteNothing();
    }

    /** It kept the lease and went on to shared mode; whoever came next carried on what it had proposed. */
    @ParameterizedTest
    @CsvSource({"2, false", "1, true", "0, true"})
    void whatAHostSharesIsNotConfirmed(long generation, boolean confirmed) {
        LeaderRecord given = give();
        bench.block(1, DiskBlock.decided(2001, ME, 1000, 5).asShared(generation));
        Result result = confirm();
        if (confirmed) {
            assertThat(result).as("a mark of an earlier life").isInstanceOf(Result.Confirmed.class);
        } else {
            assertThat(result).isEqualTo(new Result.NotOurs(LeaseFault.OWNER_LIVE, "host id 1 shares it"));
            wroteNothing();
            notOurs(decline());
            assertThat(bench.leader()).as("it does not wait for it").isEqualTo(given);
            assertThat(bench.block(2).released()).isTrue();
        }
    }

    @Test
    void aMarkWithoutAGenerationIsNoSharerWhoeverThatIs() {
        give();
        bench.block(5, DiskBlock.entering(5, 3).asShared(0));
        assertThat(confirm()).isInstanceOf(Result.Confirmed.class);
    }

    @Test
    void ourOwnMarkIsNoSharer() {
        give();
        bench.block(2, LEFT.keepingMark(3));
        assertThat(confirm()).isInstanceOf(Result.Confirmed.class);
    }

    @Test
    void aLeaderThatChangedBetweenTheTwoLooksIsLookedAtAgain() {
        LeaderRecord given = give();
        bench.leader(edit -> edit.owner(new Owner(3, 1)));
        bench.disk.before(2, () -> bench.leader(given));
        assertThat(confirm()).isEqualTo(new Result.NotYet());
        wroteNothing();
    }

    /** A late write has put a hold of ours back that was over before somebody else was given the next version. */
    @Test
    void anOldHoldThatALateWritePutBackIsNotConfirmed() {
        give();
        bench.block(3, DiskBlock.decided(6003, new Owner(3, 1), 1100, 6));
        assertThat(confirm()).isEqualTo(new Result.NotYet());
        wroteNothing();
    }

    @ParameterizedTest
    @CsvSource({"1, 3, 500", "1, 2, 0", "3, 1, 500", "2, 3, 0", "2, 2, 500"})
    void whatWasNeverGivenIsNotConfirmed(long id, long generation, long timestamp) {
        bench.leader(edit -> edit.owner(new Owner(id, generation)).timestamp(timestamp));
        notOurs(confirm());
        wroteNothing();
    }

    @Test
    void whatWentBackBetweenTheTwoLooksIsNotOursYet() {
        give();
        bench.disk.before(2, () -> bench.leader(theirs.leader()));
        assertThat(confirm()).isEqualTo(new Result.NotYet());
        wroteNothing();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void confirmingFailsWithTheStorage(int io) {
        give();
        bench.disk.failing(io);
        failed(confirm(), io);
        bench.disk.fresh();
        assertThat(confirm()).isInstanceOf(Result.Confirmed.class);
    }

    // ---- decline

    @Test
    void decliningSetsTheFlag() {
        bench.block(2, LEFT);
        notOurs(decline());
        wrote(LEFT.asReleased());
        assertThat(bench.disk.reads()).as("before the flag and after it").hasSize(2);
    }

    @Test
    void whatWasGivenAlreadyGoesStraightBack() {
        bench.block(2, LEFT);
        give();
        Result result = decline();
        notOurs(result);
        assertThat(((Result.NotOurs) result).why()).isEqualTo("given back: " + bench.leader());
        assertThat(bench.leader().owner()).isEqualTo(GIVER);
        assertThat(bench.leader().lver()).isEqualTo(6);
        assertThat(bench.leader().isFree()).isFalse();
        assertThat(bench.block(2).released()).isFalse();
    }

    @Test
    void theLastHostThatTheResourceIsMadeForIsGivenItBackToo() {
        Owner last = new Owner(LeaseBench.HOSTS, 1);
        bench.delta(last, 990).looks(2);
        bench.block(2, LEFT).held(last, 4, 500);
        bench.block(last.hostId(), DiskBlock.decided(2000L + last.hostId(), ME, 1000, 5));
        bench.leader(edit -> edit.owner(ME).lver(5).timestamp(1000).writer(last, 1000));
        notOurs(bench.disk.run(new PaxosReceive(bench.host(ME), last).decline()));
        assertThat(bench.leader().owner()).isEqualTo(last);
    }

    @Test
    void whatIsGivenWhileWeDeclineGoesStraightBack() {
        bench.block(2, LEFT);
        bench.disk.before(3, this::give);
        notOurs(decline());
        assertThat(bench.leader().owner()).isEqualTo(GIVER);
    }

    @Test
    void whatTheGiverCannotHaveIsOpenToEverybody() {
        bench.block(2, LEFT);
        bench.delta(GIVER, 0);
        LeaderRecord given = give();
        notOurs(decline());
        assertThat(bench.leader())
                .as("written by another: others go by our flag")
                .isEqualTo(given);
        assertThat(bench.block(2)).isEqualTo(LEFT.asReleased());
    }

    /** It has given up, and its later ballots have taken its flag away: it would own the lease without knowing. */
    @Test
    void aGiverThatDoesNotWaitForItAnyMoreIsNotGivenItBack() {
        bench.block(2, LEFT);
        LeaderRecord given = give();
        bench.block(1, DiskBlock.entering(6001, 6));
        notOurs(decline());
        assertThat(bench.leader()).isEqualTo(given);
        assertThat(bench.block(2)).isEqualTo(LEFT.asReleased());
    }

    @Test
    void aWayBackThatCannotBeToldIsTriedAgain() {
        bench.block(2, LEFT);
        give();
        bench.disk.failing(9); // look, look, delta lease, ballot, block; then the leader
        Result result = decline();
        assertThat(result).isInstanceOf(Result.Failed.class);
        assertThat(((Result.Failed) result).why()).isEqualTo("commit: I/O 9 fails");
        bench.disk.fresh();
        notOurs(decline());
        assertThat(bench.leader().owner()).isEqualTo(GIVER);
    }

    @Test
    void whatIsGoneBeforeItCouldGoBackIsNotOurs() {
        bench.block(2, LEFT);
        give();
        bench.disk.before(2, () -> bench.held(new Owner(3, 1), 6, 1001));
        notOurs(decline());
        wroteNothing();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void decliningFailsWithTheStorage(int io) {
        bench.block(2, LEFT);
        bench.disk.failing(io);
        failed(decline(), io);
    }

    @Test
    void aReleaseThatFailsInsteadOfAWayBackIsTriedAgain() {
        bench.block(2, LEFT);
        bench.delta(GIVER, 0);
        give();
        bench.disk.failing(4); // look, look, delta lease; then a look of its own
        failed(decline(), 4);
        bench.disk.fresh().failing(5); // the flag
        assertThat(decline()).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 5 fails"));
        bench.disk.fresh();
        notOurs(decline());
        assertThat(bench.block(2).released()).isTrue();
    }

    @Test
    void aLeaseThatWeConfirmedAndCannotGiveBackIsFreed() {
        bench.block(2, LEFT);
        give();
        assertThat(confirm()).isInstanceOf(Result.Confirmed.class);
        bench.delta(GIVER, 0);
        notOurs(decline());
        assertThat(bench.leader().isFree()).isTrue();
        assertThat(bench.block(2).released()).isTrue();
    }

    @Test
    void aLeaseThatWentOnWhileItCouldNotGoBackIsNotReleased() {
        bench.block(2, LEFT);
        bench.delta(GIVER, 0);
        give();
        bench.disk.before(4, () -> bench.held(new Owner(3, 1), 6, 1001));
        notOurs(decline());
        wroteNothing();
    }
}
