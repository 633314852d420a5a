/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.inspect.AreaDump.Field;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** Takes one sector apart, field by field; what nobody asked for in the end is shown as it is. */
final class SectorDump {
    private static final int ROW = 16;
    private static final int NAME_BYTES = 48;

    private final byte[] area;
    private final ByteBuffer in;
    private final int begin;
    private final int length;
    private final List<Field> fields = new ArrayList<>();
    private final BitSet told = new BitSet();

    /** @param begin offset of the sector in the area, which begins the file */
    SectorDump(byte[] area, int begin, int length) {
        this.area = area;
        this.in = Look.littleEndian(area);
        this.begin = begin;
        this.length = length;
    }

    long u64(int offset) {
        return in.getLong(begin + offset);
    }

    int u32(int offset) {
        return in.getInt(begin + offset);
    }

    int u16(int offset) {
        return in.getShort(begin + offset) & 0xFFFF;
    }

    SectorDump number64(int offset, String name, String meaning) {
        return add(offset, 8, name, Long.toUnsignedString(u64(offset)), meaning);
    }

    SectorDump number32(int offset, String name, String meaning) {
        return add(offset, 4, name, Integer.toUnsignedString(u32(offset)), meaning);
    }

    SectorDump number16(int offset, String name, String meaning) {
        return add(offset, 2, name, Integer.toString(u16(offset)), meaning);
    }

    SectorDump hex32(int offset, String name, String meaning) {
        return add(offset, 4, name, String.format(Locale.ROOT, "0x%08x", u32(offset)), meaning);
    }

    SectorDump name(int offset, String name, String meaning) {
        int end = begin + offset;
        while (end < begin + offset + NAME_BYTES && area[end] != 0) {
            end++;
        }
        String text = new String(area, begin + offset, end - begin - offset, java.nio.charset.StandardCharsets.UTF_8);
        return add(offset, NAME_BYTES, name, "\"" + text + "\"", meaning);
    }

    SectorDump add(int offset, int bytes, String name, String value, String meaning) {
        fields.add(new Field((long) begin + offset, bytes, name, value, meaning));
        told.set(offset, offset + bytes);
        return this;
    }

    /** Ends the sector: everything that is not zero and was not told yet, in rows. */
    AreaDump.Sector sector(String title) {
        for (int row = 0; row < length; row += ROW) {
            if (untold(row)) {
                String hex = HexFormat.ofDelimiter(" ").formatHex(area, begin + row, begin + row + ROW);
                fields.add(new Field((long) begin + row, ROW, "", hex, ""));
            }
        }
        return new AreaDump.Sector(begin, title, List.copyOf(fields));
    }

    private boolean untold(int row) {
        for (int offset = row; offset < row + ROW; offset++) {
            if (area[begin + offset] != 0 && !told.get(offset)) {
                return true;
            }
        }
        return false;
    }
}
