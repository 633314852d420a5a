/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseFault;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Locale;

/**
 * The second sector of a resource: somebody asks its holder to give it up, little-endian.
 *
 * <pre>
 *   0 magic          4 version
 *   8 lver that the asker wants
 *  16 force mode: 0 none, 1 force, 2 graceful
 * </pre>
 *
 * There is no checksum, and bytes 20..23 may be anything. A record is outdated as soon as the resource has reached its version.
 */
public record RequestRecord(long lver, int forceMode) {
    private static final int MAGIC = 0x08292011;
    private static final int VERSION = 0x00010001;

    /** Nobody asks for anything. */
    public static final RequestRecord NONE = new RequestRecord(0, 0);

    public static Decoded<RequestRecord> decode(byte[] area, int offset) {
        ByteBuffer in = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        int magic = in.getInt(offset);
        if (magic != MAGIC) {
            return new Decoded.Corrupt<>(
                    LeaseFault.REQUEST_MAGIC,
                    String.format(Locale.ROOT, "magic 0x%08x is not a request record", magic));
        }
        int version = in.getInt(offset + 4);
        if (version >>> 16 != VERSION >>> 16) {
            return new Decoded.Corrupt<>(
                    LeaseFault.REQUEST_VERSION, "request record of major version " + (version >>> 16));
        }
        return new Decoded.Valid<>(new RequestRecord(in.getLong(offset + 8), in.getInt(offset + 16)));
    }

    /** A whole sector. */
    public byte[] sector(LeaseLayout layout) {
        ByteBuffer out = ByteBuffer.allocate(layout.sectorBytes()).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0, MAGIC).putInt(4, VERSION).putLong(8, lver).putInt(16, forceMode);
        return out.array();
    }
}
