/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;

/**
 * Every delay of the protocol, derived from the I/O timeout T of a host and the time W that is left for its watchdog. All are counted
 * from the start of its last successful renewal, except {@link #hostDead}, which others count from their own sighting.
 *
 * @param ioTimeout T, 1 to 255 whole seconds
 * @param watchdog W, 10 to 60 whole seconds. It stands nowhere in the format, so all hosts of a lockspace must mean the same
 */
public record Timeouts(Duration ioTimeout, Duration watchdog) {
    /** What every host without word of another profile is given, 60 s: the rule of sanlock's format. */
    public static final Duration STOCK_WATCHDOG = Duration.ofSeconds(60);

    /** Less leaves no time to stop anything. */
    public static final Duration SHORTEST_WATCHDOG = Duration.ofSeconds(10);

    /** It goes to disk in one byte. */
    private static final long MAX_SECONDS = 255;

    public Timeouts {
        if (!isWholeSeconds(ioTimeout, 1, MAX_SECONDS)) {
            throw new IllegalArgumentException("io_timeout is 1 to 255 whole seconds, not " + ioTimeout);
        }
        if (!isWholeSeconds(watchdog, SHORTEST_WATCHDOG.toSeconds(), STOCK_WATCHDOG.toSeconds())) {
            throw new IllegalArgumentException("watchdog_timeout is 10 to 60 whole seconds, not " + watchdog);
        }
    }

    private static boolean isWholeSeconds(Duration value, long least, long most) {
        return value.getNano() == 0 && value.toSeconds() >= least && value.toSeconds() <= most;
    }

    /** Those of a host with the stock watchdog. */
    public static Timeouts ofSeconds(long ioTimeoutSeconds) {
        return new Timeouts(Duration.ofSeconds(ioTimeoutSeconds), STOCK_WATCHDOG);
    }

    /** T in seconds, as it goes to disk. */
    public int ioTimeoutSeconds() {
        return (int) ioTimeout.toSeconds();
    }

    /** From one renewal to the next: 2 T. */
    public Duration renewalInterval() {
        return times(2);
    }

    /** When a missing renewal is worth a warning: 4 T, so that as long again is left to do something about it. */
    public Duration renewalWarning() {
        return times(4);
    }

    /** For how long after an occasion a host tells others that it has something for them: 6 T. */
    public Duration attention() {
        return times(6);
    }

    /** When the membership is lost and its users are stopped: 8 T. */
    public Duration renewalFailed() {
        return times(8);
    }

    /** In whole seconds: a duration's own multiplication goes through decimals, and deadlines are asked for all the time. */
    private Duration times(long factor) {
        return Duration.ofSeconds(factor * ioTimeout.toSeconds());
    }

    /** When all users must be stopped, come what may: 8 T + W. Others may take our leases only after it. */
    public Duration hostDead() {
        return renewalFailed().plus(watchdog);
    }

    /**
     * Silence from which on this host is dead for others: {@link #hostDead} in whole seconds and one more, for "dead" wants strictly
     * more than 8 T + W counted in whole seconds.
     */
    public long deadNanos() {
        return hostDead().plusSeconds(1).toNanos();
    }
}
