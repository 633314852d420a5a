/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import static io.vmguard.lease.delta.DeltaBench.LAYOUT;
import static io.vmguard.lease.delta.DeltaBench.SPACE;
import static io.vmguard.lease.delta.DeltaBench.TIMEOUTS;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.DeltaJoin.Entry;
import io.vmguard.lease.delta.DeltaJoin.Result;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Each way into a host id: what is waited for, what is written, and who is left alone. */
class DeltaJoinTest {
    private static final long ID = 3;

    private final DeltaBench bench = new DeltaBench();

    private Result join(Entry entry) {
        return bench.disk.run(new DeltaJoin(SPACE, LAYOUT, TIMEOUTS, bench.clock, ID, "me", entry).start());
    }

    private void wroteOnly(LeaderRecord record) {
        assertThat(bench.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.area()).isEqualTo(Step.Area.LOCKSPACE);
            assertThat(write.offset()).isEqualTo(1024);
            assertThat(write.sector()).isEqualTo(record.sector(LAYOUT));
            assertThat(write.limit()).isEqualTo(TIMEOUTS.ioTimeout());
        });
    }

    private static void failed(Result result, LeaseFault fault) {
        assertThat(result).isInstanceOf(Result.Failed.class);
        assertThat(((Result.Failed) result).fault()).isEqualTo(fault);
    }

    @ParameterizedTest
    @EnumSource(Entry.class)
    void aFreeIdIsClaimedAtOnceWithTheNextGeneration(Entry entry) {
        LeaderRecord left = bench.put(ID, 4, "somebody", 0);
        LeaderRecord wanted = left.edit()
                .owner(new Owner(ID, 5))
                .hostName("me")
                .ioTimeoutSeconds(10)
                .timestamp(1000)
                .seal();
        long startedNanos = bench.clock.bootNanos();
        assertThat(join(entry)).isEqualTo(new Result.Joined(wanted, startedNanos));
        wroteOnly(wanted);
        assertThat(bench.disk.pauses()).as("2 T of the old owner").containsExactly(Duration.ofSeconds(10));
        assertThat(bench.disk.reads())
                .containsOnly(new MemoryDisk.Read(Step.Area.LOCKSPACE, 1024, 512, TIMEOUTS.ioTimeout()))
                .hasSize(2);
    }

    @Test
    void anOwnerThatNeverSaidItsTimeoutIsGivenOurs() {
        bench.put(ID, edit -> edit.ioTimeoutSeconds(0));
        assertThat(join(Entry.FREE_ONLY)).isInstanceOf(Result.Joined.class);
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofSeconds(20));
    }

    @Test
    void anIdInUseIsLeftAlone() {
        LeaderRecord his = bench.put(ID, 4, "somebody", 77);
        assertThat(join(Entry.FREE_ONLY)).isEqualTo(new Result.Busy(his));
        assertThat(bench.disk.writes()).isEmpty();
        assertThat(bench.disk.pauses()).isEmpty();
    }

    @Test
    void theRecordOfThisBootIsClaimedWithoutWatchingIt() {
        bench.put(ID, 4, "me", 77);
        assertThat(join(Entry.OWN_THIS_BOOT)).isInstanceOf(Result.Joined.class);
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofSeconds(10));
    }

    /** Earlier life: a renewal interval of 2 x 5 s, T and one second. Dead: 8 x 5 s and the watchdog, strictly more in whole seconds. */
    @ParameterizedTest
    @CsvSource({
        "OWN_EARLIER_LIFE, me, 16",
        "WAIT_UNTIL_DEAD, somebody, 101",
        "WAIT_UNTIL_DEAD, 0a1b2c3d-4e5f6071+20.node, 61",
    })
    void anIdThatStandsStillIsClaimed(Entry entry, String name, int seconds) {
        bench.put(ID, 4, name, 77);
        Result result = join(entry);
        assertThat(result).isInstanceOf(Result.Joined.class);
        LeaderRecord claimed = ((Result.Joined) result).record();
        assertThat(claimed.owner()).isEqualTo(new Owner(ID, 5));
        assertThat(claimed.timestamp()).isEqualTo(1000 + seconds);
        assertThat(((Result.Joined) result).startedNanos())
                .isEqualTo(Duration.ofSeconds(1000 + seconds).toNanos());
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofSeconds(seconds), Duration.ofSeconds(10));
        wroteOnly(claimed);
    }

    /** It landed late, over generations of others that nobody can see any more: fewer than the seconds since it was issued. */
    @Test
    void ourOwnRecordThatHadToBeWatchedIsFollowedByAGenerationThatNobodyElseHad() {
        bench.put(ID, 4, "me", 77);
        Result result = join(Entry.WAIT_UNTIL_DEAD);
        assertThat(result).isInstanceOf(Result.Joined.class);
        assertThat(((Result.Joined) result).record().owner()).isEqualTo(new Owner(ID, 5 + 1000 + 101 - 77));
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofSeconds(101), Duration.ofSeconds(10));
    }

    @ParameterizedTest
    @EnumSource(
            value = Entry.class,
            names = {"OWN_EARLIER_LIFE", "WAIT_UNTIL_DEAD"})
    void anIdThatMovesIsLeftAlone(Entry entry) {
        bench.put(ID, 4, "me", 77);
        bench.disk.before(2, () -> bench.put(ID, 4, "me", 78));
        assertThat(join(entry)).isEqualTo(new Result.Busy(bench.record(ID)));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void anIdThatIsGivenBackWhileWeWatchIsClaimed() {
        bench.put(ID, 4, "somebody", 77);
        bench.disk.before(2, () -> bench.put(ID, 4, "somebody", 0));
        assertThat(join(Entry.WAIT_UNTIL_DEAD)).isInstanceOf(Result.Joined.class);
    }

    @Test
    void whoeverClaimsLastHasIt() {
        bench.disk.before(3, () -> bench.put(ID, 1, "somebody", 1001));
        assertThat(join(Entry.FREE_ONLY)).isEqualTo(new Result.Busy(bench.record(ID)));
        assertThat(bench.record(ID).resourceName()).isEqualTo("somebody");
    }

    @Test
    void aClaimThatWouldComeTooLongAfterItsReadIsNotWritten() {
        bench.disk.before(1, () -> bench.clock.pass(Duration.ofSeconds(10).plusNanos(1)));
        failed(join(Entry.FREE_ONLY), LeaseFault.TIMED_OUT);
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aClaimRightAtTheLimitIsWritten() {
        bench.disk.before(1, () -> bench.clock.pass(Duration.ofSeconds(10)));
        assertThat(join(Entry.FREE_ONLY)).isInstanceOf(Result.Joined.class);
    }

    /** As when the machine stands still before the write is issued: somebody may have joined under the id meanwhile. */
    @Test
    void aClaimThatLandsTooLateIsNone() {
        bench.disk.before(2, () -> bench.clock.pass(Duration.ofSeconds(10).plusNanos(1)));
        failed(join(Entry.FREE_ONLY), LeaseFault.TIMED_OUT);
        assertThat(bench.disk.writes()).hasSize(1);
    }

    @Test
    void aClaimThatLandsRightAtTheLimitCounts() {
        bench.disk.before(2, () -> bench.clock.pass(Duration.ofSeconds(10)));
        assertThat(join(Entry.FREE_ONLY)).isInstanceOf(Result.Joined.class);
    }

    @ParameterizedTest
    @CsvSource({"1, 0", "2, 0", "3, 1", "4, 1"})
    void storageThatFailsFailsTheJoin(int io, int writes) {
        bench.put(ID, 4, "me", 77);
        bench.disk.failing(io);
        failed(join(Entry.OWN_EARLIER_LIFE), LeaseFault.IO);
        assertThat(bench.disk.writes()).hasSize(writes);
    }

    @Test
    void aRecordThatIsNoneIsNeverOverwritten() {
        bench.ruin(ID);
        failed(join(Entry.WAIT_UNTIL_DEAD), LeaseFault.MAGIC);
        assertThat(bench.disk.writes()).isEmpty();
    }
}
