/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.time.LeaseClock;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;

/**
 * One membership: a host id under one generation, from the join to its loss or end. It is lost once and never comes back.
 *
 * <p>Written by the thread that renews; {@link #inTime} is asked by anybody at any time and depends on nothing but a clock and one
 * volatile number.
 */
final class Membership {
    final LeaseName lockspace;
    final LeaseLayout layout;
    final int maxHosts;
    final Timeouts timeouts;
    final Owner owner;
    final LeaseFile file;
    final HostTable hosts;

    private final LeaseClock clock;
    private final AtomicBoolean lost = new AtomicBoolean();
    private volatile LeaderRecord record;
    private volatile boolean recordCertain = true;
    private volatile long renewedNanos;
    private volatile long suspendedNanos;
    /** Boot clock: only a renewal begun since then has certainly not been overwritten by one of a killed predecessor. */
    private volatile long aloneSinceNanos = Long.MIN_VALUE;
    /** For whom we have something, and until when (boot clock) we say so. */
    private final Map<Long, Long> attention = new ConcurrentHashMap<>();

    /**
     * @param renewedNanos boot clock, before the last renewal was issued
     * @param suspendedNanos how long the machine had slept by then, or less
     */
    Membership(
            LeaseName lockspace,
            LeaseLayout layout,
            int maxHosts,
            Timeouts timeouts,
            LeaseFile file,
            LeaseClock clock,
            LeaderRecord record,
            long renewedNanos,
            long suspendedNanos) {
        this.lockspace = lockspace;
        this.layout = layout;
        this.maxHosts = maxHosts;
        this.timeouts = timeouts;
        this.owner = record.owner();
        this.file = file;
        this.hosts = new HostTable(lockspace, layout, timeouts);
        this.clock = clock;
        this.record = record;
        this.renewedNanos = renewedNanos;
        this.suspendedNanos = suspendedNanos;
    }

    /** Whether leases held under it are still ours at this instant. */
    boolean inTime() {
        return !lost.get() && clock.bootNanos() < deadlineNanos();
    }

    /** Boot clock: the moment at which it is lost unless a renewal succeeds before. */
    long deadlineNanos() {
        return renewedNanos + timeouts.renewalFailed().toNanos();
    }

    /** Boot clock, before the last successful renewal was issued. */
    long renewedNanos() {
        return renewedNanos;
    }

    /**
     * How long the machine had slept before the last successful renewal was issued, or less. With this a timestamp on disk says when, by the
     * boot clock. What it has slept by now would not do: a sleep since the renewal would make that younger by its length.
     */
    long suspendedNanos() {
        return suspendedNanos;
    }

    long ageNanos() {
        return clock.bootNanos() - renewedNanos;
    }

    /**
     * A renewal reached the disk.
     *
     * @param suspendedBefore how long the machine had slept by then, or less
     * @return false if it came too late to count
     */
    boolean renewed(LeaderRecord written, long startedNanos, long suspendedBefore) {
        if (!inTime()) {
            return false;
        }
        record = written;
        recordCertain = true;
        renewedNanos = startedNanos;
        suspendedNanos = suspendedBefore;
        return true;
    }

    /** What machines need that work on a resource under this membership. */
    ResourceContext context(LeaseName resource, LeaseClock time, RandomGenerator random) {
        return new ResourceContext(
                lockspace, resource, layout, maxHosts, timeouts, owner, hosts, this::inTime, time, random);
    }

    /** Our next renewals tell this host that we have something for it. */
    void attend(long hostId) {
        attention.put(hostId, clock.bootNanos() + timeouts.attention().toNanos());
    }

    /** Hosts to be told in a renewal now. */
    Set<Long> attention() {
        long nowNanos = clock.bootNanos();
        attention.values().removeIf(untilNanos -> nowNanos >= untilNanos);
        return Set.copyOf(attention.keySet());
    }

    /** A renewal that a killed predecessor has begun under this very membership may land, until that one is gone. */
    void sharedUntil(CompletableFuture<Void> predecessorGone) {
        aloneSinceNanos = Long.MAX_VALUE;
        predecessorGone.thenRun(() -> aloneSinceNanos = clock.bootNanos());
    }

    void renewalFailed() {
        recordCertain = false;
    }

    LeaderRecord record() {
        return record;
    }

    /** Whether {@link #record} is what is on disk, as far as we wrote it. */
    boolean recordCertain() {
        return recordCertain && renewedNanos >= aloneSinceNanos;
    }

    /** @return true for the one caller that ended it */
    boolean lose() {
        return lost.compareAndSet(false, true);
    }

    boolean isLost() {
        return lost.get();
    }
}
