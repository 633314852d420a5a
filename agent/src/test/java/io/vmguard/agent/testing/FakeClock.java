/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Time that passes when it is told to, and by a nanosecond whenever it is read. Any thread. */
public final class FakeClock implements LeaseClock {
    /** Wall clock of its beginning: 2026-01-01T00:00:00Z. */
    public static final long WALL_SECONDS = 1_767_225_600L;

    private static final long BEGIN_NANOS = Duration.ofHours(1).toNanos();
    private final AtomicLong nanos = new AtomicLong(BEGIN_NANOS);

    /** Lets time pass on all clocks. */
    public void advance(Duration duration) {
        nanos.addAndGet(duration.toNanos());
    }

    @Override
    public long monotonicSeconds() {
        return Duration.ofNanos(nanos.get()).toSeconds();
    }

    @Override
    public long monotonicNanos() {
        return nanos.get();
    }

    @Override
    public long bootNanos() {
        return nanos.incrementAndGet();
    }

    @Override
    public long wallSeconds() {
        return WALL_SECONDS + Duration.ofNanos(nanos.get() - BEGIN_NANOS).toSeconds();
    }
}
