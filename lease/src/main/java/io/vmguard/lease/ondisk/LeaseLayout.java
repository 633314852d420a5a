/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.TransferWord;
import java.util.List;
import java.util.Optional;

/**
 * Geometry of a lease area; the only place that turns host ids into offsets.
 *
 * <pre>
 * lockspace   sector N-1   delta lease of host id N         (N = 1..maxHosts)
 *             last sector  our note on the lockspace
 * resource    sector 0     leader record
 *             sector 1     request record
 *             sector 1+N   disk block and mode block of host id N
 *             last but two, last but one    our words of a hand-over: the giver's, the receiver's
 *             last sector  our note on the holder
 * </pre>
 *
 * @param sectorBytes unit of atomic writes, 512 or 4096
 * @param areaBytes size of one lease area
 * @param maxHosts highest host id, and the step of ballot numbers
 * @param flag the align flag of leader records
 */
public record LeaseLayout(int sectorBytes, int areaBytes, int maxHosts, int flag) {
    private static final int MIB = 1 << 20;

    /** What stock libvirt makes in a directory, and the only one used there. */
    public static final LeaseLayout SECTOR_512 = new LeaseLayout(512, MIB, 2000, 0x10);

    private static final List<LeaseLayout> ALL = List.of(
            SECTOR_512,
            new LeaseLayout(4096, MIB, 250, 0x10),
            new LeaseLayout(4096, 2 * MIB, 500, 0x20),
            new LeaseLayout(4096, 4 * MIB, 1000, 0x40),
            new LeaseLayout(4096, 8 * MIB, 2000, 0x80));

    /** Bits of a leader's flags that say how large its area is. */
    public static final int ALIGN_FLAGS = 0xF0;

    /** All geometries of the format. */
    public static List<LeaseLayout> all() {
        return ALL;
    }

    /** The geometry that a leader record names; empty if it is none of the format's. */
    public static Optional<LeaseLayout> of(int sectorBytes, int flags) {
        return ALL.stream()
                .filter(layout -> layout.isNamedBy(sectorBytes, flags))
                .findFirst();
    }

    /** Whether a leader record names this geometry. Before minor version 4 the area size was implied. */
    boolean isNamedBy(int sectorBytes, int flags) {
        int align = flags & ALIGN_FLAGS;
        return this.sectorBytes == sectorBytes && (align == flag || (align == 0 && maxHosts == 2000));
    }

    public long deltaOffset(long hostId) {
        return (checked(hostId) - 1) * sectorBytes;
    }

    public long leaderOffset() {
        return 0;
    }

    public long requestOffset() {
        return sectorBytes;
    }

    public long diskBlockOffset(long hostId) {
        return (checked(hostId) + 1) * sectorBytes;
    }

    /** The last sector of an area: beyond every delta lease, disk block and lock value block, never written by sanlock. */
    public long noteOffset() {
        return (long) areaBytes - sectorBytes;
    }

    /** Where one side of a hand-over leaves its word: before {@link #noteOffset}, and as little sanlock's. */
    public long wordOffset(TransferWord.Side side) {
        return noteOffset() - (side == TransferWord.Side.GIVER ? 2L : 1L) * sectorBytes;
    }

    /** Bytes that a ballot reads: the smallest power of two of sectors that covers leader, request and all disk blocks. */
    public int ballotBytes(long numHosts) {
        int sectors = Integer.highestOneBit((int) checked(numHosts) + 1) << 1;
        return Math.min(sectors * sectorBytes, areaBytes);
    }

    private long checked(long hostId) {
        if (hostId < 1 || hostId > maxHosts) {
            throw new IllegalArgumentException("host id " + hostId + " is not in 1.." + maxHosts);
        }
        return hostId;
    }
}
