/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.util.List;
import java.util.Optional;

/**
 * A resource as one look found it.
 *
 * @param file name in its directory
 * @param bytes size of the file
 * @param modifiedEpochSeconds last write by any host, on the clock of the file system
 * @param leader empty if there is no sound one
 * @param owner whom the leader names, holding or not; empty if nobody ever had it
 * @param sharers hosts with a mark of sharing it, also those whose marks count no more
 * @param note who uses it, if somebody does and said so
 * @param untouched nobody ever had it or tried to: as made, and every disk block that was looked at is empty
 * @param request the latest one; empty if there never was one or it was not looked at
 * @param findings what is wrong with it
 */
public record ResourceInspection(
        String file,
        long bytes,
        long modifiedEpochSeconds,
        State state,
        Optional<Leader> leader,
        Optional<Holder> owner,
        List<Holder> sharers,
        Optional<LeaseNote> note,
        boolean untouched,
        Optional<Request> request,
        List<Finding> findings) {

    /** What its records say; whether a holder lives is another matter. */
    public enum State {
        /** Nobody's. */
        FREE,
        /** Its owner's alone. */
        EXCLUSIVE,
        /** Several hosts' at once. */
        SHARED,
        /** Deliberately removed; nobody can take it. */
        CLEARED,
        /** No sound lease; the findings say why. */
        CORRUPT,
        /** It could not be opened or read, so nothing is known of it; the finding says why. */
        UNREADABLE,
        /** Not a lease at all. */
        FOREIGN
    }

    /**
     * The leader record.
     *
     * @param lver lease version: grows with each acquire
     * @param writer who wrote this record
     * @param writtenAt monotonic seconds of the writer
     * @param acquiredAt monotonic seconds of the owner; 0 = free
     * @param shortHold an acquire in shared mode is under way
     * @param numHosts disk blocks that take part in ballots
     */
    public record Leader(
            String lockspace,
            String resource,
            Geometry geometry,
            long lver,
            Owner writer,
            long writtenAt,
            long acquiredAt,
            boolean shortHold,
            long numHosts) {}

    /**
     * Somebody asked for the lease.
     *
     * @param lver of the lease that is asked for
     * @param forceMode 1: kill the holder, 2: stop it gracefully
     */
    public record Request(long lver, long forceMode) {}

    /** Whether an acquire that begins now can succeed without waiting for anybody, as far as the disk tells. */
    public boolean takeable() {
        boolean ownerGone = owner.map(holder -> holder.standing().gone()).orElse(false);
        return findings.isEmpty() && (state == State.FREE || state == State.EXCLUSIVE && ownerGone);
    }
}
