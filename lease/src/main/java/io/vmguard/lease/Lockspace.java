/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * One host's membership in one lockspace: what callers can ask of the lease engine.
 *
 * <p>No method blocks. Futures complete on engine threads; what hangs off them must be short. A caller that needs a limit puts it on
 * the future; a lease that is acquired after its caller gave up (by cancelling) is released again by the engine.
 */
public interface Lockspace extends AutoCloseable {

    /** Begins to join, and keeps at it until it succeeds or {@link #close} is called. */
    void join();

    /** A snapshot for people and for decisions on joining; cheap. */
    LockspaceView view();

    /** Whether our leases are in time at this instant. False from {@link Timeouts#renewalFailed} on, whatever else happens. */
    boolean member();

    /**
     * Takes a resource.
     *
     * <p>A resource that is carried over from before a restart still has its user, so it goes only to a caller with the very note
     * that it is held with, as {@link LockspaceView#held} gives it; everybody else is told that it is held. Several users of this host
     * share one shared hold.
     *
     * @param user who wants it; shown to others that are refused
     * @param patience how long a holder is waited for; zero: an answer at once
     * @return completes with {@link AcquireResult}; never exceptionally. Cancelling it ends the wait, and gives back what is won
     */
    CompletableFuture<AcquireResult> acquire(LeaseName resource, LeaseNote user, LeaseMode mode, Duration patience);

    /** Takes a resource exclusively; it is not waited for a holder. */
    default CompletableFuture<AcquireResult> acquire(LeaseName resource, LeaseNote user) {
        return acquire(resource, user, LeaseMode.EXCLUSIVE, Duration.ZERO);
    }

    /**
     * Changes how a resource is held. Whatever comes of it, it is held at least shared all the time, and at least as it was held before
     * unless the answer says that it has changed.
     *
     * @param user its only user on this host
     */
    CompletableFuture<AcquireResult> convert(LeaseName resource, LeaseNote user, LeaseMode mode);

    /**
     * Gives a resource back. Only for a lease whose user is proved gone. If storage does not answer, the engine keeps trying for as
     * long as the membership lasts.
     */
    CompletableFuture<ReleaseResult> release(LeaseName resource);

    /** The same for one user of a shared hold; the last one gives it back. */
    CompletableFuture<ReleaseResult> release(LeaseName resource, LeaseNote user);

    /** Resources that this membership holds from before a restart of the process and that nobody has claimed by {@link #acquire}. */
    Set<LeaseName> carriedOver();

    /** After a loss: all users of the lost leases are proved gone, so a new membership may begin. */
    void usersGone();

    /**
     * Ends the membership as well as it can be ended: with no lease held the host id is freed; with leases held it is left to
     * expire, so that nobody takes them before the users can be dead.
     */
    @Override
    void close();
}
