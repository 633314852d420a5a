/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.watchdog.Watchdog;
import java.util.concurrent.CompletableFuture;

/**
 * Tells the watchdog whether leases are in use. As long as that is not known, after a restart, nothing is said: what an earlier agent
 * has armed stays so.
 */
final class Arming {
    private final GuardState state;
    private final Watchdog watchdog;
    private boolean known;
    private boolean armed;
    /** True at first: what an earlier agent left armed may have been lost with it. */
    private boolean sayAgain = true;

    Arming(GuardState state, Watchdog watchdog) {
        this.state = state;
        this.watchdog = watchdog;
        this.armed = true; // for all we know
    }

    /** A start is about to take leases; its answer waits for this one. */
    CompletableFuture<Watchdog.Answer> arm() {
        armed = true;
        return watchdog.arm();
    }

    /** Somebody else has told the watchdog something meanwhile. */
    void sayAgain() {
        sayAgain = true;
    }

    /** After each message: whatever has changed, arms or disarms. */
    void follow() {
        if (state.shut) {
            return;
        }
        known |= state.joined || state.runs.values().stream().anyMatch(run -> run.leasesLost);
        if (!known) {
            return;
        }
        boolean wanted = state.runs.values().stream().anyMatch(Arming::needed)
                || !state.lockspace.carriedOver().isEmpty();
        boolean again = sayAgain;
        sayAgain = false;
        if (wanted && (again || !armed)) {
            CompletableFuture<Watchdog.Answer> ignored = arm(); // it tries again by itself, and says so
        } else if (!wanted && (again || armed)) {
            armed = false;
            watchdog.disarm();
        }
    }

    private static boolean needed(Run run) {
        // What is asked for may be a lease carried over, which is held all the time.
        return run.phase == Phase.ACQUIRING
                || run.holdsAny()
                || run.isBetweenHosts()
                || !run.pending.isEmpty()
                || (run.leasesLost && !run.halted);
    }
}
