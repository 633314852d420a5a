/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * Exclusive leases that go from one live host to another without a gap, as live migration needs it.
 *
 * <pre>
 * receiver   {@link #prepareToReceive}
 * giver      stops using the disk; {@link #handOver}
 * receiver   {@link #confirmReceived}; begins to use the disk       or   {@link #decline}
 * giver                                                             or   {@link #takeBack}
 * </pre>
 *
 * The two sides find each other by words on disk, beside one of the leases:
 *
 * <pre>
 * giver      {@link #tell} OFFERED
 * receiver   {@link #look}: an offer of the owner; prepares; tells PREPARED
 * giver      {@link #look}: to whom to give
 * receiver   tells RUNNING when it begins to use the disk, ENDED when it never will
 * </pre>
 *
 * As in {@link Lockspace}, no method blocks, and no future completes exceptionally.
 */
public interface LeaseTransfer {
    /**
     * Gives an exclusive lease to another live host that has prepared for it, in one step on disk. The user must have stopped using the
     * disk, and may go on only after {@link HandOverResult.Kept} or {@link #takeBack}.
     */
    CompletableFuture<HandOverResult> handOver(LeaseName resource, Owner receiver);

    /**
     * Takes back a lease that was handed over and not confirmed. Succeeds when the receiver has declined, or is gone for certain.
     *
     * @return {@link AcquireResult.HeldBy} the receiver as long as it may hold the lease
     */
    CompletableFuture<AcquireResult> takeBack(LeaseName resource);

    /**
     * What this host has given, without knowing yet that the receiver has it for good; also what an earlier process of this membership
     * had. As long as it is here, it comes back to this host and to nobody else. Whoever finds that its user is gone releases it.
     */
    Set<LeaseName> given();

    /** Prepares to be given a lease by its owner. Must have ended before the giver hands over. */
    CompletableFuture<ReceiveResult> prepareToReceive(LeaseName resource, LeaseNote user, Owner giver);

    /**
     * Finds out whether the lease has been given, and makes it ours for good.
     *
     * @param patience how long the giver is waited for
     */
    CompletableFuture<ReceiveResult> confirmReceived(LeaseName resource, Duration patience);

    /**
     * What this host has prepared for and not confirmed, with its user and its giver; also what an earlier process of this membership had.
     * Whoever finds that the user is gone declines it.
     */
    Map<LeaseName, LeaseUse> receiving();

    /** Wants it no more: what was given already goes back to the giver. */
    CompletableFuture<ReleaseResult> decline(LeaseName resource);

    /** Reads the leader and both words. Reads three sectors and writes none. */
    CompletableFuture<TransferResult> look(LeaseName resource);

    /**
     * Leaves our word for the other side, in the place of the state's side; then as {@link #look}. Nothing is refused here: who has not
     * prepared must not say so.
     */
    CompletableFuture<TransferResult> tell(LeaseName resource, long attempt, TransferWord.State state);
}
