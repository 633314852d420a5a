/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import io.vmguard.lease.Renewal;
import java.time.Duration;
import java.util.Optional;

/**
 * Something that resets this machine unless it hears from us: a watchdog device, or a daemon that keeps one. One thread uses it, the
 * watchdog's; nothing but that thread may wait for a call of it.
 */
public interface ResetTimer {

    /** What came of a call. */
    sealed interface Result {
        /** Done. */
        record Done() implements Result {}

        /** Not done, or not known to be; a sentence without a full stop. */
        record Failed(String why) implements Result {}
    }

    /** As configured and as people know it: {@code wdmd}, {@code /dev/watchdog0}. */
    String name();

    /** Why it could not be armed now, as far as can be told without arming it. Empty: it looks usable. */
    Optional<String> problem();

    /** Whether an earlier agent has left it armed to us, so that it runs already. */
    boolean inherited();

    /** Checks all that must be right, arms it and feeds it. If it fails, nothing stays armed that was not. */
    Result arm(Renewal renewal);

    /**
     * Leases are in time: the machine must go on, and be reset one watchdog timeout after the renewal's deadline at the latest.
     *
     * @param renewal the last one; the same one again and again, or a newer one
     */
    Result feed(Renewal renewal);

    /** How often {@link #feed} wants to be called, beside once for each renewal. */
    Duration interval();

    /** From a {@link #feed} that was the last to the reset. */
    Duration timeout();

    /**
     * It is not fed any more; called again and again until it is, or is disarmed. Makes sure that the reset comes one watchdog timeout
     * after the renewal's deadline at the latest, whatever a late feeding, a suspended machine or the end of this process does to it.
     */
    Result letExpire(Renewal last);

    /**
     * This process goes, and leases stay: gives the next one as much time as the renewal allows, and none that it would not have had
     * after {@link #letExpire}.
     */
    Result leaveArmed(Renewal last);

    /** No lease is held: this machine must not be reset. If it cannot be disarmed it is kept alive, and the caller tries again. */
    Result disarm();
}
