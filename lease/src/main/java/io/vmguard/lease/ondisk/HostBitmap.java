/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import java.util.Set;

/**
 * Bytes 256..511 of a delta lease's sector: one bit per host id, by which a host says that it has something for that host. Not covered
 * by a checksum.
 */
public final class HostBitmap {
    private static final int OFFSET = 256;

    private HostBitmap() {}

    /** Sets the bits of these hosts in a sector. */
    public static void mark(byte[] sector, Set<Long> hostIds) {
        for (long id : hostIds) {
            sector[OFFSET + (int) (id - 1) / 8] |= (byte) (1 << (id - 1) % 8);
        }
    }

    /** @param offset of the delta lease */
    public static boolean isMarked(byte[] area, int offset, long hostId) {
        return (area[offset + OFFSET + (int) (hostId - 1) / 8] & 1 << (hostId - 1) % 8) != 0;
    }
}
