/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/**
 * The first bytes of one open file, and what follows from them: which kind of area it is, and of which geometry.
 *
 * @param path for messages
 * @param head up to {@link #HEAD_BYTES}, fewer if the file is shorter
 */
record Look(LeaseFiles.Entry entry, String path, LeaseFile file, byte[] head) {
    /** One sector of either size; with small ones also the request and the first disk blocks, for the price of one read. */
    static final int HEAD_BYTES = 4096;

    /** A look is worth waiting for; nothing depends on it in time. */
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private static final int SMALLEST_SECTOR = 512;

    /** What a file turned out to hold. */
    enum Kind {
        LOCKSPACE,
        RESOURCE,
        CLEARED,
        INDEX,
        BLANK,
        FOREIGN
    }

    /** Reads the first bytes of a file. */
    static IoOutcome head(LeaseFiles.Entry entry, LeaseFile file) {
        return file.read(0, (int) wholeSectors(Math.min(HEAD_BYTES, entry.bytes())), LIMIT);
    }

    private static long wholeSectors(long bytes) {
        return bytes / SMALLEST_SECTOR * SMALLEST_SECTOR;
    }

    IoOutcome read(long offset, int length) {
        return file.read(offset, length, LIMIT);
    }

    /** What is there of the first so many bytes of an area. */
    IoOutcome readArea(int areaBytes) {
        return file.read(0, (int) wholeSectors(Math.min(areaBytes, entry.bytes())), LIMIT);
    }

    LeaderRecord record() {
        return LeaderRecord.at(head, 0);
    }

    Kind kind() {
        if (head.length < SMALLEST_SECTOR) {
            return Kind.FOREIGN;
        }
        int magic = record().magic();
        if (magic == LeaderRecord.DELTA_MAGIC || secondSlotIsDelta()) {
            return Kind.LOCKSPACE;
        }
        return switch (magic) {
            case LeaderRecord.PAXOS_MAGIC -> Kind.RESOURCE;
            case LeaderRecord.CLEARED_MAGIC -> Kind.CLEARED;
            case LeaderRecord.INDEX_MAGIC -> Kind.INDEX;
            default -> Arrays.equals(head, new byte[head.length]) ? Kind.BLANK : Kind.FOREIGN;
        };
    }

    /** A lockspace is one also when the delta lease of host id 1 was overwritten. */
    private boolean secondSlotIsDelta() {
        return head.length >= 2 * SMALLEST_SECTOR
                && LeaderRecord.at(head, SMALLEST_SECTOR).magic() == LeaderRecord.DELTA_MAGIC;
    }

    /** As the leader says; empty if it is none of the format's. */
    Optional<LeaseLayout> layout() {
        if (head.length < SMALLEST_SECTOR) {
            return Optional.empty();
        }
        LeaderRecord leader = kind() == Kind.LOCKSPACE && record().magic() != LeaderRecord.DELTA_MAGIC
                ? LeaderRecord.at(head, SMALLEST_SECTOR)
                : record();
        return LeaseLayout.of(leader.sectorSize(), leader.flags());
    }

    Finding finding(LeaseFault fault, long offset, String what, String remedy) {
        return new Finding(fault, path, offset, what, remedy);
    }

    /** A failed read, told. */
    Finding unreadable(IoOutcome.Failed failed, long offset) {
        return finding(failed.fault(), offset, "it cannot be read: " + failed.why(), "");
    }

    static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Records give a name one char per byte. */
    static String name(String onDisk) {
        return new String(onDisk.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    /** A name as records give it, if it could be a file's. */
    static Optional<LeaseName> leaseName(String onDisk) {
        return fileName(name(onDisk));
    }

    static Optional<LeaseName> fileName(String name) {
        try {
            return Optional.of(new LeaseName(name));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** Whether the checksum of a record is right, whosever it is. */
    static boolean sound(LeaderRecord record) {
        return record.edit().seal().equals(record);
    }
}
