/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * A word of one side of a hand-over, in one of the two sectors before {@link NoteSector}'s, which sanlock never reads for meaning.
 *
 * <pre>
 *   0 four zero bytes, so that no tool of sanlock's takes the sector for a record
 *   4 magic "VGT1"
 *   8 host id             16 generation    of the host that wrote it
 *  24 attempt
 *  32 state (u32)
 *  40 lver, of the leader when it was written
 *     zeroes
 * 508 CRC-32C of 0..507
 * </pre>
 *
 * The first 512 bytes only, whatever the sector size.
 */
public final class TransferSector {
    /** Bytes at the beginning that are read back by {@link #decode}. */
    public static final int BYTES = 512;

    private static final int MAGIC_OFFSET = 4;
    private static final int MAGIC = 0x31544756; // "VGT1"
    private static final int CHECKSUM = BYTES - 4;

    private TransferSector() {}

    /** A whole sector. */
    public static byte[] encode(LeaseLayout layout, TransferWord word) {
        ByteBuffer out = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(MAGIC_OFFSET, MAGIC);
        out.putLong(8, word.from().hostId()).putLong(16, word.from().generation());
        out.putLong(24, word.attempt());
        out.putInt(32, word.state().number());
        out.putLong(40, word.lver());
        out.putInt(CHECKSUM, checksum(out.array()));
        return Arrays.copyOf(out.array(), layout.sectorBytes());
    }

    /** The word in a sector, if there is a sound one of that side. */
    public static Optional<TransferWord> decode(byte[] area, int offset, TransferWord.Side side) {
        byte[] sector = Arrays.copyOfRange(area, offset, offset + BYTES);
        ByteBuffer in = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        if (in.getInt(0) != 0 || in.getInt(MAGIC_OFFSET) != MAGIC || in.getInt(CHECKSUM) != checksum(sector)) {
            return Optional.empty();
        }
        int number = in.getInt(32);
        return Arrays.stream(TransferWord.State.values())
                .filter(state -> state.number() == number && state.side() == side)
                .map(state -> new TransferWord(
                        new Owner(in.getLong(8), in.getLong(16)), in.getLong(24), in.getLong(40), state))
                .findFirst();
    }

    private static int checksum(byte[] sector) {
        CRC32C crc = new CRC32C();
        crc.update(sector, 0, CHECKSUM);
        return (int) crc.getValue();
    }
}
