/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;

/**
 * What a process is about to change, and how old its membership is: noted in memory that outlives it, for its successor.
 *
 * <p>The file is in memory, has its full size before it is used, and is mapped. So a note is a few stores: it cannot fail, cannot
 * block, and is there when the process is killed at the next instruction.
 *
 * <pre>
 * offset  bytes
 *      0      8  magic, with the version of this layout in its last byte
 *      8     64  boot id, zero-padded
 *     72      8  host id of the last renewal
 *     80      8  its generation
 *     88      8  its io_timeout, seconds
 *     96      8  boot clock before it was issued, nanoseconds; 0: none
 *    512    512  slot 0: +0 kind (0: unused), +8 offset, +16 name length, +24 name, +128 length of the head, +136 head
 *   1024    512  slot 1, and so on
 * </pre>
 *
 * A number is 8 bytes, big-endian. A slot's kind is written last before the deed and zeroed first after it.
 */
public final class IoJournal {
    /** What is about to happen. The order is part of the layout. */
    public enum Kind {
        /** Bytes are written into the area of that name. */
        WRITE,
        /** The file of that name is unlinked. */
        REMOVE,
        /** The local record is replaced. */
        RECORD
    }

    /**
     * A deed that was noted and not crossed out.
     *
     * @param name of the area; empty for the record
     * @param head its first bytes, at most {@link #HEAD_BYTES}
     */
    public record Entry(Kind kind, String name, long offsetBytes, byte[] head) {
        /** Copies the bytes. */
        public Entry {
            head = head.clone();
        }

        @Override
        public byte[] head() {
            return head.clone();
        }
    }

    /**
     * A successful renewal.
     *
     * @param startedNanos boot clock, before the write was issued
     */
    public record Renewal(long hostId, long generation, int ioTimeoutSeconds, long startedNanos) {}

    /** What a process has left. */
    public record Left(List<Entry> underWay, Optional<Renewal> renewal) {
        /** Copies the list. */
        public Left {
            underWay = List.copyOf(underWay);
        }
    }

    /** A leader record and its surroundings. */
    public static final int HEAD_BYTES = 256;

    private static final long MAGIC = 0x766d672d696f7601L; // "vmg-iov", 1
    private static final int BOOT_ID = 8;
    private static final int BOOT_ID_BYTES = 64;
    private static final int HOST_ID = 72;
    private static final int GENERATION = 80;
    private static final int IO_TIMEOUT = 88;
    private static final int STARTED = 96;
    private static final int SLOT_BYTES = 512;
    private static final int SLOT_OFFSET = 8;
    private static final int SLOT_NAME_LENGTH = 16;
    private static final int SLOT_NAME = 24;
    private static final int SLOT_NAME_BYTES = 96;
    private static final int SLOT_HEAD_LENGTH = 128;
    private static final int SLOT_HEAD = 136;
    /** More than there are threads that write. */
    private static final int SLOTS = 63;

    private static final int BYTES = (1 + SLOTS) * SLOT_BYTES;

    private static final VarHandle LONG = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

    private final ByteBuffer map;
    /** Guarded by itself; held for a few instructions. */
    private final BitSet used = new BitSet(SLOTS);

    private IoJournal(ByteBuffer map) {
        this.map = map;
    }

    /** Begins an empty one, in place of what is there. */
    public static IoJournal create(Path file, String bootId) throws IOException {
        ByteBuffer header = ByteBuffer.allocate(BYTES);
        header.putLong(MAGIC);
        byte[] boot = bootId.getBytes(StandardCharsets.US_ASCII);
        header.put(boot, 0, Math.min(boot.length, BOOT_ID_BYTES));
        Path next = file.resolveSibling(file.getFileName() + ".new");
        Files.write(next, header.array());
        try (FileChannel channel = FileChannel.open(next, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            IoJournal journal = new IoJournal(channel.map(FileChannel.MapMode.READ_WRITE, 0, BYTES));
            Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            return journal;
        }
    }

    /**
     * Reads what another process has left.
     *
     * @return empty if there is none of this boot, or it is not to be understood: then nothing is known
     */
    public static Optional<Left> read(Path file, String bootId) throws IOException {
        byte[] bytes;
        try {
            bytes = Files.size(file) == BYTES ? Files.readAllBytes(file) : new byte[0];
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
        if (bytes.length != BYTES) {
            return Optional.empty();
        }
        ByteBuffer in = ByteBuffer.wrap(bytes);
        byte[] boot = Arrays.copyOf(bootId.getBytes(StandardCharsets.US_ASCII), BOOT_ID_BYTES);
        if (in.getLong(0) != MAGIC
                || !Arrays.equals(boot, Arrays.copyOfRange(bytes, BOOT_ID, BOOT_ID + BOOT_ID_BYTES))) {
            return Optional.empty();
        }
        List<Entry> entries = new ArrayList<>();
        for (int slot = 0; slot < SLOTS; slot++) {
            int at = at(slot);
            long kind = in.getLong(at);
            long nameLength = in.getLong(at + SLOT_NAME_LENGTH);
            long headLength = in.getLong(at + SLOT_HEAD_LENGTH);
            if (kind == 0) {
                continue;
            }
            if (kind < 0
                    || kind > Kind.values().length
                    || nameLength < 0
                    || nameLength > SLOT_NAME_BYTES
                    || headLength < 0
                    || headLength > HEAD_BYTES) {
                return Optional.empty();
            }
            entries.add(new Entry(
                    Kind.values()[(int) kind - 1],
                    new String(bytes, at + SLOT_NAME, (int) nameLength, StandardCharsets.UTF_8),
                    in.getLong(at + SLOT_OFFSET),
                    Arrays.copyOfRange(bytes, at + SLOT_HEAD, at + SLOT_HEAD + (int) headLength)));
        }
        Optional<Renewal> renewal = in.getLong(STARTED) <= 0
                ? Optional.empty()
                : Optional.of(new Renewal(
                        in.getLong(HOST_ID),
                        in.getLong(GENERATION),
                        (int) in.getLong(IO_TIMEOUT),
                        in.getLong(STARTED)));
        return Optional.of(new Left(entries, renewal));
    }

    private static int at(int slot) {
        return (1 + slot) * SLOT_BYTES;
    }

    /** Notes a renewal that has succeeded. One thread at a time. */
    public void renewed(Renewal renewal) {
        LONG.setVolatile(map, STARTED, 0L);
        LONG.setVolatile(map, HOST_ID, renewal.hostId());
        LONG.setVolatile(map, GENERATION, renewal.generation());
        LONG.setVolatile(map, IO_TIMEOUT, (long) renewal.ioTimeoutSeconds());
        LONG.setVolatile(map, STARTED, renewal.startedNanos());
    }

    /** A deed that is under way until it is closed. */
    public interface Note {
        /** It is over, and nothing of it can land any more. */
        void close();
    }

    /**
     * Notes what is about to happen. Any thread.
     *
     * @param name at most 96 bytes
     * @param bytes to be written, or none; their head is kept
     * @return empty if there is no room: then it must not happen
     */
    public Optional<Note> begin(Kind kind, String name, long offsetBytes, byte[] bytes) {
        byte[] nameBytes = name.getBytes(StandardCharsets.UTF_8);
        if (nameBytes.length > SLOT_NAME_BYTES) {
            return Optional.empty();
        }
        int slot;
        synchronized (used) {
            slot = used.nextClearBit(0);
            if (slot >= SLOTS) {
                return Optional.empty();
            }
            used.set(slot);
        }
        int at = at(slot);
        int headLength = Math.min(bytes.length, HEAD_BYTES);
        LONG.setVolatile(map, at + SLOT_OFFSET, offsetBytes);
        LONG.setVolatile(map, at + SLOT_NAME_LENGTH, (long) nameBytes.length);
        map.put(at + SLOT_NAME, nameBytes);
        LONG.setVolatile(map, at + SLOT_HEAD_LENGTH, (long) headLength);
        map.put(at + SLOT_HEAD, bytes, 0, headLength);
        LONG.setVolatile(map, at, (long) kind.ordinal() + 1);
        return Optional.of(() -> {
            LONG.setVolatile(map, at, 0L);
            synchronized (used) {
                used.clear(slot);
            }
        });
    }
}
