/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import static io.vmguard.lease.delta.DeltaBench.LAYOUT;
import static io.vmguard.lease.delta.DeltaBench.SPACE;
import static io.vmguard.lease.delta.DeltaBench.TIMEOUTS;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.DeltaRenewal.Result;
import io.vmguard.lease.ondisk.HostBitmap;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A renewal writes only over the record that it left, in time, and says whatever it read. */
class DeltaRenewalTest {
    private static final long ID = 3;

    private final DeltaBench bench = new DeltaBench();
    private final LeaderRecord last = bench.put(ID, 4, "me", 990);
    private long deadlineNanos = Long.MAX_VALUE;

    private Result renew(boolean lastSucceeded, Set<Long> attention) {
        return bench.disk.run(
                new DeltaRenewal(SPACE, LAYOUT, TIMEOUTS, bench.clock, last, lastSucceeded, deadlineNanos, attention)
                        .start());
    }

    private Result renew() {
        return bench.disk.run(
                new DeltaRenewal(SPACE, LAYOUT, TIMEOUTS, bench.clock, last, true, deadlineNanos).start());
    }

    private void lost(Result result, LeaseFault fault, String why) {
        assertThat(result).isInstanceOf(Result.Lost.class);
        assertThat(((Result.Lost) result).fault()).isEqualTo(fault);
        assertThat(((Result.Lost) result).why()).contains(why);
        assertThat(result.area()).hasValueSatisfying(area -> assertThat(area).isEqualTo(bench.area()));
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void theWholeLockspaceIsReadAndOneSectorWritten() {
        LeaderRecord next = last.edit().timestamp(1000).ioTimeoutSeconds(10).seal();
        long startedNanos = bench.clock.bootNanos();
        byte[] read = bench.area().clone();
        Result result = renew();
        assertThat(result).isInstanceOf(Result.Renewed.class);
        assertThat(((Result.Renewed) result).record()).isEqualTo(next);
        assertThat(((Result.Renewed) result).startedNanos()).isEqualTo(startedNanos);
        assertThat(result.area()).hasValueSatisfying(area -> assertThat(area).isEqualTo(read));
        assertThat(bench.disk.reads())
                .containsExactly(new MemoryDisk.Read(Step.Area.LOCKSPACE, 0, 1 << 20, Duration.ofSeconds(10)));
        assertThat(bench.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.area()).isEqualTo(Step.Area.LOCKSPACE);
            assertThat(write.offset()).isEqualTo(1024);
            assertThat(write.sector()).isEqualTo(next.sector(LAYOUT));
            assertThat(write.limit()).as("8 T + 60 s").isEqualTo(Duration.ofSeconds(140));
        });
    }

    /** As after a sleep, in which the clock of the timestamps stood still: for others nothing would have changed. */
    @Test
    void aRenewalWaitsForATimestampThatIsNotOnDiskYet() {
        bench.put(ID, 4, "me", 1000);
        long startedNanos = bench.clock.bootNanos();
        Result result = renew(false, Set.of());
        assertThat(result).isInstanceOf(Result.Renewed.class);
        assertThat(bench.record(ID).timestamp()).isEqualTo(1001);
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofSeconds(1));
        assertThat(bench.disk.reads()).as("looked at again after the wait").hasSize(2);
        assertThat(((Result.Renewed) result).startedNanos())
                .isEqualTo(startedNanos + Duration.ofSeconds(1).toNanos());
    }

    @Test
    void aRenewalWaitsNoLongerThanUntilTheNextSecond() {
        bench.put(ID, 4, "me", 1000);
        bench.clock.pass(Duration.ofMillis(300));
        assertThat(renew(false, Set.of())).isInstanceOf(Result.Renewed.class);
        assertThat(bench.disk.pauses()).containsExactly(Duration.ofMillis(700));
    }

    @Test
    void aHostEventIsTakenBackAndHostsAreCalledByTheirBits() {
        bench.put(ID, edit -> edit.writer(new Owner(7, 8), 9));
        assertThat(renew(false, Set.of(1L, 9L))).isInstanceOf(Result.Renewed.class);
        assertThat(bench.record(ID).writer()).isEqualTo(new Owner(0, 0));
        assertThat(bench.record(ID).writeTimestamp()).isZero();
        int offset = (int) LAYOUT.deltaOffset(ID);
        for (long host = 1; host <= 2000; host++) {
            assertThat(HostBitmap.isMarked(bench.area(), offset, host))
                    .as("host %d", host)
                    .isEqualTo(host == 1 || host == 9);
        }
    }

    @ParameterizedTest
    @CsvSource({"3, 5, me", "3, 3, me", "2, 4, me", "3, 4, somebody"})
    void anotherOwnerOfOurIdEndsTheMembership(long id, long generation, String name) {
        bench.put(ID, edit -> edit.owner(new Owner(id, generation)).hostName(name));
        lost(renew(), LeaseFault.RENEW_OWNER, "'" + name + "', generation " + generation);
    }

    @Test
    void aWriteThatIsNotOursEndsTheMembershipUnlessOursMayHaveFailed() {
        bench.put(ID, edit -> edit.timestamp(989));
        lost(renew(), LeaseFault.RENEW_DIFF, "timestamp 989 instead of 990");
        assertThat(renew(false, Set.of())).isInstanceOf(Result.Renewed.class);
    }

    @Test
    void aRuinedRecordEndsTheMembership() {
        bench.ruin(ID);
        lost(renew(false, Set.of()), LeaseFault.MAGIC, "magic");
    }

    @Test
    void nothingIsWrittenOnceTheDeadlineHasCome() {
        deadlineNanos = bench.clock.bootNanos();
        lost(renew(), LeaseFault.TIMED_OUT, "8 x io_timeout");
        deadlineNanos++;
        assertThat(renew()).isInstanceOf(Result.Renewed.class);
    }

    @Test
    void aReadThatFailsIsTriedAgainLater() {
        bench.disk.failing(1);
        Result result = renew();
        assertThat(result).isInstanceOf(Result.Late.class);
        assertThat(((Result.Late) result).fault()).isEqualTo(LeaseFault.IO);
        assertThat(((Result.Late) result).why()).startsWith("read: ");
        assertThat(result.area()).isEmpty();
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aWriteThatFailsStillTellsWhatWasRead() {
        bench.disk.failing(2);
        Result result = renew();
        assertThat(result).isInstanceOf(Result.Late.class);
        assertThat(((Result.Late) result).why()).startsWith("write: ");
        assertThat(result.area()).isPresent();
    }

    @Test
    void leavingFreesTheRecordAndKeepsTheRest() {
        IoOutcome outcome = bench.disk.run(new DeltaLeave(LAYOUT, Duration.ofSeconds(7), last).start());
        assertThat(outcome).isInstanceOf(IoOutcome.Done.class);
        assertThat(bench.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.area()).isEqualTo(Step.Area.LOCKSPACE);
            assertThat(write.offset()).isEqualTo(1024);
            assertThat(write.limit()).isEqualTo(Duration.ofSeconds(7));
            assertThat(write.sector()).isEqualTo(last.edit().timestamp(0).seal().sector(LAYOUT));
        });
        bench.disk.failing(1);
        assertThat(bench.disk.run(new DeltaLeave(LAYOUT, Duration.ofSeconds(7), last).start()))
                .isInstanceOf(IoOutcome.Failed.class);
    }
}
