/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * Our note on the holder, in the last sector of a resource area, which sanlock never reads for meaning.
 *
 * <pre>
 *   0 four zero bytes, so that no tool of sanlock's takes the sector for a record
 *   4 magic "VGN1"
 *   8 owner id            16 owner generation    24 lver      of the hold that the note belongs to
 *  32 since, epoch seconds
 *  40 texts, each: length (u16), UTF-8             domain name, domain UUID, disk, host name
 *     zeroes
 * 508 CRC-32C of 0..507
 * </pre>
 *
 * The first 512 bytes only, whatever the sector size.
 */
public final class NoteSector {
    private static final int BYTES = 512;
    private static final int MAGIC_OFFSET = 4;
    private static final int MAGIC = 0x314E4756; // "VGN1"
    private static final int TEXTS = 40;
    private static final int CHECKSUM = BYTES - 4;
    /** Caps per text, so that four of them always fit. */
    private static final int[] MAX_TEXT_BYTES = {120, 36, 180, 64};

    private NoteSector() {}

    /** A whole sector; texts that are too long are cut at a character. */
    public static byte[] encode(LeaseLayout layout, LeaseNote note, Owner owner, long lver) {
        ByteBuffer out = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(MAGIC_OFFSET, MAGIC);
        out.putLong(8, owner.hostId()).putLong(16, owner.generation()).putLong(24, lver);
        out.putLong(32, note.sinceEpochSeconds());
        out.position(TEXTS);
        String[] texts = {note.domainName(), note.domainUuid(), note.disk(), note.hostName()};
        for (int i = 0; i < texts.length; i++) {
            byte[] text = cut(texts[i], MAX_TEXT_BYTES[i]);
            out.putShort((short) text.length).put(text);
        }
        out.putInt(CHECKSUM, checksum(out.array()));
        return Arrays.copyOf(out.array(), layout.sectorBytes());
    }

    /** The note in a sector, if there is a sound one that belongs to exactly this hold. */
    public static Optional<LeaseNote> decode(byte[] area, int offset, Owner owner, long lver) {
        byte[] sector = Arrays.copyOfRange(area, offset, offset + BYTES);
        ByteBuffer in = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        boolean ours = in.getInt(0) == 0 && in.getInt(MAGIC_OFFSET) == MAGIC && in.getInt(CHECKSUM) == checksum(sector);
        if (!ours
                || in.getLong(8) != owner.hostId()
                || in.getLong(16) != owner.generation()
                || in.getLong(24) != lver) {
            return Optional.empty();
        }
        in.position(TEXTS);
        String[] texts = new String[MAX_TEXT_BYTES.length];
        for (int i = 0; i < texts.length; i++) {
            int length = in.getShort();
            if (length < 0 || length > MAX_TEXT_BYTES[i]) {
                return Optional.empty();
            }
            try {
                texts[i] = StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(in.slice(in.position(), length))
                        .toString();
            } catch (CharacterCodingException e) {
                return Optional.empty(); // never written by us, whatever the checksum says
            }
            in.position(in.position() + length);
        }
        return Optional.of(new LeaseNote(texts[0], texts[1], texts[2], texts[3], in.getLong(32)));
    }

    private static byte[] cut(String text, int maxBytes) {
        byte[] raw = text.getBytes(StandardCharsets.UTF_8);
        int end = Math.min(raw.length, maxBytes);
        while (end > 0 && end < raw.length && (raw[end] & 0xC0) == 0x80) {
            end--;
        }
        return Arrays.copyOf(raw, end);
    }

    private static int checksum(byte[] sector) {
        CRC32C crc = new CRC32C();
        crc.update(sector, 0, CHECKSUM);
        return (int) crc.getValue();
    }
}
