/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.Memory;
import io.vmguard.lease.time.LeaseClock;
import io.vmguard.lease.time.WrapsThePlatform;

/** {@code clock_gettime(2)}. Answers from user space; cannot hang. */
@WrapsThePlatform
public final class LinuxClock implements LeaseClock {
    private static final long NANOS = 1_000_000_000L;

    private final ThreadLocal<Memory> timespec = ThreadLocal.withInitial(() -> new Memory(16));

    @Override
    public long monotonicSeconds() {
        return Math.max(1, read(Libc.CLOCK_MONOTONIC) / NANOS);
    }

    @Override
    public long bootNanos() {
        return read(Libc.CLOCK_BOOTTIME);
    }

    @Override
    public long monotonicNanos() {
        return read(Libc.CLOCK_MONOTONIC);
    }

    @Override
    public long wallSeconds() {
        return System.currentTimeMillis() / 1000;
    }

    private long read(int clock) {
        Memory memory = timespec.get();
        Libc.clock_gettime(clock, memory);
        return memory.getLong(0) * NANOS + memory.getLong(8);
    }
}
