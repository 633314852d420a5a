/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.fence.FenceTimes;
import java.time.Duration;

/**
 * What the guard is told.
 *
 * @param observe refuse and kill nothing, only say so
 * @param onUnprotected what happens to a domain found running whose disk is leased by somebody else
 * @param guardedSinceNanos boot clock: domains that began to run before did so when nobody guarded this host yet
 * @param allowIgnore domains that say so run on without their leases
 * @param liveMigration domains may come from other hosts, and their leases go with them
 * @param allowUnguardedMigration domains may come from and go to hosts that hold no leases for them
 * @param answerLimit how long a start may wait for its answer
 * @param times by when the users of lost leases are stopped
 * @param nodeName this host, as people know it
 */
public record GuardSettings(
        boolean observe,
        OnUnprotected onUnprotected,
        long guardedSinceNanos,
        boolean allowIgnore,
        boolean liveMigration,
        boolean allowUnguardedMigration,
        Duration answerLimit,
        FenceTimes times,
        String nodeName) {

    /** What happens to a domain that runs although somebody else holds one of its leases. */
    public enum OnUnprotected {
        /** As {@link #PAUSE}, but as {@link #REPORT} for one that began to run when nobody guarded this host yet. */
        AUTO,
        /** It is reported. */
        REPORT,
        /** It is reported, and paused each time it is found running. */
        PAUSE,
        /** It is reported and destroyed. */
        DESTROY
    }
}
