/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * A lease file as bytes: for looking without asking either side, and for damage. Knows the format by offsets of its own, so that it
 * shares no mistake with the engine.
 */
final class RawLease {
    static final int MAGIC = 0;
    static final int VERSION = 4;
    static final int FLAGS = 8;
    static final int NUM_HOSTS = 16;
    static final int OWNER_ID = 32;
    static final int OWNER_GENERATION = 40;
    static final int LVER = 48;
    static final int SPACE_NAME = 56;
    static final int RESOURCE_NAME = 104;
    static final int TIMESTAMP = 152;
    static final int WRITE_ID = 176;

    private static final int LEADER_SUMMED = 168;
    private static final int BLOCK_SUMMED = 48;
    /** What a standard CRC-32C of so many bytes is turned into the format's by. */
    private static final int LEADER_TWIST = 0xDAECE73E;

    private static final int BLOCK_TWIST = 0x1C291D04;
    private static final int BLOCK_FLAGS = 52;
    private static final int MODE_FLAGS = 128;
    private static final int MODE_GENERATION = 136;

    private final Path file;
    private final Geometry geometry;

    RawLease(Path file, Geometry geometry) {
        this.file = file;
        this.geometry = geometry;
    }

    byte[] bytes() {
        return read(0, geometry.areaBytes());
    }

    byte[] sector(int index) {
        return read(index * geometry.sectorBytes(), geometry.sectorBytes());
    }

    private byte[] read(int offset, int length) {
        try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
            byte[] read = new byte[length];
            in.seek(offset);
            in.readFully(read);
            return read;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Writes in the middle of a sector; whoever else writes that sector must be kept from it. */
    void write(long offset, byte[] bytes) {
        try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rws")) {
            out.seek(offset);
            out.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int blockSector(int hostId) {
        return hostId + 1;
    }

    int deltaSector(int hostId) {
        return hostId - 1;
    }

    long number(int sector, int field) {
        return ByteBuffer.wrap(sector(sector)).order(ByteOrder.LITTLE_ENDIAN).getLong(field);
    }

    String text(int sector, int field) {
        String padded = new String(sector(sector), field, 48, StandardCharsets.ISO_8859_1);
        int end = padded.indexOf('\0');
        return end < 0 ? padded : padded.substring(0, end);
    }

    /** Whether the host's block says that it has given its exclusive lease back. */
    boolean released(int hostId) {
        return (number(blockSector(hostId), BLOCK_FLAGS) & 1) != 0;
    }

    /** Whether the host's block says that it holds the resource shared. */
    boolean marked(int hostId) {
        return (number(blockSector(hostId), MODE_FLAGS) & 1) != 0;
    }

    long markedGeneration(int hostId) {
        return number(blockSector(hostId), MODE_GENERATION);
    }

    /** A leader record of this file, changed and sealed again with a right checksum. */
    Leader leader(int sector) {
        return new Leader(sector);
    }

    /** A leader or delta record in the making. */
    final class Leader {
        private final int sector;
        private final ByteBuffer bytes;

        private Leader(int sector) {
            this.sector = sector;
            this.bytes = ByteBuffer.wrap(sector(sector)).order(ByteOrder.LITTLE_ENDIAN);
        }

        Leader number(int field, long value) {
            bytes.putLong(field, value);
            return this;
        }

        Leader word(int field, int value) {
            bytes.putInt(field, value);
            return this;
        }

        Leader text(int field, String text) {
            byte[] padded = Arrays.copyOf(text.getBytes(StandardCharsets.ISO_8859_1), 48);
            bytes.put(field, padded);
            return this;
        }

        void writeSealed() {
            bytes.putInt(LEADER_SUMMED, checksum(bytes.array(), LEADER_SUMMED, LEADER_TWIST));
            writeUnsealed();
        }

        /** With whatever checksum it had. */
        void writeUnsealed() {
            write((long) sector * geometry.sectorBytes(), bytes.array());
        }
    }

    /** Gives a host's block these flags; its checksum does not cover them. */
    void setReleased(int hostId) {
        write((long) blockSector(hostId) * geometry.sectorBytes() + BLOCK_FLAGS, new byte[] {1, 0, 0, 0});
    }

    /** Whether the host's block is what a refused shared request leaves: no ballot, released. */
    boolean wiped(int hostId) {
        ByteBuffer wiped = ByteBuffer.allocate(geometry.sectorBytes()).order(ByteOrder.LITTLE_ENDIAN);
        wiped.putInt(BLOCK_SUMMED, checksum(wiped.array(), BLOCK_SUMMED, BLOCK_TWIST));
        wiped.putInt(BLOCK_FLAGS, 1);
        return Arrays.equals(wiped.array(), sector(blockSector(hostId)));
    }

    private static int checksum(byte[] bytes, int length, int twist) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, length);
        return ~(int) crc.getValue() ^ twist;
    }
}
