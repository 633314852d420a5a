/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;

/**
 * Every delay of the protocol, derived from the I/O timeout T and the watchdog constant. All are counted from the start of the
 * last successful renewal, except {@link #hostDead}, which others count from their own sighting.
 *
 * @param ioTimeout T, 1 to 255 whole seconds
 */
public record Timeouts(Duration ioTimeout) {
    /**
     * The time that every member of a lockspace leaves a silent host for its watchdog, 60 s. It is part of the format's rules and
     * stands nowhere on disk, so it is no setting.
     */
    public static final Duration WATCHDOG = Duration.ofSeconds(60);

    /** It goes to disk in one byte. */
    private static final long MAX_SECONDS = 255;

    public Timeouts {
        long seconds = ioTimeout.toSeconds();
        if (seconds < 1 || seconds > MAX_SECONDS || !ioTimeout.equals(Duration.ofSeconds(seconds))) {
            throw new IllegalArgumentException("io_timeout is 1 to 255 whole seconds, not " + ioTimeout);
        }
    }

    public static Timeouts ofSeconds(long ioTimeoutSeconds) {
        return new Timeouts(Duration.ofSeconds(ioTimeoutSeconds));
    }

    /** T in seconds, as it goes to disk. */
    public int ioTimeoutSeconds() {
        return (int) ioTimeout.toSeconds();
    }

    /** From one renewal to the next: 2 T. */
    public Duration renewalInterval() {
        return ioTimeout.multipliedBy(2);
    }

    /** When a missing renewal is worth a warning: 4 T, so that as long again is left to do something about it. */
    public Duration renewalWarning() {
        return ioTimeout.multipliedBy(4);
    }

    /** When the membership is lost and its users are stopped: 8 T. */
    public Duration renewalFailed() {
        return ioTimeout.multipliedBy(8);
    }

    /** When all users must be stopped, come what may: 8 T + 60 s. Others may take our leases only after it. */
    public Duration hostDead() {
        return renewalFailed().plus(WATCHDOG);
    }

    /**
     * {@link #hostDead} in whole seconds, one more than the sum: "dead" wants strictly more than 8 t + 60 s counted in whole seconds.
     *
     * @param ioTimeoutSeconds the other host's T, as it stands in its delta lease
     */
    public static long deadNanos(int ioTimeoutSeconds) {
        return ofSeconds(ioTimeoutSeconds).hostDead().plusSeconds(1).toNanos();
    }
}
