/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Timeouts;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * What all vmguard hosts of a lockspace have agreed on, in the last sector of the lockspace area, which sanlock never touches.
 *
 * <pre>
 *   0 four zero bytes, so that no tool of sanlock's takes the sector for a record
 *   4 magic "VGL1"
 *   8 watchdog seconds (u32)
 *  12 max hosts (u32)
 *  16 areas for resources behind the lockspace, on a device (u32); 0 in a directory
 *     zeroes
 * 508 CRC-32C of 0..507
 * </pre>
 *
 * It is written when vmguard makes the lockspace and never again. A lockspace that sanlock made has zeroes there: then the stock
 * rules hold.
 *
 * @param watchdog how long after 8 T a silent host may still have users running
 * @param maxHosts for how many hosts new resources are made, and so the highest host id in use
 * @param areas how many areas for resources follow on the device that the lockspace was made on; 0 in a directory
 */
public record LockspaceRules(Duration watchdog, int maxHosts, int areas) {
    /** Enough for nearly everybody, and a ballot reads 128 KiB instead of 1 MiB. */
    public static final int USUAL_MAX_HOSTS = 254;

    private static final int BYTES = 512;
    private static final int MAGIC_OFFSET = 4;
    private static final int MAGIC = 0x314C4756; // "VGL1"
    private static final int CHECKSUM = BYTES - 4;

    /** Those of a lockspace in a directory, where areas are made as they are needed. */
    public LockspaceRules(Duration watchdog, int maxHosts) {
        this(watchdog, maxHosts, 0);
    }

    /** Those of a lockspace that sanlock made. */
    public static LockspaceRules stock(LeaseLayout layout) {
        return new LockspaceRules(Timeouts.STOCK_WATCHDOG, layout.maxHosts());
    }

    /** A whole sector. */
    public byte[] sector(LeaseLayout layout) {
        ByteBuffer out = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(MAGIC_OFFSET, MAGIC);
        out.putInt(8, (int) watchdog.toSeconds()).putInt(12, maxHosts).putInt(16, areas);
        out.putInt(CHECKSUM, checksum(out.array()));
        return Arrays.copyOf(out.array(), layout.sectorBytes());
    }

    /** @return the stock rules where nothing was ever written; corrupt if what is there cannot be understood */
    public static Decoded<LockspaceRules> decode(byte[] area, LeaseLayout layout) {
        int offset = (int) layout.noteOffset();
        return decodeSector(Arrays.copyOfRange(area, offset, offset + BYTES), layout);
    }

    /** The same of that sector alone. */
    public static Decoded<LockspaceRules> decodeSector(byte[] lastSector, LeaseLayout layout) {
        long offset = layout.noteOffset();
        byte[] sector = Arrays.copyOf(lastSector, BYTES);
        if (Arrays.equals(sector, new byte[BYTES])) {
            return new Decoded.Valid<>(stock(layout));
        }
        ByteBuffer in = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        if (in.getInt(0) != 0 || in.getInt(MAGIC_OFFSET) != MAGIC) {
            return new Decoded.Corrupt<>(
                    LeaseFault.VERSION,
                    "its last sector, at offset " + offset + ", holds rules that this version does not know");
        }
        if (in.getInt(CHECKSUM) != checksum(sector)) {
            return new Decoded.Corrupt<>(
                    LeaseFault.CHECKSUM,
                    "the rules in its last sector, at offset " + offset + ", have a wrong checksum");
        }
        long watchdog = in.getInt(8);
        int maxHosts = in.getInt(12);
        int areas = in.getInt(16);
        if (watchdog < Timeouts.SHORTEST_WATCHDOG.toSeconds()
                || watchdog > Timeouts.STOCK_WATCHDOG.toSeconds()
                || maxHosts < 1
                || maxHosts > layout.maxHosts()
                || areas < 0) {
            return new Decoded.Corrupt<>(
                    LeaseFault.VERSION,
                    "the rules in its last sector say watchdog " + watchdog + " s, " + maxHosts + " hosts, " + areas
                            + " areas");
        }
        return new Decoded.Valid<>(new LockspaceRules(Duration.ofSeconds(watchdog), maxHosts, areas));
    }

    private static int checksum(byte[] sector) {
        CRC32C crc = new CRC32C();
        crc.update(sector, 0, CHECKSUM);
        return (int) crc.getValue();
    }
}
