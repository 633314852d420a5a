/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.paxos.Ballot.Result;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One ballot of host 1 for version 5 with number 4001, and everything that the blocks of others can do to it. */
class BallotTest {
    private static final long LVER = 5;
    private static final long NUMBER = 4001;
    private static final DiskBlock ENTERING = DiskBlock.entering(NUMBER, LVER);
    private static final DiskBlock OWN = ENTERING.proposing(1, 1, 1000);

    private final LeaseBench bench = new LeaseBench();

    private Result ballot(boolean keepsMark) {
        ResourceContext host = bench.host(1);
        return bench.disk.run(
                new Ballot(host, LVER, NUMBER, LeaseBench.HOSTS, host.me(), keepsMark, false, Optional.empty())
                        .start(Step::end));
    }

    private Result ballot() {
        return ballot(false);
    }

    private void wrote(DiskBlock... blocks) {
        assertThat(bench.written())
                .containsExactly(Arrays.stream(blocks)
                        .map(block -> bench.blockWritten(1, block))
                        .toArray(LeaseBench.Written[]::new));
    }

    @Test
    void withNobodyElseItChoosesItsCandidate() {
        assertThat(ballot()).isEqualTo(new Result.Chosen(OWN, Set.of()));
        wrote(ENTERING, OWN);
        assertThat(bench.disk.reads())
                .extracting(MemoryDisk.Read::offset, MemoryDisk.Read::length)
                .containsExactly(tuple(0L, 8 * 512), tuple(0L, 8 * 512));
    }

    @Test
    void aSharedHolderKeepsItsMarkInBothPhases() {
        assertThat(ballot(true)).isEqualTo(new Result.Chosen(OWN.keepingMark(1), Set.of(1L)));
        wrote(ENTERING.keepingMark(1), OWN.keepingMark(1));
    }

    /** Number and version of host 3's block, and whether it beats ours. */
    @ParameterizedTest
    @CsvSource({
        "4003, 5, true", // entered later
        "2003, 5, false",
        "4000, 5, false",
        "1,    6, true", // a later version
        "9003, 4, false", // an earlier one, whatever its number
    })
    void whoIsAheadBeatsItInEitherPhase(long number, long lver, boolean ahead) {
        DiskBlock theirs = DiskBlock.entering(number, lver);
        bench.block(3, theirs);
        assertEnds(ahead, false);
        bench.block(3, DiskBlock.entering(0, 0)).disk.fresh();
        bench.disk.before(4, () -> bench.block(3, theirs));
        assertEnds(ahead, true);
        wrote(ENTERING, OWN);
    }

    @Test
    void beatenInTheFirstPhaseItProposesNothing() {
        bench.block(6, DiskBlock.entering(4006, LVER));
        assertEnds(true, false);
        wrote(ENTERING);
    }

    @Test
    void theProposalOfTheHighestBallotIsCarriedOn() {
        bench.block(2, DiskBlock.entering(2, LVER).proposing(2, 9, 502));
        bench.block(3, DiskBlock.entering(2003, LVER).proposing(3, 8, 503));
        bench.block(4, DiskBlock.entering(4, LVER).proposing(4, 7, 504));
        DiskBlock carried = ENTERING.proposing(3, 8, 503).asReleased();
        assertThat(ballot()).isEqualTo(new Result.Chosen(carried, Set.of()));
        wrote(ENTERING, carried);
    }

    @Test
    void aSharedHolderThatCarriesAnothersProposalOnKeepsItsMark() {
        bench.block(3, DiskBlock.entering(2003, LVER).proposing(3, 8, 503));
        DiskBlock carried = ENTERING.proposing(3, 8, 503).asReleased().keepingMark(1);
        assertThat(ballot(true)).isEqualTo(new Result.Chosen(carried, Set.of(1L)));
        wrote(ENTERING.keepingMark(1), carried);
    }

    /** An earlier life of ours that it names would be us for everybody who goes by the flag. */
    @Test
    void aProposalOfOurOwnHostIsCarriedOnWithoutTheFlag() {
        DiskBlock earlier = DiskBlock.decided(2001, new Owner(1, 7), 77, LVER);
        assertThat(ballotAfter(earlier))
                .isEqualTo(new Result.Chosen(DiskBlock.decided(NUMBER, new Owner(1, 7), 77, LVER), Set.of()));
    }

    @Test
    void whatIsNoProposalForThisVersionIsNotCarriedOn() {
        bench.block(2, DiskBlock.entering(2002, LVER - 1).proposing(2, 9, 502));
        bench.block(3, new DiskBlock(3, 0, 3, 1, 503, LVER, false, false, 0)); // no ballot
        bench.block(4, new DiskBlock(4, 4, 0, 1, 504, LVER, false, false, 0)); // nobody
        assertThat(ballot()).isEqualTo(new Result.Chosen(OWN, Set.of()));
    }

    /** A life of this host before this one may have died with the leader on its way to the disk. */
    @Test
    void whatAnEarlierLifeProposedStaysInTheBlockAndIsCarriedOn() {
        DiskBlock earlier = DiskBlock.decided(2001, new Owner(3, 7), 77, LVER);
        Result result = ballotAfter(earlier);
        assertThat(bench.written())
                .first()
                .isEqualTo(bench.blockWritten(1, new DiskBlock(NUMBER, 2001, 3, 7, 77, LVER, true, false, 0)));
        assertThat(result)
                .isEqualTo(new Result.Chosen(
                        DiskBlock.decided(NUMBER, new Owner(3, 7), 77, LVER).asReleased(), Set.of()));
    }

    /** Its owner's block says nothing of it: a stock host wipes it when an acquire fails half-way. */
    @ParameterizedTest
    @CsvSource({"2, 5, true, false", "4, 5, true, true", "4, 6, true, true", "4, 4, false, true"})
    void aVersionThatTheLeaderShowsIsDecided(int io, long lver, boolean beaten, boolean proposed) {
        bench.disk.before(
                io, () -> bench.leader(edit -> edit.owner(new Owner(2, 1)).lver(lver)));
        assertEnds(beaten, proposed);
    }

    @Test
    void whatIsOverDoesNotStay() {
        DiskBlock older = DiskBlock.decided(2001, new Owner(3, 7), 77, LVER - 1);
        assertThat(ballotAfter(older)).as("decided").isEqualTo(new Result.Chosen(OWN, Set.of()));
        assertThat(ballotAfter(DiskBlock.entering(2001, LVER)))
                .as("never proposed")
                .isEqualTo(new Result.Chosen(OWN, Set.of()));
    }

    private Result ballotAfter(DiskBlock earlier) {
        bench.block(1, earlier);
        ResourceContext host = bench.host(1);
        return bench.disk
                .fresh()
                .run(new Ballot(host, LVER, NUMBER, LeaseBench.HOSTS, host.me(), false, false, Optional.of(earlier))
                        .start(Step::end));
    }

    @Test
    void aTornBlockHasNoVote() {
        bench.disk.before(2, () -> bench.corrupt(bench.layout.diskBlockOffset(3)));
        assertThat(ballot()).isEqualTo(new Result.Chosen(OWN, Set.of()));
    }

    @Test
    void marksAreNotedInEveryVersion() {
        DiskBlock old = DiskBlock.entering(3, 1).proposing(3, 1, 1);
        bench.block(3, old.asShared(1)).block(6, old.asShared(1));
        assertThat(ballot()).isEqualTo(new Result.Chosen(OWN, Set.of(3L, 6L)));
    }

    @ParameterizedTest
    @CsvSource({"1, false", "2, false", "3, true", "4, true"})
    void storageThatFailsLeavesTheOutcomeOpenOnceItHasProposed(int io, boolean proposed) {
        bench.disk.failing(io);
        assertThat(ballot()).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O " + io + " fails", proposed));
    }

    @Test
    void nothingIsWrittenUnderALostMembership() {
        bench.lose(1);
        assertThat(ballot())
                .isEqualTo(new Result.Failed(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile", false));
        assertThat(bench.disk.writes()).isEmpty();
        LeaseBench between = new LeaseBench();
        between.disk.before(2, () -> between.lose(1));
        ResourceContext host = between.host(1);
        Result result = between.disk.run(
                new Ballot(host, LVER, NUMBER, LeaseBench.HOSTS, new Owner(1, 1), false, true, Optional.empty())
                        .start(Step::end));
        assertThat(result).isInstanceOf(Result.Failed.class);
        assertThat(between.disk.writes()).hasSize(1);
    }

    /** @param proposed if it is beaten: after its value was on disk */
    private void assertEnds(boolean beaten, boolean proposed) {
        Result result = ballot();
        if (beaten) {
            assertThat(result)
                    .isInstanceOfSatisfying(
                            Result.Beaten.class,
                            lost -> assertThat(lost.proposed()).isEqualTo(proposed));
        } else {
            assertThat(result).isEqualTo(new Result.Chosen(OWN, Set.of()));
        }
    }
}
