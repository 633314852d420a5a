/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a lockspace looked like a moment ago.
 *
 * @param where directory of the lockspace
 * @param owner our host id and generation while we are a member
 * @param hostName our name on disk
 * @param renewedAgo since the start of our last successful renewal
 * @param lostIn until the membership is lost unless a renewal succeeds
 * @param detail one sentence on why it is not as it should be; empty if it is
 * @param held resources whose users may be running
 * @param undetermined resources whose acquire or release is not known to have ended
 */
public record LockspaceView(
        LeaseName name,
        String where,
        State state,
        Optional<Owner> owner,
        String hostName,
        Timeouts timeouts,
        Optional<Duration> renewedAgo,
        Optional<Duration> lostIn,
        String detail,
        List<HostView> hosts,
        Map<LeaseName, LeaseUse> held,
        List<LeaseName> undetermined) {

    /** Where a membership stands. */
    public enum State {
        /** Opening, looking for a host id, or waiting for it to settle. */
        JOINING,
        /** Leases can be taken and are in time. */
        MEMBER,
        /** Lost: users are being stopped; nothing is renewed under it any more. */
        LOST,
        /** Closed. */
        LEFT
    }
}
