/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Everything this host has seen of all host ids, fed by each renewal's read of the lockspace.
 *
 * <p>One thread updates; any thread reads a snapshot. A record that is not sound is "possibly alive": it neither ages its host
 * towards death nor frees it.
 */
public final class HostTable {
    private final LeaseName lockspace;
    private final LeaseLayout layout;
    private final Timeouts timeouts;
    private volatile Map<Long, HostSighting> sightings = Map.of();
    private volatile boolean checked;

    public HostTable(LeaseName lockspace, LeaseLayout layout, Timeouts timeouts) {
        this.lockspace = lockspace;
        this.layout = layout;
        this.timeouts = timeouts;
    }

    /**
     * Looks at every slot of a lockspace just read.
     *
     * @param askedNanos boot clock, before the read: what is found was true at some instant since
     */
    public void update(byte[] area, long askedNanos, long nowNanos) {
        Map<Long, HostSighting> next = new TreeMap<>();
        Map<Long, HostSighting> before = sightings;
        for (long id = 1; id <= layout.maxHosts(); id++) {
            HostSighting sighting = look(area, id, before.get(id), askedNanos, nowNanos);
            if (sighting != null) {
                next.put(id, sighting);
            }
        }
        sightings = Map.copyOf(next);
        checked = true;
    }

    private @Nullable HostSighting look(
            byte[] area, long id, @Nullable HostSighting before, long askedNanos, long nowNanos) {
        int offset = (int) layout.deltaOffset(id);
        if (before == null && LeaderRecord.isUnusedDelta(area, offset)) {
            return null; // never used
        }
        Decoded<LeaderRecord> decoded = LeaderRecord.decodeDelta(area, offset, lockspace);
        if (decoded instanceof Decoded.Valid<LeaderRecord> valid) {
            return sound(valid.value(), before, askedNanos, nowNanos);
        }
        HostSighting base = before != null
                ? before
                : new HostSighting(
                        new Owner(id, 0), "", -1, assumedTimeout(0), nowNanos, nowNanos, nowNanos, false, false);
        // Whoever wrote this may live: its clock starts again at each look.
        return new HostSighting(
                base.owner(),
                base.name(),
                base.timestamp(),
                base.ioTimeoutSeconds(),
                base.firstCheckNanos(),
                nowNanos,
                nowNanos,
                base.everChanged(),
                false);
    }

    /** A change counts from now, silence only until the disk was asked: in between it may have ended. */
    private HostSighting sound(LeaderRecord record, @Nullable HostSighting before, long askedNanos, long nowNanos) {
        if (before == null) {
            return sighting(record, nowNanos, nowNanos, nowNanos, false);
        }
        boolean changed = !before.sound()
                || before.timestamp() != record.timestamp()
                || !before.owner().equals(record.owner());
        return sighting(
                record,
                before.firstCheckNanos(),
                changed ? nowNanos : askedNanos,
                changed ? nowNanos : before.lastLiveNanos(),
                before.everChanged() || changed);
    }

    private HostSighting sighting(
            LeaderRecord record, long firstNanos, long lastCheckNanos, long lastLiveNanos, boolean everChanged) {
        return new HostSighting(
                record.owner(),
                record.resourceName(),
                record.timestamp(),
                assumedTimeout(record.ioTimeoutSeconds()),
                firstNanos,
                lastCheckNanos,
                lastLiveNanos,
                everChanged,
                true);
    }

    /** An owner that did not say its T gets the larger of ours and the default. */
    private int assumedTimeout(int onDisk) {
        return onDisk != 0 ? onDisk : Math.max(timeouts.ioTimeoutSeconds(), 10);
    }

    /** Whether the lockspace was looked at since we joined. */
    public boolean checked() {
        return checked;
    }

    public Optional<HostSighting> of(long hostId) {
        return Optional.ofNullable(sightings.get(hostId));
    }

    /** By host id; ids never used are left out. */
    public Map<Long, HostSighting> all() {
        return new TreeMap<>(sightings);
    }

    /**
     * Whether a host that marked a resource as shared under this generation may still be alive.
     *
     * @return true in every doubt
     */
    public boolean mayHoldShared(long hostId, long generation) {
        HostSighting sighting = sightings.get(hostId);
        if (sighting == null) {
            return true; // never seen: it may have joined after our last look
        }
        if (!sighting.sound()) {
            return true;
        }
        if (sighting.owner().generation() < generation) {
            return true; // joined after our last look
        }
        if (sighting.timestamp() == 0 || sighting.owner().generation() > generation) {
            return false;
        }
        // Silent until our last look, not until now: while our own renewals hang, nobody else is any the more dead.
        return sighting.lastCheckNanos() - sighting.lastLiveNanos() <= sighting.deadNanos();
    }
}
