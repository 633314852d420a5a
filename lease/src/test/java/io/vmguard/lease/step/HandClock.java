/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.step;

import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;

/** A clock that stands still until it is set, so that a machine writes the timestamps that a test wants. */
public final class HandClock implements LeaseClock {
    private long nanos = Duration.ofSeconds(1000).toNanos();

    /** Both clocks of the host to this second. */
    public HandClock at(long seconds) {
        nanos = Duration.ofSeconds(seconds).toNanos();
        return this;
    }

    public void pass(Duration time) {
        nanos += time.toNanos();
    }

    @Override
    public long monotonicSeconds() {
        return nanos / 1_000_000_000;
    }

    @Override
    public long monotonicNanos() {
        return nanos;
    }

    @Override
    public long bootNanos() {
        return nanos;
    }

    @Override
    public long wallSeconds() {
        throw new AssertionError("no machine asks for the wall clock");
    }
}
