/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.Map;

/** Told of each transition of a membership, on engine threads: implementations only note it and return. */
public interface LockspaceListener {
    /** @param resumed true if this process continues the membership of its predecessor, leases included */
    void joined(Owner owner, boolean resumed);

    /**
     * This host's own record of what it holds was missing or damaged, and was made anew of what is on disk.
     *
     * @param file the record
     * @param leases how many there are
     */
    default void recordRebuilt(String file, int leases) {}

    /** Cannot join for now; said once per reason. The engine keeps trying. */
    void joinFailed(LeaseFault fault, String why);

    /**
     * A renewal reached the disk, the one that ends a join included. Called on the thread that renews, which the next renewal waits
     * for: nothing here may block. Comes before {@link #joined} for the first one of a membership.
     */
    default void renewed(Renewal renewal) {}

    /** Another host came, went silent, died, left or came back. */
    default void hostChanged(HostView host) {}

    /** Another host asks us to give up a lease that we hold. What comes of it is the user's policy. */
    default void requested(LeaseName resource, RequestMode mode) {}

    /** Renewals are late: said once. */
    void renewalLate(String why);

    /** And in time again. */
    void renewalRecovered();

    /** The membership and every lease under it is lost. All users must be stopped now; then {@link Lockspace#usersGone}. */
    void lost(LeaseFault fault, String why);

    /**
     * A previous process of this boot died with leases held and too long ago to continue. The users named must be proved gone before
     * a new membership may begin; then {@link Lockspace#usersGone}.
     */
    void previousLifeLost(Map<LeaseName, LeaseUse> users);
}
