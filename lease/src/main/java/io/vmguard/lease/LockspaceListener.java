/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.Map;

/** Told of each transition of a membership, on engine threads: implementations only note it and return. */
public interface LockspaceListener {
    /** @param resumed true if this process continues the membership of its predecessor, leases included */
    void joined(Owner owner, boolean resumed);

    /** Cannot join for now; said once per reason. The engine keeps trying. */
    void joinFailed(LeaseFault fault, String why);

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
    void previousLifeLost(Map<LeaseName, LeaseNote> users);
}
