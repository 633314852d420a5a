/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.Owner;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A lockspace as one look found it.
 *
 * @param file name in its directory
 * @param name as it stands in the records
 * @param ioTimeoutSeconds T that it was made with
 * @param watchdog how long its hosts give each other after 8 T; empty if its rules cannot be understood
 * @param resourceHosts for how many hosts its resources are made
 * @param hosts host ids that were ever taken, by id
 * @param unreadable host ids whose delta lease is not sound
 */
public record LockspaceInspection(
        String file,
        String name,
        Geometry geometry,
        int ioTimeoutSeconds,
        Optional<Duration> watchdog,
        Optional<Integer> resourceHosts,
        List<HostSlot> hosts,
        Set<Long> unreadable,
        List<Finding> findings) {

    /** The highest host id that was ever taken, as far as can be told; 0 if none. */
    public long highestUsedId() {
        long used =
                hosts.stream().mapToLong(slot -> slot.owner().hostId()).max().orElse(0);
        return Math.max(used, unreadable.stream().mapToLong(id -> id).max().orElse(0));
    }

    /** The slot of a host id that was ever taken and can be read. */
    public Optional<HostSlot> host(long hostId) {
        return hosts.stream().filter(slot -> slot.owner().hostId() == hostId).findFirst();
    }

    /** What the delta leases say about a membership. */
    Holder holder(Owner owner) {
        Optional<HostSlot> slot = host(owner.hostId());
        return new Holder(
                owner, standing(owner, slot), slot.map(HostSlot::hostName).orElse(""));
    }

    private Standing standing(Owner owner, Optional<HostSlot> slot) {
        boolean exists = owner.hostId() >= 1 && owner.hostId() <= geometry.maxHosts();
        if (!exists || unreadable.contains(owner.hostId())) {
            return Standing.UNREADABLE;
        }
        if (slot.isEmpty() || slot.get().isFree()) {
            return Standing.LEFT;
        }
        int newer = Long.compare(slot.get().owner().generation(), owner.generation());
        return newer == 0 ? Standing.MEMBER : newer > 0 ? Standing.REBORN : Standing.AHEAD;
    }

    /** Whether a resource names a generation that its host id has not come to: the lockspace was made anew beside it. */
    boolean madeAfter(Owner owner) {
        boolean tellable =
                owner.hostId() >= 1 && owner.hostId() <= geometry.maxHosts() && !unreadable.contains(owner.hostId());
        return tellable
                && owner.generation()
                        > host(owner.hostId())
                                .map(slot -> slot.owner().generation())
                                .orElse(0L);
    }
}
