/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;
import java.util.Optional;
import java.util.function.Function;

/** How an acquire ended: yes, no, or cannot tell. */
public sealed interface AcquireResult {

    /** The lease is ours and durable on disk. */
    record Acquired(HeldLease lease) implements AcquireResult {}

    /**
     * Somebody holds it.
     *
     * @param hostName as in the holder's delta lease; empty if unknown
     * @param status of the holder
     * @param silentFor since its last renewal was seen
     * @param freeIn the earliest moment from now at which it can become free without its holder's doing; empty while the holder is
     *     alive or already expired
     * @param note who uses it, if the holder is a vmguard host
     * @param shared held in shared mode
     */
    record HeldBy(
            Owner owner,
            String hostName,
            HostStatus status,
            Optional<Duration> silentFor,
            Optional<Duration> freeIn,
            Optional<LeaseNote> note,
            boolean shared)
            implements AcquireResult {}

    /**
     * Neither yes nor no. The caller must not use the disk.
     *
     * @param undetermined our ballot may yet have won: the engine keeps acquiring and releasing until it knows
     */
    record CannotTell(LeaseFault fault, String why, boolean undetermined) implements AcquireResult {}

    default <T> T fold(Function<Acquired, T> yes, Function<HeldBy, T> no, Function<CannotTell, T> cannotTell) {
        if (this instanceof Acquired a) {
            return yes.apply(a);
        }
        if (this instanceof HeldBy h) {
            return no.apply(h);
        }
        return cannotTell.apply((CannotTell) this);
    }
}
