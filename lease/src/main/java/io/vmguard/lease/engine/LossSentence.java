/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.ondisk.LeaseLayout;

/** Why a membership ended at a renewal, for people: where, which host, what was found there, and what to do about it. */
final class LossSentence {
    private LossSentence() {}

    /** @param path of the lockspace */
    static String of(String path, LeaseLayout layout, Owner me, DeltaRenewal.Result.Lost lost) {
        return path + " at offset " + layout.deltaOffset(me.hostId()) + ", delta lease of host id " + me.hostId() + ": "
                + lost.why() + " (" + lost.fault().code() + "). " + remedy(lost.fault());
    }

    private static String remedy(LeaseFault fault) {
        return switch (fault) {
            case RENEW_OWNER ->
                "Another machine has taken the host id of this one: look for a clone of it, and for host_id set twice";
            case RENEW_DIFF ->
                "The record is not as this host left it: find out who else writes to the lease directory, or whether its storage "
                        + "carries out old writes";
            case TIMED_OUT -> "Check the path to the storage";
            default ->
                "The record was overwritten: check the storage, and who else writes to the lease directory. This host joins "
                        + "again by itself";
        };
    }
}
