/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostName;
import java.time.Duration;

/**
 * What this host has seen of one host id. All moments are on the observer's own boot clock.
 *
 * @param owner as last seen in a sound record
 * @param name host name, as last seen
 * @param timestamp as last seen; 0 = free
 * @param ioTimeoutSeconds the host's own T; 10 or ours, whichever is more, if it never said
 * @param firstCheckNanos first look at this slot
 * @param lastCheckNanos latest look
 * @param lastLiveNanos latest look that found a change
 * @param everChanged whether a change was ever seen, as opposed to the first sight
 * @param sound whether the record was sound at the latest look
 */
public record HostSighting(
        Owner owner,
        String name,
        long timestamp,
        int ioTimeoutSeconds,
        long firstCheckNanos,
        long lastCheckNanos,
        long lastLiveNanos,
        boolean everChanged,
        boolean sound) {

    /** Status for people. Unsound records are never free or dead: they might be anybody's. */
    public HostStatus status(long nowNanos) {
        if (!sound) {
            return HostStatus.UNKNOWN;
        }
        if (timestamp == 0) {
            return HostStatus.FREE;
        }
        long silentNanos = nowNanos - lastLiveNanos;
        if (silentNanos <= timeouts().renewalFailed().toNanos()) {
            return everChanged ? HostStatus.LIVE : HostStatus.UNKNOWN;
        }
        return silentNanos > deadNanos() ? HostStatus.DEAD : HostStatus.FAIL;
    }

    /** From now until this host counts as dead if it stays silent; zero if it does already. */
    public Duration deadIn(long nowNanos) {
        return Duration.ofNanos(Math.max(0, lastLiveNanos + deadNanos() - nowNanos));
    }

    public Duration silentFor(long nowNanos) {
        return Duration.ofNanos(Math.max(0, nowNanos - lastLiveNanos));
    }

    /** Silence from which on this host is dead for us. */
    public long deadNanos() {
        return timeouts().deadNanos();
    }

    /** The delays that this host lives by, as its record says. */
    public Timeouts timeouts() {
        return new Timeouts(Duration.ofSeconds(ioTimeoutSeconds), HostName.watchdog(name));
    }
}
