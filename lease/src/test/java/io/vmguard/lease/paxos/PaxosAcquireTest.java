/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.paxos.PaxosAcquire.Result;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Host 1 of generation 2 acquires. Host 2 of generation 3 is who has it, or had it; host 3 of generation 4 comes between.
 *
 * <p>The I/Os of an undisturbed acquire: 1 look, 2 write and 3 read of phase 1, 4 write and 5 read of phase 2, 6 leader.
 */
class PaxosAcquireTest {
    private static final Owner ME = new Owner(1, 2);
    private static final Owner OTHER = new Owner(2, 3);
    private static final Owner THIRD = new Owner(3, 4);

    /** 8 x 10 + 60 s, and the second more that strictly more costs. */
    private static final Duration DEAD = Duration.ofSeconds(141);

    private final LeaseBench bench =
            new LeaseBench().delta(ME, 990).delta(OTHER, 990).delta(THIRD, 990).looks(1);

    private Result acquire(Want want) {
        return bench.disk.run(new PaxosAcquire(bench.host(ME), want).start());
    }

    private Result acquire() {
        return bench.disk.run(new PaxosAcquire(bench.host(ME)).start());
    }

    private HeldRecord acquired(Result result) {
        assertThat(result).isInstanceOf(Result.Acquired.class);
        HeldRecord held = ((Result.Acquired) result).held();
        assertThat(held.leader()).as("as on disk").isEqualTo(bench.leader());
        assertThat(held.block()).isEqualTo(bench.block(1));
        return held;
    }

    private static Result.Held held(Result result, Owner by) {
        assertThat(result).isInstanceOf(Result.Held.class);
        assertThat(((Result.Held) result).owner()).isEqualTo(by);
        return (Result.Held) result;
    }

    private static void failed(Result result, LeaseFault fault, boolean mayHaveWon) {
        assertThat(result).isInstanceOf(Result.Failed.class);
        assertThat(((Result.Failed) result).fault()).isEqualTo(fault);
        assertThat(((Result.Failed) result).mayHaveWon()).isEqualTo(mayHaveWon);
    }

    private void wroteNothing() {
        assertThat(bench.disk.writes()).isEmpty();
    }

    private static DiskBlock own(long number, long lver) {
        return DiskBlock.entering(number, lver).proposing(1, 2, 1000);
    }

    private LeaderRecord committed(LeaderRecord before, long lver) {
        return before.edit()
                .owner(ME)
                .lver(lver)
                .timestamp(1000)
                .writer(ME, 1000)
                .seal();
    }

    // ---- nobody has it

    @Test
    void aFreeResourceTakesOneBallotForTheNextVersion() {
        HeldRecord theirs = bench.held(OTHER, 4, 500);
        bench.leader(edit -> edit.timestamp(0).shortHold(true))
                .block(2, theirs.block().asReleased());
        LeaderRecord wanted =
                committed(bench.leader(), 5).edit().shortHold(false).seal();
        HeldRecord held = acquired(acquire());
        assertThat(held).isEqualTo(new HeldRecord(wanted, own(2001, 5)));
        assertThat(bench.written())
                .containsExactly(
                        bench.blockWritten(1, DiskBlock.entering(2001, 5)),
                        bench.blockWritten(1, own(2001, 5)),
                        bench.leaderWritten(wanted));
        assertThat(bench.disk.reads()).extracting(MemoryDisk.Read::length).containsExactly(4096, 4096, 4096);
    }

    @Test
    void theLastHostOfTheLockspaceCanBeAnOwner() {
        Owner last = new Owner(2000, 1);
        bench.leader(edit -> edit.owner(last).lver(4).timestamp(500).writer(last, 500))
                .delta(last, 990);
        held(acquire(), last);
    }

    @ParameterizedTest
    @CsvSource({"1, true", "2, true", "3, false"})
    void whatThisHostHeldInThisLifeOrAnEarlierOneIsOurs(long generation, boolean ours) {
        bench.held(new Owner(1, generation), 4, 500);
        Result result = acquire();
        if (ours) {
            assertThat(acquired(result).leader().lver()).isEqualTo(5);
            assertThat(bench.disk.reads()).as("nobody's life to look at").hasSize(3);
        } else {
            held(result, new Owner(1, generation));
            wroteNothing();
        }
    }

    @Test
    void anOwnerThatCannotBeIsNotLookedFor() {
        bench.held(OTHER, 4, 500);
        for (long id : new long[] {0, 2001}) {
            bench.leader(edit -> edit.owner(new Owner(id, 1)));
            failed(acquire(), LeaseFault.CHECKSUM, false);
        }
        wroteNothing();
    }

    // ---- somebody has it

    @ParameterizedTest
    @CsvSource({"2, 3, 0", "2, 4, 990", "3, 3, 990"})
    void anOwnerThatLeftOrLivesAnotherLifeIsGoneAtOnce(long id, long generation, long timestamp) {
        bench.held(OTHER, 4, 500);
        putDelta(new Owner(id, generation), timestamp);
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(5);
        assertThat(bench.disk.reads())
                .extracting(MemoryDisk.Read::area, MemoryDisk.Read::offset, MemoryDisk.Read::length)
                .as("look, the owner's delta lease, the leader again, two phases")
                .startsWith(
                        tuple(Step.Area.RESOURCE, 0L, 4096),
                        tuple(Step.Area.LOCKSPACE, 512L, 512),
                        tuple(Step.Area.RESOURCE, 0L, 512))
                .hasSize(5);
    }

    /** The delta lease in host 2's sector. */
    private void putDelta(Owner owner, long timestamp) {
        LeaderRecord record = LeaderRecord.at(bench.disk.area(Step.Area.LOCKSPACE), 512)
                .edit()
                .owner(owner)
                .timestamp(timestamp)
                .seal();
        bench.disk.put(Step.Area.LOCKSPACE, 512, record.sector(bench.layout));
    }

    @Test
    void anOwnerOfALaterLifeThanItsDeltaLeaseShowsIsNotKnown() {
        bench.held(new Owner(2, 9), 4, 500);
        assertThat(held(acquire(), new Owner(2, 9)).status()).isEqualTo(HostStatus.UNKNOWN);
        wroteNothing();
    }

    @Test
    void anOwnerThatWasNeverSeenIsNeitherAliveNorDead() {
        LeaseBench fresh = new LeaseBench().delta(OTHER, 990);
        fresh.held(OTHER, 4, 500);
        Result result = fresh.disk.run(new PaxosAcquire(fresh.host(ME)).start());
        Result.Held held = held(result, OTHER);
        assertThat(held.status()).isEqualTo(HostStatus.UNKNOWN);
        assertThat(held.sighting()).isEmpty();
        assertThat(held.hostName()).isEqualTo("host-2");
        assertThat(held.shared()).isFalse();
        assertThat(fresh.disk.writes()).isEmpty();
    }

    @Test
    void anOwnerThatRenewedSinceOurLookIsAliveHoweverLongAgoThatWas() {
        bench.held(OTHER, 4, 500);
        bench.clock.pass(DEAD.plusNanos(1));
        bench.delta(OTHER, 1100);
        Result.Held held = held(acquire(), OTHER);
        assertThat(held.status()).isEqualTo(HostStatus.LIVE);
        assertThat(held.sighting()).isPresent();
        wroteNothing();
    }

    @ParameterizedTest
    @CsvSource({"0, UNKNOWN", "80, UNKNOWN", "81, FAIL", "141, FAIL"})
    void anOwnerThatIsSilentIsGivenItsTime(long silentSeconds, HostStatus status) {
        bench.held(OTHER, 4, 500);
        bench.clock.pass(Duration.ofSeconds(silentSeconds));
        assertThat(held(acquire(), OTHER).status()).isEqualTo(status);
        wroteNothing();
    }

    @Test
    void anOwnerThatIsDeadIsSucceeded() {
        bench.held(OTHER, 4, 500);
        bench.clock.pass(DEAD.plusNanos(1));
        assertThat(acquired(acquire()).leader().owner()).isEqualTo(ME);
    }

    @Test
    void anOwnerIsNotDeadBecauseTheReadOfItsRecordTookLong() {
        bench.held(OTHER, 4, 500);
        bench.clock.pass(DEAD);
        bench.disk.before(2, () -> bench.clock.pass(Duration.ofSeconds(9)));
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.DEAD);
        wroteNothing();
    }

    @Test
    void theDeathOfAnotherLifeProvesNothing() {
        bench.held(OTHER, 4, 500);
        putDelta(new Owner(2, 2), 990);
        bench.looks(1);
        bench.clock.pass(DEAD.multipliedBy(2));
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.UNKNOWN);
        wroteNothing();
    }

    @Test
    void anOwnerWhoseRecordWasNotSoundWhenWeLookedIsNotKnown() {
        bench.held(OTHER, 4, 500);
        byte[] sound = Arrays.copyOfRange(bench.disk.area(Step.Area.LOCKSPACE), 512, 1024);
        bench.disk.put(Step.Area.LOCKSPACE, 512, new byte[512]);
        bench.looks(1);
        bench.disk.put(Step.Area.LOCKSPACE, 512, sound);
        bench.clock.pass(DEAD.multipliedBy(2));
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.UNKNOWN);
    }

    @Test
    void anOwnerWhoseDeltaLeaseCannotBeReadKeepsTheLease() {
        bench.held(OTHER, 4, 500);
        bench.disk.put(Step.Area.LOCKSPACE, 512, new byte[512]);
        Result result = acquire();
        failed(result, LeaseFault.MAGIC, false);
        assertThat(((Result.Failed) result).why()).startsWith("delta lease of its owner, host id 2: magic");
        bench.disk.fresh().failing(2);
        failed(acquire(), LeaseFault.IO, false);
        wroteNothing();
    }

    @Test
    void anOwnerThatAnotherCommittedAndThatGaveUpIsGone() {
        HeldRecord theirs = bench.held(OTHER, 4, 500);
        bench.leader(edit -> edit.writer(THIRD, 501));
        held(acquire(), OTHER);
        bench.disk.fresh().failing(3);
        failed(acquire(), LeaseFault.IO, false);
        wroteNothing();
        bench.block(2, theirs.block().asReleased()).disk.fresh();
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(5);
    }

    @Test
    void anEarlierLifeInALeaderThatALaterOneWroteIsTheLaterOne() {
        HeldRecord theirs = bench.held(new Owner(2, 2), 4, 500);
        bench.leader(edit -> edit.writer(OTHER, 501));
        held(acquire(), OTHER);
        wroteNothing();
        bench.block(2, theirs.block().asReleased()).disk.fresh();
        assertThat(acquired(acquire()).leader().lver())
                .as("its release leaves such a leader alone")
                .isEqualTo(5);
    }

    @Test
    void aLaterLifeThatWroteTheLeaderIsGoneWithTheNextOne() {
        bench.held(new Owner(2, 2), 4, 500);
        bench.leader(edit -> edit.writer(OTHER, 501));
        putDelta(new Owner(2, 4), 990);
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(5);
    }

    @Test
    void aReleasedFlagMeansNothingWhileTheOwnerItselfWroteTheLeader() {
        HeldRecord theirs = bench.held(OTHER, 4, 500);
        bench.block(2, theirs.block().asReleased());
        held(acquire(), OTHER);
        wroteNothing();
    }

    @Test
    void theNoteOnTheHolderIsForPeople() {
        bench.held(OTHER, 4, 500);
        LeaseNote note = new LeaseNote("demo1", "uuid", "vda", "node-b", 7);
        bench.disk.put(Step.Area.RESOURCE, bench.layout.noteOffset(), NoteSector.encode(bench.layout, note, OTHER, 4));
        assertThat(held(acquire(), OTHER).note()).contains(note);
        bench.disk.fresh().failing(3);
        assertThat(held(acquire(), OTHER).note()).as("cannot be read").isEmpty();
    }

    // ---- somebody passes through

    @Test
    void anOwnerOnItsWayToSharedModeIsWaitedForAFewTimes() {
        bench.held(OTHER, 4, 500);
        bench.leader(edit -> edit.shortHold(true));
        failed(acquire(Want.SHARED), LeaseFault.SHARED_RETRY, false);
        assertThat(bench.disk.pauses())
                .hasSize(8)
                .allSatisfy(pause -> assertThat(pause).isPositive().isLessThanOrEqualTo(Duration.ofSeconds(1)));
        assertThat(bench.disk.pauses().stream().distinct()).as("at random").hasSizeGreaterThan(1);
        wroteNothing();
    }

    @Test
    void anOwnerThatHasPassedThroughIsFollowed() {
        bench.held(OTHER, 4, 500);
        bench.leader(edit -> edit.shortHold(true));
        bench.disk.before(5, () -> bench.leader(edit -> edit.timestamp(0).shortHold(false)));
        acquired(acquire());
        assertThat(bench.disk.pauses()).hasSize(2);
    }

    // ---- rounds

    @Test
    void aLeaderThatChangedBeforeTheBallotIsLookedAtAgainAtOnce() {
        bench.held(OTHER, 4, 500);
        bench.delta(OTHER, 0);
        bench.disk.before(3, () -> bench.held(THIRD, 5, 600));
        Result.Held held = held(acquire(), THIRD);
        assertThat(held.hostName()).isEqualTo("host-3");
        wroteNothing();
        assertThat(bench.disk.pauses()).isEmpty();
    }

    @Test
    void aLeaderThatCannotBeReadBeforeTheBallotEndsTheAcquire() {
        bench.held(OTHER, 4, 500);
        bench.delta(OTHER, 0);
        bench.disk.failing(3);
        failed(acquire(), LeaseFault.IO, false);
        wroteNothing();
    }

    @Test
    void aLeaderThatKeepsChangingIsGivenUpAfterSixRounds() {
        bench.held(OTHER, 4, 500);
        bench.delta(OTHER, 0);
        for (int round = 0; round < PaxosAcquire.MAX_ROUNDS; round++) {
            long lver = 5 + round;
            bench.disk.before(3 * round + 3, () -> bench.held(OTHER, lver, 600));
        }
        failed(acquire(), LeaseFault.LOST_RACE, false);
        wroteNothing();
        assertThat(bench.disk.reads()).hasSize(3 * PaxosAcquire.MAX_ROUNDS);
        assertThat(bench.disk.pauses())
                .as("after the second round")
                .hasSize(4)
                .allSatisfy(pause -> assertThat(pause).isPositive().isLessThanOrEqualTo(Duration.ofMillis(300)));
    }

    /** Host 3 enters a higher number while we are in phase 1, and does nothing more. */
    @Test
    void aBeatenRoundIsTriedAgainAboveTheNumberThatBeatIt() {
        bench.disk.before(3, () -> bench.block(3, DiskBlock.entering(2003, 1)));
        HeldRecord held = acquired(acquire());
        assertThat(held.block()).isEqualTo(own(4001, 1));
        assertThat(bench.written())
                .extracting(LeaseBench.Written::record)
                .startsWith(DiskBlock.entering(1, 1), DiskBlock.entering(4001, 1));
        assertThat(bench.disk.pauses())
                .singleElement()
                .satisfies(pause -> assertThat(pause).isPositive().isLessThanOrEqualTo(Duration.ofMillis(300)));
    }

    @Test
    void aRoundBeatenAgainAndAgainEndsWithoutDoubtIfNothingWasProposed() {
        // A block that another host raises each time: write, read and leader of each round.
        for (int io = 3; io < 60; io += 3) {
            long number = 1_000_003L * io;
            bench.disk.before(io, () -> bench.block(3, DiskBlock.entering(number, 1)));
        }
        failed(acquire(), LeaseFault.LOST_RACE, false);
        assertThat(bench.written()).hasSize(PaxosAcquire.MAX_ROUNDS + 1);
        assertThat(bench.written())
                .extracting(written -> ((DiskBlock) written.record()).mbal())
                .as("six rounds, and the flag")
                .containsExactly(1L, 4001L, 10001L, 18001L, 28001L, 40001L, 40001L);
        assertThat(bench.block(1)).isEqualTo(DiskBlock.entering(40001, 1).asReleased());
    }

    @Test
    void aLastRoundThatIsLostToAnotherLeavesNoDoubt() {
        for (int io = 3; io <= 15; io += 3) {
            long number = 1_000_003L * io;
            bench.disk.before(io, () -> bench.block(3, DiskBlock.entering(number, 1)));
        }
        bench.disk.before(17, () -> bench.block(3, DiskBlock.entering(3, 1)));
        bench.disk.before(20, () -> bench.block(3, DiskBlock.entering(1_000_003, 1)));
        bench.disk.before(21, () -> bench.held(THIRD, 1, 1001));
        failed(acquire(), LeaseFault.LOST_RACE, false);
        assertThat(bench.block(1).released()).isTrue();
    }

    /** From a hand-over long ago somebody may propose us yet, and make us an owner that does not know. */
    @Test
    void whoIsRefusedAfterABallotSetsTheFlagAgain() {
        bench.disk.before(3, () -> bench.held(OTHER, 1, 1001));
        held(acquire(), OTHER);
        assertThat(bench.block(1)).isEqualTo(DiskBlock.entering(1, 1).asReleased());
    }

    @Test
    void aFlagThatCannotBeSetAgainLeavesTheOutcomeOpen() {
        bench.disk.before(3, () -> bench.held(OTHER, 1, 1001));
        bench.disk.failing(7); // look, two of the ballot, leader, look, delta lease
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void anUpgradeThatIsRefusedAfterABallotKeepsItsMarkUnderTheFlag() {
        bench.block(1, own(1, 0).asShared(2));
        bench.disk.before(3, () -> bench.held(OTHER, 1, 1001));
        held(acquire(Want.UPGRADE), OTHER);
        assertThat(bench.block(1)).isEqualTo(DiskBlock.entering(2001, 1).asShared(2));
    }

    /** Beaten in phase 2: the proposal is on disk. */
    private void beatenInPhaseTwo() {
        bench.disk.before(5, () -> bench.block(3, DiskBlock.entering(2003, 1)));
    }

    @Test
    void aProposalThatAnotherHostCarriedOnIsOurs() {
        beatenInPhaseTwo();
        LeaderRecord theirs =
                committed(bench.leader(), 1).edit().writer(THIRD, 1001).seal();
        bench.disk.before(6, () -> bench.leader(theirs));
        assertThat(acquired(acquire())).isEqualTo(new HeldRecord(theirs, own(1, 1)));
        assertThat(bench.written()).hasSize(2);
    }

    /** What others saw of our block before this acquire may have let them go on: a ballot for the next version tells. */
    @Test
    void whatSomebodyElseProposedForUsIsOursInTheNextVersion() {
        LeaderRecord theirs =
                committed(bench.leader(), 1).edit().writer(THIRD, 1001).seal();
        bench.disk.before(3, () -> bench.leader(theirs));
        HeldRecord held = acquired(acquire());
        assertThat(held.leader().owner()).isEqualTo(ME);
        assertThat(held.leader().writer()).isEqualTo(ME);
        assertThat(held.leader().lver()).isEqualTo(2);
        assertThat(held.block().lver()).isEqualTo(2);
    }

    @Test
    void whoeverHasWonTheVersionAfterOneThatNamesUsHasIt() {
        beatenInPhaseTwo();
        LeaderRecord theirs =
                committed(bench.leader(), 1).edit().writer(THIRD, 1001).seal();
        bench.disk.before(
                6,
                () -> bench.leader(theirs)
                        .block(3, DiskBlock.entering(2003, 2).proposing(THIRD.hostId(), THIRD.generation(), 1001)));
        held(acquire(), THIRD);
        assertThat(bench.leader().owner()).isEqualTo(THIRD);
        assertThat(bench.leader().lver()).isEqualTo(2);
    }

    @Test
    void aProposalThatAnotherHostCarriedOnMayMeetASharer() {
        DiskBlock mark = DiskBlock.entering(3, 0).proposing(3, 4, 1).asShared(4);
        bench.disk.before(5, () -> bench.block(2, DiskBlock.entering(2002, 1)));
        bench.disk.before(
                6,
                () -> bench.leader(
                        committed(bench.leader(), 1).edit().writer(OTHER, 1001).seal()));
        bench.disk.before(7, () -> bench.block(3, mark));
        assertThat(held(acquire(), THIRD).shared()).isTrue();
    }

    @Test
    void aProposalThatAnotherHostCarriedOnAndThatCannotBeLookedAtMayHaveWon() {
        beatenInPhaseTwo();
        bench.disk.before(
                6,
                () -> bench.leader(
                        committed(bench.leader(), 1).edit().writer(THIRD, 1001).seal()));
        bench.disk.failing(7);
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void aVersionThatWentToAnotherIsHis() {
        beatenInPhaseTwo();
        bench.disk.before(6, () -> bench.held(THIRD, 1, 1001));
        held(acquire(), THIRD);
    }

    /** Our flag is out: by what somebody proposes for us we may yet become the owner. */
    @Test
    void aVersionThatWentToAnotherIsInDoubtIfStorageFailsBeforeWeSetTheFlag() {
        beatenInPhaseTwo();
        bench.disk.before(6, () -> bench.held(THIRD, 1, 1001));
        bench.disk.failing(7);
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void aVersionThatIsSeenToBeDecidedOnlyAtTheNextLookIsDecidedAllTheSame() {
        beatenInPhaseTwo();
        bench.disk.before(6, () -> bench.held(OTHER, 0, 500));
        bench.disk.before(7, () -> bench.held(THIRD, 1, 1001));
        held(acquire(), THIRD);
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 5})
    void theBlockOfTheLastHostCountsInBothPhases(int read) {
        bench.disk.before(read, () -> bench.block(6, DiskBlock.entering(6006, 1)));
        assertThat(acquired(acquire()).block().mbal()).isGreaterThan(6006);
    }

    @Test
    void aVersionThatCameAndWentIsTriedAnew() {
        beatenInPhaseTwo();
        bench.disk.before(6, () -> {
            bench.held(THIRD, 1, 1001);
            bench.leader(edit -> edit.timestamp(0));
        });
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(2);
    }

    @Test
    void ourOwnNameInALeaderThatIsFreeIsNoHold() {
        beatenInPhaseTwo();
        bench.disk.before(
                6,
                () -> bench.leader(committed(bench.leader(), 1)
                        .edit()
                        .writer(THIRD, 1001)
                        .timestamp(0)
                        .seal()));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(2);
    }

    @Test
    void ourOwnNameOfAnotherVersionIsNotThisBallots() {
        beatenInPhaseTwo();
        bench.disk.before(
                6,
                () -> bench.leader(
                        committed(bench.leader(), 2).edit().writer(THIRD, 1001).seal()));
        assertThat(acquired(acquire()).leader().lver())
                .as("ours already: a ballot of our own for the one after it")
                .isEqualTo(3);
    }

    /** Version 5 was ours and is released; then the leader of version 4 landed, whose writer had long been taken for dead. */
    @Test
    void aVersionOfOursThatALateLeaderHasHiddenIsBroughtBackAndNotDecidedAnew() {
        DiskBlock released = DiskBlock.decided(2001, ME, 700, 5).asReleased();
        bench.held(OTHER, 4, 500);
        bench.leader(edit -> edit.timestamp(0)).block(1, released);
        HeldRecord held = acquired(acquire());
        assertThat(held.leader().lver()).isEqualTo(5);
        assertThat(held.leader().timestamp()).as("the value that was decided").isEqualTo(700);
        assertThat(bench.written().get(0))
                .as("at no moment is it gone from the disk")
                .isEqualTo(bench.blockWritten(1, released.entering(4001)));
    }

    /** We held version 4, proposed the receiver for 5, kept and released it. Its leader is ours to write now, and nothing comes back. */
    @Test
    void aHandOverOfOursThatWeGaveUpIsFinishedButNotWaitedFor() {
        bench.held(ME, 4, 500);
        bench.leader(edit -> edit.timestamp(0))
                .block(1, DiskBlock.decided(2001, OTHER, 700, 5).asReleased())
                .block(2, DiskBlock.entering(2, 3));
        held(acquire(), OTHER);
        assertThat(bench.leader().owner()).isEqualTo(OTHER);
        assertThat(bench.block(1))
                .isEqualTo(DiskBlock.decided(4001, OTHER, 700, 5).asReleased());

        bench.looks(2).disk.run(new PaxosReceive(bench.host(OTHER), ME).decline());
        assertThat(bench.leader().owner()).as("not handed to us").isEqualTo(OTHER);
        assertThat(bench.block(2).released()).isTrue();
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    /** A version decided for us although we carried another on: a stock host may have wiped what it had proposed. */
    @Test
    void whatNamesUsWhileOurBlockIsFlaggedIsNotTakenForOurs() {
        beatenInPhaseTwo();
        bench.disk.before(
                6,
                () -> bench.leader(
                        committed(bench.leader(), 1).edit().writer(THIRD, 1001).seal()));
        bench.disk.before(
                7, () -> bench.block(1, DiskBlock.decided(4001, THIRD, 700, 1).asReleased()));
        assertThat(acquired(acquire()).leader().lver())
                .as("open to everybody, so a ballot decides")
                .isEqualTo(2);
    }

    @Test
    void aProposalThatIsNotDecidedLeavesTheOutcomeOpen() {
        beatenInPhaseTwo();
        bench.disk.failing(6);
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void aProposalThatIsNotDecidedKeepsAHolderFromBeingTheAnswer() {
        bench.disk.before(5, () -> bench.block(3, DiskBlock.entering(2003, 1)));
        // The leader goes back behind our proposal: only a host that died can have written that so late.
        bench.disk.before(6, () -> bench.held(OTHER, 0, 500));
        failed(acquire(), LeaseFault.LOST_RACE, true);
    }

    @Test
    void aLaterBallotThatFailsDoesNotCloseTheQuestionOfAnEarlierProposal() {
        beatenInPhaseTwo();
        bench.disk.failing(7); // the first write of the second ballot
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void roundsThatEndWithAProposalOpenLeaveTheOutcomeOpen() {
        for (int round = 0; round < PaxosAcquire.MAX_ROUNDS; round++) {
            long number = 1_000_003L * (round + 1);
            bench.disk.before(5 * round + 5, () -> bench.block(3, DiskBlock.entering(number, 1)));
            bench.disk.before(5 * round + 6, () -> bench.block(3, DiskBlock.entering(0, 0)));
        }
        failed(acquire(), LeaseFault.LOST_RACE, true);
        assertThat(bench.disk.writes()).hasSize(2 * PaxosAcquire.MAX_ROUNDS);
    }

    // ---- storage fails

    @ParameterizedTest
    @CsvSource({"1, false", "2, true", "3, true", "4, true", "5, true", "6, true"})
    void anIoThatFailsLeavesTheOutcomeOpenOnceABallotMayHaveBeenEntered(int io, boolean mayHaveWon) {
        bench.disk.failing(io);
        Result result = acquire();
        failed(result, LeaseFault.IO, mayHaveWon);
        assertThat(((Result.Failed) result).why()).isEqualTo((io == 6 ? "commit: " : "") + "I/O " + io + " fails");
    }

    @ParameterizedTest
    @EnumSource(Want.class)
    void nothingIsWrittenUnderALostMembership(Want want) {
        bench.lose(1);
        failed(acquire(want), LeaseFault.NO_MEMBERSHIP, false);
        wroteNothing();
    }

    @Test
    void aLeaderThatNamesUsIsNotForgottenWhenTheStorageFails() {
        bench.held(ME, 4, 500);
        bench.disk.failing(2);
        failed(acquire(), LeaseFault.IO, true);
    }

    /** Before anything was written: then only the leader can tell. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aLeaderThatNamesUsIsNotForgottenWhenTheMembershipIsLost(boolean free) {
        bench.held(ME, 4, 500);
        if (free) {
            bench.leader(edit -> edit.timestamp(0));
        }
        bench.lose(1);
        failed(acquire(), LeaseFault.NO_MEMBERSHIP, !free);
        wroteNothing();
    }

    @Test
    void aLeaderThatNamesAnotherLeavesNoDoubtWhenTheMembershipIsLost() {
        bench.held(OTHER, 4, 500);
        bench.delta(OTHER, 0).lose(1);
        failed(acquire(), LeaseFault.NO_MEMBERSHIP, false);
    }

    // ---- what earlier acquires left in our block

    @Test
    void anEarlierProposalThatIsNotDecidedLeavesTheOutcomeOpen() {
        bench.held(OTHER, 4, 500);
        bench.block(1, own(1, 5));
        failed(acquire(), LeaseFault.LOST_RACE, true);
        wroteNothing();
        bench.block(1, own(1, 4)).disk.fresh();
        held(acquire(), OTHER);
    }

    @Test
    void whoIsRefusedTakesBackAMarkThatAnEarlierAcquireLeft() {
        bench.held(OTHER, 4, 500);
        bench.block(1, mark(ME));
        held(acquire(), OTHER);
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, mark(ME).asReleased()));
        bench.block(1, mark(ME)).disk.fresh().failing(3);
        failed(acquire(Want.SHARED), LeaseFault.IO, true);
        bench.block(1, mark(ME)).disk.fresh();
        held(acquire(Want.UPGRADE), OTHER);
        wroteNothing();
    }

    // ---- somebody else's ballot

    @Test
    void aHostThatDiedBetweenBallotAndCommitIsMadeTheOwner() {
        bench.leader(edit -> edit.shortHold(true));
        bench.block(2, DiskBlock.entering(2, 1).proposing(2, 3, 777));
        LeaderRecord theirs = bench.leader()
                .edit()
                .owner(OTHER)
                .lver(1)
                .timestamp(777)
                .writer(ME, 1000)
                .seal();
        Result result = acquire(Want.EXCLUSIVE);
        failed(result, LeaseFault.SHARED_RETRY, false);
        assertThat(bench.written())
                .as("the flags stay as they were: whether he passes through is not ours to say")
                .contains(bench.leaderWritten(theirs));
    }

    @Test
    void aProposalOfOurEarlierLifeIsFinishedAndThenOutdone() {
        bench.block(1, DiskBlock.entering(1, 1).proposing(1, 1, 777));
        bench.disk.before(2, () -> bench.block(3, DiskBlock.entering(3, 1).proposing(1, 1, 777)));
        HeldRecord held = acquired(acquire());
        assertThat(held.leader().owner()).isEqualTo(ME);
        assertThat(held.leader().lver()).isEqualTo(2);
        assertThat(bench.written().stream().filter(w -> w.what().equals("leader")))
                .extracting(w -> ((LeaderRecord) w.record()).owner())
                .containsExactly(new Owner(1, 1), ME);
    }

    @Test
    void aProposalOfOurEarlierLifeThatWeFinishedIsNotForgottenWhenTheStorageFails() {
        bench.block(1, DiskBlock.entering(1, 1).proposing(1, 1, 777));
        bench.disk.before(2, () -> bench.block(3, DiskBlock.entering(3, 1).proposing(1, 1, 777)));
        bench.disk.failing(7);
        failed(acquire(), LeaseFault.IO, true);
        assertThat(bench.leader().holder()).isEqualTo(ME);
    }

    // ---- a leader that is older than the blocks

    @Test
    void aStaleLeaderIsOvertakenAtTheVersionOfTheBlocks() {
        bench.leader(edit -> edit.lver(4));
        bench.block(3, DiskBlock.entering(2003, 7).proposing(3, 4, 777));
        bench.delta(THIRD, 0);
        HeldRecord held = acquired(acquire());
        assertThat(held.leader().lver()).as("7 is his, and he is gone").isEqualTo(8);
        assertThat(bench.written().stream().filter(w -> w.what().equals("leader")))
                .extracting(w -> ((LeaderRecord) w.record()).lver())
                .containsExactly(7L, 8L);
        assertThat(bench.disk.reads().get(1))
                .extracting(MemoryDisk.Read::offset, MemoryDisk.Read::length)
                .as("read again before a ballot on its word")
                .containsExactly(0L, 512);
    }

    /** If his ballot fails he goes on with the version before, which nothing on disk shows any more. */
    @Test
    void aLiveGiverThatAStaleLeaderHidesKeepsTheLease() {
        bench.leader(edit -> edit.lver(4));
        bench.block(2, DiskBlock.entering(2002, 7).giving(OTHER.generation()));
        Result.Held held = held(acquire(), OTHER);
        assertThat(held.shared()).isFalse();
        assertThat(held.hostName()).isEqualTo("host-2");
        assertThat(held.status()).as("seen once").isEqualTo(HostStatus.UNKNOWN);
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aLiveGiverThatAStaleLeaderHidesIsSaidToLive() {
        bench.delta(OTHER, 991).looks(1);
        bench.leader(edit -> edit.lver(4));
        bench.block(2, DiskBlock.entering(2002, 7).giving(OTHER.generation()));
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.LIVE);
    }

    @Test
    void aProposalOfOursThatIsOpenBesideAGiverLeavesTheOutcomeOpen() {
        bench.leader(edit -> edit.lver(4)).block(1, own(1, 6));
        bench.block(2, DiskBlock.entering(2002, 7).giving(OTHER.generation()));
        failed(acquire(), LeaseFault.LOST_RACE, true);
        wroteNothing();
    }

    @Test
    void ourOwnBlockIsNoGiverAndASharersIsNone() {
        bench.leader(edit -> edit.lver(4))
                .block(1, DiskBlock.entering(2001, 7).giving(ME.generation()))
                .block(2, DiskBlock.entering(2, 7).asShared(OTHER.generation()));
        assertThat(held(acquire(), OTHER).shared()).isTrue();
    }

    @Test
    void aGiverOfAnEarlierLifeOrWithTheReleasedFlagOrBehindOthersHidesNothing() {
        bench.leader(edit -> edit.lver(4))
                .block(2, DiskBlock.entering(2002, 7).giving(OTHER.generation() - 1))
                .block(3, DiskBlock.entering(2003, 7).giving(THIRD.generation()).asReleased())
                .block(5, DiskBlock.entering(5, 6).giving(1));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(7);
    }

    @Test
    void aLeaderThatIsUpToDateSaysAllAboutAGiver() {
        bench.leader(edit -> edit.lver(6));
        bench.block(2, DiskBlock.entering(2002, 7).giving(OTHER.generation()));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(7);
    }

    // ---- what is on its way

    /** It was given away at version 5 and the receiver is gone before it has confirmed: it goes back. */
    private void onItsWay(Owner giver) {
        LeaderRecord given = bench.leader()
                .edit()
                .owner(THIRD)
                .lver(5)
                .timestamp(500)
                .writer(giver, 500)
                .seal();
        bench.leader(given);
        bench.block(
                giver.hostId(),
                DiskBlock.entering(giver.hostId(), 5)
                        .proposing(THIRD.hostId(), THIRD.generation(), 500)
                        .giving(giver.generation()));
    }

    private void receiverLeft() {
        bench.delta(THIRD, 0);
    }

    @Test
    void whatALiveHostHasGivenToOneThatIsGoneIsItsAlone() {
        onItsWay(OTHER);
        receiverLeft();
        bench.delta(OTHER, 991).looks(1);
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.LIVE);
        wroteNothing();
    }

    @Test
    void whatALiveHostHasGivenToOneThatDiedIsItsAlone() {
        onItsWay(OTHER);
        bench.clock.pass(DEAD.plusNanos(1));
        bench.delta(OTHER, 1130).looks(1);
        assertThat(held(acquire(), OTHER).shared()).isFalse();
        wroteNothing();
    }

    @Test
    void whatWeHaveGivenToOneThatIsGoneWeTakeBack() {
        onItsWay(ME);
        receiverLeft();
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    @Test
    void whatNeitherGiverNorReceiverLivesToHaveIsFree() {
        onItsWay(OTHER);
        bench.clock.pass(DEAD.plusNanos(1));
        bench.looks(1);
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    @Test
    void whatTheReceiverHasConfirmedOrTheGiverGivenUpDoesNotGoBack() {
        onItsWay(OTHER);
        receiverLeft();
        bench.leader(edit -> edit.writer(THIRD, 501));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);

        onItsWay(OTHER);
        bench.block(1, DiskBlock.entering(0, 0)).block(2, bench.block(2).asReleased());
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    @Test
    void aGiverOfAnotherLifeOrOfAnotherVersionOrToAnotherWaitsForNothing() {
        for (DiskBlock block : List.of(
                DiskBlock.entering(2, 5).proposing(3, 4, 500).giving(OTHER.generation() - 1),
                DiskBlock.entering(2, 4).proposing(3, 4, 500).giving(OTHER.generation()),
                DiskBlock.entering(2, 5).proposing(3, 5, 500).giving(OTHER.generation()),
                DiskBlock.entering(2, 5).proposing(3, 4, 500))) {
            onItsWay(OTHER);
            receiverLeft();
            bench.block(1, DiskBlock.entering(0, 0)).block(2, block);
            assertThat(acquired(acquire()).leader().lver()).as("%s", block).isEqualTo(6);
        }
    }

    @Test
    void whoIsBeyondWhatWasGivenHasNotWaitedForIt() {
        onItsWay(OTHER);
        receiverLeft();
        bench.block(5, DiskBlock.entering(5, 6));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 7})
    void whoCannotBeAnOwnerWaitsForNothing(long giver) {
        onItsWay(OTHER);
        receiverLeft();
        bench.leader(edit -> edit.writer(new Owner(giver, OTHER.generation()), 500));
        assertThat(acquired(acquire()).leader().lver()).isEqualTo(6);
    }

    // ---- shared marks

    private static DiskBlock mark(Owner sharer) {
        return DiskBlock.entering(sharer.hostId(), 1)
                .proposing(sharer.hostId(), sharer.generation(), 400)
                .asShared(sharer.generation());
    }

    @Test
    void aLiveSharerKeepsTheResource() {
        bench.leader(edit -> edit.lver(1)).block(2, mark(OTHER));
        Result.Held held = held(acquire(), OTHER);
        assertThat(held.shared()).isTrue();
        assertThat(held.hostName()).isEqualTo("host-2");
        assertThat(held.status()).isEqualTo(HostStatus.UNKNOWN);
        assertThat(held.sighting()).isPresent();
        assertThat(held.note()).isEmpty();
        assertThat(bench.leader().isFree()).isTrue();
        assertThat(bench.leader().lver()).as("a version was used up").isEqualTo(2);
        assertThat(bench.block(1).released()).isTrue();
        assertThat(bench.block(2)).isEqualTo(mark(OTHER));
    }

    @Test
    void aSharerThatWasSeenToRenewIsSaidToLive() {
        bench.leader(edit -> edit.lver(1)).block(2, mark(OTHER));
        bench.delta(OTHER, 991).looks(1);
        assertThat(held(acquire(), OTHER).status()).isEqualTo(HostStatus.LIVE);
    }

    @Test
    void aSharerThatWeNeverSawKeepsTheResource() {
        Owner unseen = new Owner(5, 1);
        bench.leader(edit -> edit.lver(1)).block(5, mark(unseen));
        Result.Held held = held(acquire(), unseen);
        assertThat(held.status()).isEqualTo(HostStatus.UNKNOWN);
        assertThat(held.hostName()).isEmpty();
        assertThat(held.sighting()).isEmpty();
    }

    @Test
    void aDeadSharerIsWipedAndTheNextOneAsked() {
        bench.leader(edit -> edit.lver(1))
                .block(2, mark(new Owner(2, 2))) // an earlier life of his
                .block(3, mark(THIRD));
        bench.clock.pass(DEAD.plusNanos(1));
        bench.looks(1);
        HeldRecord held = acquired(acquire());
        assertThat(bench.written())
                .endsWith(
                        bench.leaderWritten(held.leader()),
                        new LeaseBench.Written("wiped block of 2", new DiskBlock(0, 0, 0, 0, 0, 0, false, false, 0)),
                        new LeaseBench.Written("wiped block of 3", new DiskBlock(0, 0, 0, 0, 0, 0, false, false, 0)));
    }

    @Test
    void aMarkThatIsGoneWhenReadAgainIsNoMark() {
        bench.leader(edit -> edit.lver(1)).block(2, mark(OTHER));
        bench.disk.before(7, () -> bench.block(2, mark(OTHER).asReleased()));
        acquired(acquire());
        assertThat(bench.block(2)).isEqualTo(mark(OTHER).asReleased());
    }

    @Test
    void aMarkWithoutAGenerationIsNoMark() {
        bench.leader(edit -> edit.lver(1)).block(2, mark(new Owner(2, 0)));
        acquired(acquire());
        assertThat(bench.written()).as("nor is it wiped").hasSize(3);
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 8})
    void aSharerThatCannotBeReadOrWipedMayHaveLeftUsTheLease(int io) {
        bench.leader(edit -> edit.lver(1)).block(2, mark(new Owner(2, 2)));
        bench.disk.failing(io);
        failed(acquire(), LeaseFault.IO, true);
    }

    @Test
    void aLeaseThatCannotBeGivenBackToItsSharerIsOpen() {
        bench.leader(edit -> edit.lver(1)).block(2, mark(OTHER));
        bench.disk.failing(9); // the leader, after our flag
        failed(acquire(), LeaseFault.IO, true);
    }

    // ---- from shared to exclusive

    @Test
    void anUpgradeKeepsItsMarkUntilItHasTheLease() {
        bench.leader(edit -> edit.lver(1)).block(1, mark(ME));
        HeldRecord held = acquired(acquire(Want.UPGRADE));
        DiskBlock number = DiskBlock.entering(2001, 2);
        assertThat(bench.written())
                .containsExactly(
                        bench.blockWritten(1, number.keepingMark(2)),
                        bench.blockWritten(1, own(2001, 2).keepingMark(2)),
                        bench.leaderWritten(held.leader()),
                        bench.blockWritten(1, own(2001, 2)));
    }

    @Test
    void anUpgradeBesideALiveSharerStaysShared() {
        bench.leader(edit -> edit.lver(1)).block(1, mark(ME)).block(3, mark(THIRD));
        assertThat(held(acquire(Want.UPGRADE), THIRD).shared()).isTrue();
        assertThat(bench.block(1)).isEqualTo(own(2001, 2).asShared(2));
        assertThat(bench.leader().isFree()).isTrue();
        assertThat(bench.written()).allMatch(w -> w.what().equals("leader") || ((DiskBlock) w.record()).shared());
    }

    @ParameterizedTest
    @CsvSource({"false, 7", "true, 8", "true, 10"})
    void anUpgradeThatFailsAfterItsCommitMayHaveWon(boolean sharer, int io) {
        bench.leader(edit -> edit.lver(1)).block(1, mark(ME));
        if (sharer) {
            bench.block(3, mark(THIRD));
        }
        bench.disk.failing(io);
        failed(acquire(Want.UPGRADE), LeaseFault.IO, true);
    }

    // ---- shared

    @Test
    void aSharedAcquireHoldsTheLeaderOnlyInPassing() {
        bench.leader(edit -> edit.lver(1)).block(3, mark(THIRD));
        LeaderRecord passing =
                committed(bench.leader(), 2).edit().shortHold(true).seal();
        Result result = acquire(Want.SHARED);
        assertThat(result)
                .isEqualTo(
                        new Result.Acquired(new HeldRecord(passing, own(2001, 2).asShared(2))));
        assertThat(bench.written())
                .endsWith(
                        bench.leaderWritten(passing),
                        bench.blockWritten(1, own(2001, 2).asShared(2)),
                        bench.leaderWritten(
                                passing.edit().timestamp(0).shortHold(false).seal()));
        assertThat(((Result.Acquired) result).held().mode()).isEqualTo(LeaseMode.SHARED);
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 8, 9})
    void aSharedAcquireThatFailsAfterItsCommitMayHaveWon(int io) {
        bench.disk.failing(io);
        failed(acquire(Want.SHARED), LeaseFault.IO, true);
    }
}
