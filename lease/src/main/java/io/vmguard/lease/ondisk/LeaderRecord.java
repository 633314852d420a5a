/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;

/**
 * The committed state of a delta lease or of a resource lease: the first 200 bytes of its sector, little-endian.
 *
 * <pre>
 *   0 magic      4 version    8 flags     12 sector size
 *  16 num_hosts            24 max_hosts
 *  32 owner id             40 owner generation
 *  48 lver                 56 lockspace name (48 bytes)
 * 104 resource name; in a delta lease the owner's host name (48 bytes)
 * 152 timestamp, 0 = free 160 unused
 * 168 checksum of 0..167 172 unused (u16)  174 io timeout (u16)
 * 176 writer id           184 writer generation      192 writer timestamp
 * </pre>
 *
 * Kept as bytes, so that two records are equal exactly when all 200 bytes are, and an edit keeps every field it does not name.
 */
public final class LeaderRecord {
    /** Bytes of a record; the rest of its sector is zero (in a delta lease bytes 256..511 are a bitmap). */
    public static final int BYTES = 200;

    public static final int DELTA_MAGIC = 0x12212010;
    public static final int PAXOS_MAGIC = 0x06152010;
    /** An index of resources, a kind of area that we do not use. */
    public static final int INDEX_MAGIC = 0x01042018;
    /** A resource that existed and was deliberately removed. */
    public static final int CLEARED_MAGIC = 0x11282016;

    private static final int DELTA_VERSION = 0x00030004;
    private static final int PAXOS_VERSION = 0x00060004;
    private static final int SHORT_HOLD = 0x1;

    private static final int MAGIC = 0;
    private static final int VERSION = 4;
    private static final int FLAGS = 8;
    private static final int SECTOR_SIZE = 12;
    private static final int NUM_HOSTS = 16;
    private static final int MAX_HOSTS = 24;
    private static final int OWNER_ID = 32;
    private static final int OWNER_GENERATION = 40;
    private static final int LVER = 48;
    private static final int SPACE_NAME = 56;
    private static final int RESOURCE_NAME = 104;
    private static final int TIMESTAMP = 152;
    private static final int CHECKSUM = 168;
    private static final int IO_TIMEOUT = 174;
    private static final int WRITE_ID = 176;
    private static final int WRITE_GENERATION = 184;
    private static final int WRITE_TIMESTAMP = 192;

    private final ByteBuffer bytes;

    private LeaderRecord(byte[] raw) {
        this.bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** A free delta lease, as in a new lockspace. */
    public static LeaderRecord freeDelta(LeaseLayout layout, LeaseName lockspace, int ioTimeoutSeconds) {
        Editor editor = new Editor(new byte[BYTES]);
        editor.header(DELTA_MAGIC, DELTA_VERSION, layout, 0, 1, lockspace);
        editor.buffer.putShort(IO_TIMEOUT, (short) (ioTimeoutSeconds & 0xFF));
        return editor.seal();
    }

    /** A free resource lease, as in a new resource area. */
    public static LeaderRecord freeResource(LeaseLayout layout, LeaseName lockspace, LeaseName resource, int numHosts) {
        Editor editor = new Editor(new byte[BYTES]);
        editor.header(PAXOS_MAGIC, PAXOS_VERSION, layout, numHosts, layout.maxHosts(), lockspace);
        editor.name(RESOURCE_NAME, resource.value());
        return editor.seal();
    }

    /** The delta lease in a sector, if it is a sound one of this lockspace. */
    public static Decoded<LeaderRecord> decodeDelta(byte[] area, int offset, LeaseName lockspace) {
        LeaderRecord record = at(area, offset);
        if (record.magic() == INDEX_MAGIC) {
            return corrupt(LeaseFault.RESOURCE_INDEX, LeaseFault.RESOURCE_INDEX.text());
        }
        if (record.magic() != DELTA_MAGIC) {
            return corrupt(
                    LeaseFault.MAGIC, String.format(Locale.ROOT, "magic 0x%08x is not a delta lease", record.magic()));
        }
        if (record.version() >>> 16 != DELTA_VERSION >>> 16) {
            return corrupt(LeaseFault.VERSION, "delta lease of major version " + (record.version() >>> 16));
        }
        if (!record.spaceName().equals(latin1(lockspace))) {
            return corrupt(LeaseFault.LOCKSPACE, "it belongs to lockspace '" + record.spaceName() + "'");
        }
        return record.withChecksum();
    }

    /** The leader of a resource in its first sector, if it is a sound one of this lockspace, name and size. */
    public static Decoded<LeaderRecord> decodeResource(
            byte[] area, int offset, LeaseName lockspace, LeaseName resource, long ownHostId) {
        LeaderRecord record = at(area, offset);
        if (record.magic() == CLEARED_MAGIC) {
            return corrupt(LeaseFault.MAGIC, "the lease was deliberately removed");
        }
        if (record.magic() == INDEX_MAGIC) {
            return corrupt(LeaseFault.RESOURCE_INDEX, LeaseFault.RESOURCE_INDEX.text());
        }
        if (record.magic() != PAXOS_MAGIC) {
            return corrupt(
                    LeaseFault.MAGIC,
                    String.format(Locale.ROOT, "magic 0x%08x is not a resource lease", record.magic()));
        }
        if (record.version() >>> 16 != PAXOS_VERSION >>> 16) {
            return corrupt(LeaseFault.VERSION, "resource lease of major version " + (record.version() >>> 16));
        }
        if (!record.spaceName().equals(latin1(lockspace))) {
            return corrupt(LeaseFault.LOCKSPACE, "it belongs to lockspace '" + record.spaceName() + "'");
        }
        if (!record.resourceName().equals(latin1(resource))) {
            return corrupt(LeaseFault.RESOURCE, "it is the lease of '" + record.resourceName() + "'");
        }
        if (record.numHosts() < ownHostId) {
            return corrupt(LeaseFault.NUM_HOSTS, "it was made for " + record.numHosts() + " hosts");
        }
        return record.withChecksum();
    }

    /** Whether a sector holds a delta lease that nobody ever had, as in a new lockspace; copies nothing, for there are thousands of them. */
    public static boolean isUnusedDelta(byte[] area, int offset) {
        return intAt(area, offset + MAGIC) == DELTA_MAGIC
                && isZero(area, offset + OWNER_GENERATION)
                && isZero(area, offset + TIMESTAMP);
    }

    private static int intAt(byte[] area, int offset) {
        return area[offset] & 0xFF
                | (area[offset + 1] & 0xFF) << 8
                | (area[offset + 2] & 0xFF) << 16
                | area[offset + 3] << 24;
    }

    private static boolean isZero(byte[] area, int offset) {
        return intAt(area, offset) == 0 && intAt(area, offset + 4) == 0;
    }

    /** The record at an offset, unverified: for the first look at an area whose kind and geometry are not known yet. */
    public static LeaderRecord at(byte[] area, int offset) {
        return new LeaderRecord(Arrays.copyOfRange(area, offset, offset + BYTES));
    }

    private Decoded<LeaderRecord> withChecksum() {
        int wanted = SanlockChecksum.ofLeader(bytes.array(), 0);
        if (wanted != checksum()) {
            return corrupt(
                    LeaseFault.CHECKSUM,
                    String.format(Locale.ROOT, "checksum 0x%08x, computed 0x%08x", checksum(), wanted));
        }
        return new Decoded.Valid<>(this);
    }

    private static Decoded<LeaderRecord> corrupt(LeaseFault fault, String why) {
        return new Decoded.Corrupt<>(fault, why);
    }

    public int magic() {
        return bytes.getInt(MAGIC);
    }

    public int version() {
        return bytes.getInt(VERSION);
    }

    public int flags() {
        return bytes.getInt(FLAGS);
    }

    public int sectorSize() {
        return bytes.getInt(SECTOR_SIZE);
    }

    public long numHosts() {
        return bytes.getLong(NUM_HOSTS);
    }

    public long maxHosts() {
        return bytes.getLong(MAX_HOSTS);
    }

    /** Whether a resource is cut as this says: its sectors, its area, the step of its ballot numbers, and room for its disk blocks. */
    public boolean fits(LeaseLayout layout) {
        return layout.isNamedBy(sectorSize(), flags())
                && maxHosts() == layout.maxHosts()
                && numHosts() <= layout.maxHosts();
    }

    public Owner owner() {
        return new Owner(bytes.getLong(OWNER_ID), bytes.getLong(OWNER_GENERATION));
    }

    public long lver() {
        return bytes.getLong(LVER);
    }

    public String spaceName() {
        return text(SPACE_NAME);
    }

    /** In a delta lease this is the owner's host name. */
    public String resourceName() {
        return text(RESOURCE_NAME);
    }

    /** Monotonic seconds on the owner's clock; 0 = free. Compare for equality only. */
    public long timestamp() {
        return bytes.getLong(TIMESTAMP);
    }

    public boolean isFree() {
        return timestamp() == 0;
    }

    /** Its owner only passes through on the way to shared mode: worth another try in a moment. */
    public boolean isShortHold() {
        return (flags() & SHORT_HOLD) != 0;
    }

    /** Monotonic seconds on the writer's clock. */
    public long writeTimestamp() {
        return bytes.getLong(WRITE_TIMESTAMP);
    }

    public int checksum() {
        return bytes.getInt(CHECKSUM);
    }

    /** The owner's T in seconds, 0 to 255; 0 if it never said. */
    public int ioTimeoutSeconds() {
        return bytes.get(IO_TIMEOUT) & 0xFF;
    }

    public Owner writer() {
        return new Owner(bytes.getLong(WRITE_ID), bytes.getLong(WRITE_GENERATION));
    }

    /**
     * Who goes by this record while it is not free: its owner, or a later life of the owner's host that wrote it.
     *
     * <p>A stock host that finds a proposal of its earlier life in a ballot commits that, sees its own host id in the leader, and takes the
     * lease for its own. By the owner's generation it would be free.
     */
    public Owner holder() {
        Owner owner = owner();
        Owner writer = writer();
        return writer.hostId() == owner.hostId() && writer.generation() > owner.generation() ? writer : owner;
    }

    /** A whole sector: the record, then zeroes. */
    public byte[] sector(LeaseLayout layout) {
        return Arrays.copyOf(bytes.array(), layout.sectorBytes());
    }

    /** Starts a changed copy; fields that are not set stay as they are. */
    public Editor edit() {
        return new Editor(bytes.array().clone());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LeaderRecord that && Arrays.equals(bytes.array(), that.bytes.array());
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes.array());
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "leader magic=0x%08x flags=0x%x owner=%s lver=%d name=\"%s\" ts=%d io_timeout=%d write=%s/%d",
                magic(),
                flags(),
                owner(),
                lver(),
                resourceName(),
                timestamp(),
                ioTimeoutSeconds(),
                writer(),
                bytes.getLong(WRITE_TIMESTAMP));
    }

    private String text(int offset) {
        int end = offset;
        while (end < offset + LeaseName.MAX_BYTES && bytes.get(end) != 0) {
            end++;
        }
        // One byte, one char: a name of any bytes survives the way in and out.
        return new String(bytes.array(), offset, end - offset, StandardCharsets.ISO_8859_1);
    }

    private static String latin1(LeaseName name) {
        return new String(name.value().getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    /** A record in the making. */
    public static final class Editor {
        private final ByteBuffer buffer;

        private Editor(byte[] raw) {
            this.buffer = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN);
        }

        private void header(
                int magic, int version, LeaseLayout layout, long numHosts, long maxHosts, LeaseName lockspace) {
            buffer.putInt(MAGIC, magic).putInt(VERSION, version).putInt(FLAGS, layout.flag());
            buffer.putInt(SECTOR_SIZE, layout.sectorBytes());
            buffer.putLong(NUM_HOSTS, numHosts).putLong(MAX_HOSTS, maxHosts);
            name(SPACE_NAME, lockspace.value());
        }

        private void name(int offset, String value) {
            byte[] raw = value.getBytes(StandardCharsets.UTF_8);
            byte[] field = Arrays.copyOf(raw, LeaseName.MAX_BYTES);
            buffer.put(offset, field);
        }

        public Editor owner(Owner owner) {
            buffer.putLong(OWNER_ID, owner.hostId()).putLong(OWNER_GENERATION, owner.generation());
            return this;
        }

        /** At most 47 bytes, so that the field always ends in NUL. */
        public Editor hostName(String hostName) {
            byte[] raw = hostName.getBytes(StandardCharsets.UTF_8);
            byte[] field = Arrays.copyOf(
                    Arrays.copyOf(raw, Math.min(raw.length, LeaseName.MAX_BYTES - 1)), LeaseName.MAX_BYTES);
            buffer.put(RESOURCE_NAME, field);
            return this;
        }

        public Editor lver(long lver) {
            buffer.putLong(LVER, lver);
            return this;
        }

        public Editor timestamp(long monotonicSeconds) {
            buffer.putLong(TIMESTAMP, monotonicSeconds);
            return this;
        }

        public Editor ioTimeoutSeconds(int seconds) {
            buffer.putShort(IO_TIMEOUT, (short) (seconds & 0xFF));
            return this;
        }

        /** Who writes this leader of a resource, and when on his clock. */
        public Editor writer(Owner writer, long monotonicSeconds) {
            buffer.putLong(WRITE_ID, writer.hostId()).putLong(WRITE_GENERATION, writer.generation());
            buffer.putLong(WRITE_TIMESTAMP, monotonicSeconds);
            return this;
        }

        /** A delta lease without a host event. */
        public Editor noEvent() {
            return writer(new Owner(0, 0), 0);
        }

        public Editor shortHold(boolean on) {
            int flags = buffer.getInt(FLAGS);
            buffer.putInt(FLAGS, on ? flags | SHORT_HOLD : flags & ~SHORT_HOLD);
            return this;
        }

        /** A resource that is deliberately removed: nobody can take it any more. */
        public Editor cleared() {
            buffer.putInt(MAGIC, CLEARED_MAGIC);
            return this;
        }

        /** Computes the checksum and ends the edit. */
        public LeaderRecord seal() {
            buffer.putInt(CHECKSUM, SanlockChecksum.ofLeader(buffer.array(), 0));
            return new LeaderRecord(buffer.array().clone());
        }
    }
}
