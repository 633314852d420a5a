/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.paxos.PaxosRelease.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Host 1 of generation 2 gives back, or steps down to shared mode, what it holds as version 4; and makes it unusable for good.
 *
 * <p>The I/Os of an undisturbed release: 1 block, 2 read of the leader, 3 leader.
 */
class PaxosReleaseTest {
    private static final Owner ME = new Owner(1, 2);
    private static final Owner OTHER = new Owner(2, 3);

    private final LeaseBench bench = new LeaseBench();
    private final HeldRecord held = bench.held(ME, 4, 500);
    private final DiskBlock released = held.block().asReleased();
    private final DiskBlock shared = held.block().asShared(2);
    private final LeaderRecord free =
            held.leader().edit().timestamp(0).writer(ME, 1000).seal();

    private Result release(HeldRecord what) {
        return bench.disk.run(new PaxosRelease(bench.host(ME), what).start());
    }

    private PaxosDowngrade.Result downgrade() {
        return bench.disk.run(new PaxosDowngrade(bench.host(ME), held).start());
    }

    @Test
    void theFlagComesBeforeTheLeader() {
        assertThat(held.mode()).isEqualTo(LeaseMode.EXCLUSIVE);
        assertThat(release(held)).isEqualTo(new Result.Released());
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, released), bench.leaderWritten(free));
        assertThat(bench.disk.reads()).singleElement().satisfies(read -> {
            assertThat(read.offset()).isZero();
            assertThat(read.length()).isEqualTo(512);
        });
    }

    @Test
    void aLeaderOnTheWayToSharedModeLosesItsHint() {
        bench.leader(edit -> edit.shortHold(true));
        release(new HeldRecord(bench.leader(), held.block()));
        assertThat(bench.leader()).isEqualTo(free);
    }

    @Test
    void theMarkComesBeforeTheLeader() {
        assertThat(downgrade()).isEqualTo(new PaxosDowngrade.Result.Shared(new HeldRecord(held.leader(), shared)));
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, shared), bench.leaderWritten(free));
    }

    @Test
    void aSharedHoldEndsWithItsMark() {
        bench.leader(edit -> edit.timestamp(0)).block(1, shared);
        assertThat(release(bench.onDisk(1))).isEqualTo(new Result.Released());
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, released));
        assertThat(bench.disk.reads()).isEmpty();
    }

    /** What the leader may be when it is read again, and what that makes of the release; nothing is written to it. */
    static Stream<Arguments> leaders() {
        return Stream.of(
                leader("committed for us by another", edit -> edit.writer(OTHER, 501), new Result.Released()),
                leader(
                        "somebody's by now",
                        edit -> edit.owner(OTHER).lver(5).writer(OTHER, 501),
                        new Result.Released()),
                leader("free already", edit -> edit.timestamp(0).writer(ME, 777), new Result.Released()),
                leader(
                        "free of a later version",
                        edit -> edit.timestamp(0).lver(5),
                        notOurs(LeaseFault.LEADER_CHANGED, "1/2", 5)),
                leader(
                        "free of another life",
                        edit -> edit.timestamp(0).owner(new Owner(1, 3)),
                        notOurs(LeaseFault.NOT_OWNER, "1/3", 4)),
                leader(
                        "given to another by us",
                        edit -> edit.owner(OTHER).lver(5),
                        notOurs(LeaseFault.LEADER_CHANGED, "2/3", 5)),
                leader("taken at another time", edit -> edit.timestamp(501), notOurs(LeaseFault.NOT_OWNER, "1/2", 4)),
                leader("ours again", edit -> edit.lver(5), notOurs(LeaseFault.LEADER_CHANGED, "1/2", 5)));
    }

    private static Arguments leader(String what, UnaryOperator<LeaderRecord.Editor> change, Result result) {
        return Arguments.of(what, change, result);
    }

    private static Result notOurs(LeaseFault fault, String owner, long lver) {
        return new Result.NotOurs(fault, "owner " + owner + ", version " + lver + " instead of owner 1/2, version 4");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("leaders")
    void onlyTheLeaderThatWeCommittedIsFreed(String what, UnaryOperator<LeaderRecord.Editor> change, Result expected) {
        bench.leader(change);
        LeaderRecord before = bench.leader();
        assertThat(release(held)).as(what).isEqualTo(expected);
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, released));
        bench.disk.fresh();
        PaxosDowngrade.Result downgraded = downgrade();
        if (expected instanceof Result.NotOurs notOurs) {
            assertThat(downgraded).isEqualTo(new PaxosDowngrade.Result.Failed(notOurs.fault(), notOurs.why()));
        } else {
            assertThat(expected).isInstanceOf(Result.Released.class);
            assertThat(downgraded).isInstanceOf(PaxosDowngrade.Result.Shared.class);
        }
        assertThat(bench.leader()).isEqualTo(before);
    }

    /** Another host that carries our ballot on may commit us once more, after we have freed the leader. */
    @Test
    void withoutItsFlagALeaseIsFreedAtOnceButNotReleased() {
        bench.disk.failing(1);
        assertThat(release(held)).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 1 fails"));
        assertThat(bench.leader()).isEqualTo(free);
        bench.leader(edit -> edit.timestamp(500).writer(OTHER, 501)).disk.fresh();
        assertThat(release(held)).isEqualTo(new Result.Released());
        assertThat(bench.block(1)).isEqualTo(released);
    }

    @Test
    void withoutItsFlagALeaseThatAnotherCommittedForUsIsNotReleased() {
        bench.leader(edit -> edit.writer(OTHER, 501)).disk.failing(1);
        assertThat(release(held)).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 1 fails"));
        bench.leader(edit -> edit.timestamp(0)).disk.fresh().failing(1);
        assertThat(release(held)).as("freed by another").isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 1 fails"));
        bench.leader(edit -> edit.timestamp(501).owner(OTHER)).disk.fresh().failing(1);
        assertThat(release(held)).as("gone to another").isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 1 fails"));
    }

    @Test
    void withoutItsMarkALeaseStaysExclusive() {
        bench.disk.failing(1);
        assertThat(downgrade()).isEqualTo(new PaxosDowngrade.Result.Failed(LeaseFault.IO, "I/O 1 fails"));
        assertThat(bench.leader()).isEqualTo(held.leader());
    }

    @Test
    void aMarkThatCannotBeTakenAwayIsStillThere() {
        bench.leader(edit -> edit.timestamp(0)).block(1, shared);
        bench.disk.failing(1);
        assertThat(release(bench.onDisk(1))).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O 1 fails"));
        assertThat(bench.disk.reads()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"2", "3"})
    void aLeaderThatCannotBeReadOrWrittenIsTriedAgain(int io) {
        bench.disk.failing(io);
        assertThat(release(held)).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O " + io + " fails"));
        bench.disk.fresh().failing(io);
        assertThat(downgrade()).isEqualTo(new PaxosDowngrade.Result.Failed(LeaseFault.IO, "I/O " + io + " fails"));
        bench.disk.fresh();
        assertThat(release(held)).isEqualTo(new Result.Released());
        assertThat(bench.leader()).isEqualTo(free);
    }

    @Test
    void aReleaseWhoseWriteLandedUnheardIsFoundDone() {
        bench.disk.landingThenFailing(3);
        assertThat(release(held)).isInstanceOf(Result.Failed.class);
        bench.disk.fresh();
        assertThat(release(held)).isEqualTo(new Result.Released());
        assertThat(bench.written()).containsExactly(bench.blockWritten(1, released));
    }

    @Test
    void nothingIsWrittenUnderALostMembership() {
        bench.lose(1);
        assertThat(release(held)).isInstanceOf(Result.Failed.class);
        assertThat(downgrade()).isInstanceOf(PaxosDowngrade.Result.Failed.class);
        assertThat(bench.disk.reads()).isEmpty();
        assertThat(bench.disk.writes()).isEmpty();
    }

    // ---- clearing

    private List<String> clear() {
        return bench.disk.run(new PaxosClear(bench.host(ME), held)
                .start(() -> new ArrayList<String>(), (fault, why) -> List.of(fault.name(), why)));
    }

    @Test
    void aClearedResourceCanNeverBeTakenAgain() {
        assertThat(clear()).isEmpty();
        LeaderRecord cleared =
                held.leader().edit().cleared().timestamp(0).writer(ME, 1000).seal();
        assertThat(bench.written()).containsExactly(bench.leaderWritten(cleared));
        Object refused = bench.disk.run(new PaxosAcquire(bench.host(OTHER)).start());
        assertThat(refused).isInstanceOf(PaxosAcquire.Result.Failed.class);
        assertThat(((PaxosAcquire.Result.Failed) refused).why()).startsWith("the lease was deliberately removed");
    }

    @Test
    void whatIsNotOursAnyMoreIsNotCleared() {
        bench.leader(edit -> edit.lver(5));
        assertThat(clear()).containsExactly("LEADER_CHANGED", "the leader now says " + bench.leader());
        assertThat(bench.disk.writes()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"1", "2"})
    void clearingFailsWithTheStorage(int io) {
        bench.disk.failing(io);
        assertThat(clear()).containsExactly("IO", "I/O " + io + " fails");
    }
}
