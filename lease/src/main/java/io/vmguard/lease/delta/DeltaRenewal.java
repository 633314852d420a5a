/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostBitmap;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * One renewal of our delta lease: read the whole lockspace, check that our record is as we left it, write it with a new timestamp.
 *
 * <p>There is no read after the write; the next renewal's check takes its place. The check on equality is left out after a failed
 * renewal, because an earlier write may or may not have reached the disk.
 */
public final class DeltaRenewal {
    /** How one renewal ended. {@code area} is the lockspace as read, if the read succeeded, whatever came after. */
    public sealed interface Result {
        Optional<byte[]> area();

        /** @param startedNanos boot clock before the write was issued: the lease is this old from now on */
        record Renewed(LeaderRecord record, long startedNanos, Optional<byte[]> area) implements Result {}

        /** Not this time; another try may succeed. */
        record Late(LeaseFault fault, String why, Optional<byte[]> area) implements Result {}

        /** Our record is not ours any more: the membership has ended, for good and at once. */
        record Lost(LeaseFault fault, String why, Optional<byte[]> area) implements Result {}
    }

    private static final long SECOND_NANOS = 1_000_000_000;

    private final LeaseName lockspace;
    private final LeaseLayout layout;
    private final Timeouts timeouts;
    private final LeaseClock clock;
    private final LeaderRecord last;
    private final boolean lastSucceeded;
    private final long deadlineNanos;
    private final Set<Long> attention;

    /** Without anything to tell. */
    public DeltaRenewal(
            LeaseName lockspace,
            LeaseLayout layout,
            Timeouts timeouts,
            LeaseClock clock,
            LeaderRecord last,
            boolean lastSucceeded,
            long deadlineNanos) {
        this(lockspace, layout, timeouts, clock, last, lastSucceeded, deadlineNanos, Set.of());
    }

    /**
     * @param last what we wrote last
     * @param lastSucceeded and whether that write is known to have succeeded
     * @param deadlineNanos boot clock: from then on the membership is lost and nothing may be written under it
     * @param attention host ids that we have something for
     */
    public DeltaRenewal(
            LeaseName lockspace,
            LeaseLayout layout,
            Timeouts timeouts,
            LeaseClock clock,
            LeaderRecord last,
            boolean lastSucceeded,
            long deadlineNanos,
            Set<Long> attention) {
        this.lockspace = lockspace;
        this.layout = layout;
        this.timeouts = timeouts;
        this.clock = clock;
        this.last = last;
        this.lastSucceeded = lastSucceeded;
        this.deadlineNanos = deadlineNanos;
        this.attention = attention;
    }

    public Step<Result> start() {
        return new Step.Read<>(
                Step.Area.LOCKSPACE, 0, layout.areaBytes(), timeouts.ioTimeout(), outcome -> onArea(outcome));
    }

    private Step<Result> onArea(IoOutcome outcome) {
        if (outcome instanceof IoOutcome.Failed failed) {
            return Step.end(new Result.Late(failed.fault(), "read: " + failed.why(), Optional.empty()));
        }
        byte[] area = ((IoOutcome.Done) outcome).bytes();
        int offset = (int) layout.deltaOffset(last.owner().hostId());
        return LeaderRecord.decodeDelta(area, offset, lockspace)
                .fold(onDisk -> onRecord(onDisk, area), (fault, why) -> lost(fault, why, area));
    }

    private Step<Result> onRecord(LeaderRecord onDisk, byte[] area) {
        if (!onDisk.owner().equals(last.owner()) || !onDisk.resourceName().equals(last.resourceName())) {
            return lost(
                    LeaseFault.RENEW_OWNER,
                    String.format(
                            Locale.ROOT,
                            "host id %d is now owned by '%s', generation %d",
                            last.owner().hostId(),
                            onDisk.resourceName(),
                            onDisk.owner().generation()),
                    area);
        }
        if (lastSucceeded && !onDisk.equals(last)) {
            return lost(
                    LeaseFault.RENEW_DIFF,
                    String.format(Locale.ROOT, "timestamp %d instead of %d", onDisk.timestamp(), last.timestamp()),
                    area);
        }
        if (onDisk.timestamp() == clock.monotonicSeconds()) {
            return nextSecond();
        }
        long startedNanos = clock.bootNanos();
        if (startedNanos >= deadlineNanos) {
            // A host that was suspended or stopped between read and write must not overwrite whoever came after it.
            return lost(LeaseFault.TIMED_OUT, "the last renewal is older than 8 x io_timeout", area);
        }
        LeaderRecord next = onDisk.edit()
                .timestamp(clock.monotonicSeconds())
                .ioTimeoutSeconds(timeouts.ioTimeoutSeconds())
                .noEvent()
                .seal();
        byte[] sector = next.sector(layout);
        HostBitmap.mark(sector, attention);
        return new Step.Write<>(
                Step.Area.LOCKSPACE,
                layout.deltaOffset(last.owner().hostId()),
                sector,
                timeouts.hostDead(),
                written -> onWritten(written, next, startedNanos, area));
    }

    /**
     * Others know by the timestamp alone that we live: the same one again renews nothing for them. It comes again when this host has
     * slept since, for the clock that it is taken from stood still meanwhile.
     */
    private Step<Result> nextSecond() {
        long leftNanos = SECOND_NANOS - Math.floorMod(clock.monotonicNanos(), SECOND_NANOS);
        return new Step.Pause<>(Duration.ofNanos(leftNanos), this::start);
    }

    private Step<Result> onWritten(IoOutcome outcome, LeaderRecord next, long startedNanos, byte[] area) {
        if (outcome instanceof IoOutcome.Failed failed) {
            return Step.end(new Result.Late(failed.fault(), "write: " + failed.why(), Optional.of(area)));
        }
        return Step.end(new Result.Renewed(next, startedNanos, Optional.of(area)));
    }

    private static Step<Result> lost(LeaseFault fault, String why, byte[] area) {
        return Step.end(new Result.Lost(fault, why, Optional.of(Arrays.copyOf(area, area.length))));
    }
}
