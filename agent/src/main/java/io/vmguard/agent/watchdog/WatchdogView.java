/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import java.time.Duration;
import java.util.Optional;

/**
 * How the watchdog was a moment ago.
 *
 * @param kind what it is or, while none is armed, what will be tried in this order: {@code wdmd}, {@code /dev/watchdog0}, {@code none}
 * @param timeout from the last feeding to the reset; known while it is armed
 * @param lastFedAgo known while it is armed and this process has fed it
 * @param detail one sentence on why it is not as it should be; empty if it is
 */
public record WatchdogView(
        String kind, State state, Optional<Duration> timeout, Optional<Duration> lastFedAgo, String detail) {

    /** Where it stands. */
    public enum State {
        /** There is none: nothing resets this machine. */
        NONE,
        /** No lease is held. */
        DISARMED,
        /** Leases are held and in time. */
        ARMED,
        /** Leases are lost: it is not fed any more. */
        EXPIRING,
        /** Leases are held, and it could not be armed. */
        FAILED
    }

    /** No watchdog, as configured. */
    public static final WatchdogView NONE =
            new WatchdogView("none", State.NONE, Optional.empty(), Optional.empty(), "");
}
