/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import java.time.Instant;

/** Wall-clock moments as hosts wrote them, which may be any number. */
public final class WallTime {
    private static final long LAST = 253_402_300_799L; // of the year 9999

    private WallTime() {}

    /** {@code 2026-11-22T16:31:50Z}; the bare number if it is no moment of this era. */
    public static String text(long epochSeconds) {
        boolean sane = epochSeconds >= 0 && epochSeconds <= LAST;
        return sane ? Instant.ofEpochSecond(epochSeconds).toString() : Long.toString(epochSeconds);
    }
}
