/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;

/**
 * Takes one host id.
 *
 * <pre>
 * read the record
 *   free                          -> claim
 *   ours from before (see Entry)  -> claim, after watching it stand still where it must be watched
 *   somebody's                    -> give up, or wait until he is dead and look again
 * claim:  write generation + 1 under our name, wait twice the old owner's T, read back: still ours -> owned
 * </pre>
 *
 * The wait after the claim outlasts any other host's gap between reading the record and writing its own claim, if that host is no
 * slower than T for it; the machine itself gives up when its own gap was longer:
 *
 * <pre>
 *   host A reads: free
 *                               host B reads: free, claims, waits, reads back: owned
 *   host A (paused) would claim here and destroy B's record: it sees that its read is too old, and does not
 *   host A (paused a moment later) has destroyed it: it sees that its claim took too long, and does not count it
 * </pre>
 */
public final class DeltaJoin {
    /** What to do when the record is not free. */
    public enum Entry {
        /** Only a free id will do. */
        FREE_ONLY,
        /** Wait until the owner is provably dead (8 t + 60 s): for a host id forced by the operator. */
        WAIT_UNTIL_DEAD,
        /** The record is from an earlier life of this machine: claim it if it stands still. */
        OWN_EARLIER_LIFE,
        /** The record is this boot's own and nothing of that life is left: claim it at once. */
        OWN_THIS_BOOT
    }

    /** How a join ended. */
    public sealed interface Result {
        /**
         * @param record as written
         * @param startedNanos boot clock, before it was written
         */
        record Joined(LeaderRecord record, long startedNanos) implements Result {}

        /**
         * Somebody has it, or took it while we tried.
         *
         * @param record his
         */
        record Busy(LeaderRecord record) implements Result {}

        /** Storage or content prevented it. If our claim was written, it stays and expires. */
        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final LeaseName lockspace;
    private final LeaseLayout layout;
    private final Timeouts timeouts;
    private final LeaseClock clock;
    private final long hostId;
    private final String hostName;
    private final Entry entry;

    private long readStartedNanos;
    private long claimStartedNanos;
    private Duration settle = Duration.ZERO;

    public DeltaJoin(
            LeaseName lockspace,
            LeaseLayout layout,
            Timeouts timeouts,
            LeaseClock clock,
            long hostId,
            String hostName,
            Entry entry) {
        this.lockspace = lockspace;
        this.layout = layout;
        this.timeouts = timeouts;
        this.clock = clock;
        this.hostId = hostId;
        this.hostName = hostName;
        this.entry = entry;
    }

    public Step<Result> start() {
        return read(this::onFirstLook);
    }

    private Step<Result> onFirstLook(LeaderRecord record) {
        int ownerTimeout = ownerTimeoutSeconds(record);
        settle = Timeouts.ofSeconds(ownerTimeout).renewalInterval();
        if (record.isFree()) {
            return claim(record);
        }
        return switch (entry) {
            case FREE_ONLY -> Step.end(new Result.Busy(record));
            case OWN_THIS_BOOT -> claim(record);
            // A living host renews within 2 T + 1 s. A clone of this machine that lives would be seen in this time.
            case OWN_EARLIER_LIFE -> watch(record, settle.plusSeconds(ownerTimeout + 1L));
            case WAIT_UNTIL_DEAD -> watch(record, deadAfter(record, ownerTimeout));
        };
    }

    private Step<Result> watch(LeaderRecord seen, Duration length) {
        return new Step.Pause<>(length, () -> read(record -> onSecondLook(seen, record)));
    }

    private Step<Result> onSecondLook(LeaderRecord seen, LeaderRecord record) {
        boolean still = record.equals(seen);
        return still || record.isFree() ? claim(record) : Step.end(new Result.Busy(record));
    }

    private Step<Result> claim(LeaderRecord record) {
        claimStartedNanos = clock.bootNanos();
        if (claimStartedNanos - readStartedNanos > timeouts.ioTimeout().toNanos()) {
            return failed(LeaseFault.TIMED_OUT, "storage is too slow to claim host id " + hostId + " safely");
        }
        LeaderRecord written = record.edit()
                .timestamp(clock.monotonicSeconds())
                .ioTimeoutSeconds(timeouts.ioTimeoutSeconds())
                .owner(new Owner(hostId, record.owner().generation() + generations(record)))
                .hostName(hostName)
                .seal();
        return new Step.Write<>(
                Step.Area.LOCKSPACE,
                layout.deltaOffset(hostId),
                written.sector(layout),
                timeouts.ioTimeout(),
                outcome -> onClaimed(written, outcome));
    }

    /**
     * One, but more over a record of this very boot that had to be watched: it may have landed over those of other hosts, whose
     * generations it has hidden. There were fewer of them than seconds, for each began with a wait of 2 T.
     */
    private long generations(LeaderRecord record) {
        boolean hides = entry == Entry.WAIT_UNTIL_DEAD
                && !record.isFree()
                && record.resourceName().equals(hostName);
        return hides ? 1 + Math.max(0, clock.bootNanos() / 1_000_000_000 - record.timestamp()) : 1;
    }

    private Step<Result> onClaimed(LeaderRecord written, IoOutcome outcome) {
        if (outcome instanceof IoOutcome.Failed failed) {
            return failed(failed.fault(), failed.why());
        }
        if (clock.bootNanos() - claimStartedNanos > timeouts.ioTimeout().toNanos()) {
            // Held up between the look and the write: the id may have been somebody's by then, whom the claim has
            // hidden.
            return failed(LeaseFault.TIMED_OUT, "claiming host id " + hostId + " took too long to be safe");
        }
        return new Step.Pause<>(settle, () -> read(record -> onReadBack(written, record)));
    }

    private Step<Result> onReadBack(LeaderRecord written, LeaderRecord record) {
        return record.equals(written)
                ? Step.end(new Result.Joined(written, claimStartedNanos))
                : Step.end(new Result.Busy(record));
    }

    private Step<Result> read(java.util.function.Function<LeaderRecord, Step<Result>> then) {
        readStartedNanos = clock.bootNanos();
        return new Step.Read<>(
                Step.Area.LOCKSPACE,
                layout.deltaOffset(hostId),
                layout.sectorBytes(),
                timeouts.ioTimeout(),
                outcome -> {
                    if (outcome instanceof IoOutcome.Failed failed) {
                        return failed(failed.fault(), failed.why());
                    }
                    Decoded<LeaderRecord> decoded =
                            LeaderRecord.decodeDelta(((IoOutcome.Done) outcome).bytes(), 0, lockspace);
                    return decoded.fold(then, this::failed);
                });
    }

    private static Duration deadAfter(LeaderRecord record, int ownerTimeout) {
        Duration watchdog = HostName.watchdog(record.resourceName());
        return Duration.ofNanos(new Timeouts(Duration.ofSeconds(ownerTimeout), watchdog).deadNanos());
    }

    private int ownerTimeoutSeconds(LeaderRecord record) {
        return record.ioTimeoutSeconds() == 0 ? timeouts.ioTimeoutSeconds() : record.ioTimeoutSeconds();
    }

    private Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why));
    }
}
