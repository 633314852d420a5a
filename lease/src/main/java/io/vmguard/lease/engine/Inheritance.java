/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.IoJournal;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The duty to stop the users of a predecessor's leases in time, from the start of this process until it is decided what becomes of
 * that membership. It is known from this machine's memory alone, so it is there while the storage hangs.
 *
 * <p>It ends once: settled, because the membership goes on or nothing of it is left to lose, or lost.
 */
final class Inheritance {
    private enum State {
        OPEN,
        SETTLED,
        LOST
    }

    private final Map<LeaseName, LeaseUse> users;
    private final AtomicReference<State> state = new AtomicReference<>(State.OPEN);
    /** Boot clock. Written by the thread that joins. */
    private volatile long deadlineNanos;

    private Inheritance(Map<LeaseName, LeaseUse> users, long deadlineNanos) {
        this.users = users;
        this.deadlineNanos = deadlineNanos;
    }

    /** When nothing is inherited. */
    static Inheritance none() {
        return new Inheritance(Map.of(), Long.MAX_VALUE);
    }

    /**
     * @param before the local record, of this boot and this lease directory
     * @param renewal the last one that its membership is known to have had
     * @param nowNanos boot clock, when this process began
     */
    static Inheritance of(
            Optional<LocalRecord> before, Optional<IoJournal.Renewal> renewal, Timeouts timeouts, long nowNanos) {
        if (before.isEmpty() || before.get().users().isEmpty()) {
            return none();
        }
        // Not known, or impossible: the storage can tell it, and gets the time of one I/O for that, at most half of
        // what
        // other hosts wait on top.
        long deadlineNanos = nowNanos
                + Math.min(
                        timeouts.ioTimeout().toNanos(),
                        timeouts.watchdog().dividedBy(2).toNanos());
        if (renewal.isPresent()
                && renewal.get().startedNanos() <= nowNanos
                && renewal.get().ioTimeoutSeconds() >= 1) {
            // Each side's word on T counts: what others grant us hangs on the predecessor's, what we promise on ours.
            long granted = Timeouts.ofSeconds(renewal.get().ioTimeoutSeconds())
                    .renewalFailed()
                    .toNanos();
            deadlineNanos = renewal.get().startedNanos()
                    + Math.min(granted, timeouts.renewalFailed().toNanos());
        }
        // Left running on purpose, and nobody was there to stop them when it was time: found again, not stopped.
        boolean excused = before.get().cleanStop() && deadlineNanos <= nowNanos;
        return excused ? none() : new Inheritance(before.get().users(), deadlineNanos);
    }

    Map<LeaseName, LeaseUse> users() {
        return users;
    }

    /** The disk says that the membership is good for longer. */
    void goodUntil(long nanos) {
        deadlineNanos = Math.max(deadlineNanos, nanos);
    }

    /** Whether its users must be stopped now. */
    boolean isDue(long nowNanos) {
        return !users.isEmpty() && state.get() == State.OPEN && nowNanos >= deadlineNanos;
    }

    /**
     * It is not this object's duty any more.
     *
     * @return false if it was lost before
     */
    boolean settle() {
        return state.compareAndSet(State.OPEN, State.SETTLED) || state.get() == State.SETTLED;
    }

    /** @return true for the one caller that has to say so */
    boolean lose() {
        return state.compareAndSet(State.OPEN, State.LOST);
    }

    boolean isLost() {
        return state.get() == State.LOST;
    }
}
