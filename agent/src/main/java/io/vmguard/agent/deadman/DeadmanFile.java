/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The file of one lockspace, lines of {@value #LINE_BYTES} bytes each: a head, the deadline, and one for each process or for none.
 *
 * <p>Each change is one {@code write} of one whole line in place. Its memory is there from the beginning, so a full file system cannot
 * make it fail, and no line lies across two pages, so neither SIGSTOP nor SIGKILL of this process can leave half of it. Not a mapped
 * buffer: if somebody cuts the file short, a write says so or heals it, while a store would end the JVM.
 *
 * <p>The deadline and the list may be written by two threads at a time, each by one.
 */
final class DeadmanFile implements AutoCloseable {
    static final String SUFFIX = ".deadman";
    static final long CHECK = 99991;
    static final int LINE_BYTES = 128;
    private static final int HEAD_LINES = 2;
    /** Room for so many processes from the beginning, and each time it is used up. */
    private static final int SLOTS = 256;

    private static final String FREE = "free";
    /** Before the first renewal of all: the deadman does nothing. */
    static final String NO_DEADLINE = "deadline none";

    private static final long NANOS_PER_TICK = 10_000_000;

    private final Path path;
    private final Object key;
    private final RandomAccessFile deadline;
    private final RandomAccessFile list;
    private final List<@Nullable ListedProcess> slots;

    private DeadmanFile(Path path, List<@Nullable ListedProcess> slots) throws IOException {
        this.path = path;
        this.slots = slots;
        this.key = key(path);
        this.deadline = new RandomAccessFile(path.toFile(), "rw");
        this.list = new RandomAccessFile(path.toFile(), "rw");
    }

    static Path path(Path runtimeDir, LeaseName lockspace) {
        return runtimeDir.resolve(lockspace.value() + SUFFIX);
    }

    /**
     * Continues the file that an earlier agent of this boot left, deadline and processes included, or makes one without either.
     *
     * @param bootId the kernel's id of this boot: what another one left is nothing
     * @param first the line with which a new one begins
     * @throws IOException if there is no room for it
     */
    static DeadmanFile open(Path runtimeDir, LeaseName lockspace, String bootId, long agentPid, String first)
            throws IOException {
        Path path = path(runtimeDir, lockspace);
        String head = "vmguard-deadman 1 " + bootId + " ";
        List<String> before = read(path);
        boolean adopted = before.size() >= HEAD_LINES && before.get(0).startsWith(head);
        List<@Nullable ListedProcess> slots = new ArrayList<>();
        if (adopted) {
            before.stream()
                    .skip(HEAD_LINES)
                    .forEach(line -> slots.add(ListedProcess.parse(line).orElse(null)));
        }
        if (slots.isEmpty() || slots.size() % SLOTS != 0) {
            // New, or cut short.
            slots.addAll(Collections.nCopies(SLOTS - slots.size() % SLOTS, null));
            create(path, head + agentPid, adopted ? before.get(1) : first, slots);
        }
        DeadmanFile file = new DeadmanFile(path, slots);
        file.write(file.list, 0, head + agentPid);
        return file;
    }

    private static List<String> read(Path path) throws IOException {
        if (!Files.exists(path)) {
            return List.of();
        }
        String text = new String(Files.readAllBytes(path), StandardCharsets.US_ASCII);
        List<String> lines = new ArrayList<>();
        for (int end = LINE_BYTES; end <= text.length(); end += LINE_BYTES) {
            lines.add(text.substring(end - LINE_BYTES, end).strip());
        }
        return lines;
    }

    private static void create(Path path, String head, String deadline, List<@Nullable ListedProcess> slots)
            throws IOException {
        StringBuilder text = new StringBuilder().append(line(head)).append(line(deadline));
        slots.forEach(slot -> text.append(line(slot == null ? FREE : slot.line())));
        Path next = path.resolveSibling("." + path.getFileName() + ".new");
        try {
            Files.writeString(next, text, StandardCharsets.US_ASCII);
            Files.move(next, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            Files.deleteIfExists(next);
            throw e;
        }
    }

    private static String line(String text) {
        return text + " ".repeat(LINE_BYTES - 1 - text.length()) + "\n";
    }

    private static Object key(Path path) throws IOException {
        Object key = Files.readAttributes(path, java.nio.file.attribute.BasicFileAttributes.class)
                .fileKey();
        return key == null ? path : key;
    }

    /** Whether the file that the deadman reads is still this one: nobody has removed or replaced it. */
    boolean isThere() {
        try {
            return Files.exists(path)
                    && key(path).equals(key)
                    && list.length() == (long) (HEAD_LINES + slots.size()) * LINE_BYTES;
        } catch (IOException e) {
            return false;
        }
    }

    /** Moves the deadline. */
    void deadline(String line) throws IOException {
        write(deadline, 1, line);
    }

    /**
     * The line of a deadline.
     *
     * @param killAtNanos boot clock, like the others
     * @param nowNanos the reader holds it against its own clock
     */
    static String deadlineLine(long killAtNanos, long warnAtNanos, long nowNanos) {
        // Upwards: never too early.
        long kill = Math.floorDiv(killAtNanos, NANOS_PER_TICK) + 1;
        long warn = Math.floorDiv(warnAtNanos, NANOS_PER_TICK) + 1;
        long now = Math.floorDiv(nowNanos, NANOS_PER_TICK);
        return "deadline " + kill + " " + warn + " " + now + " " + (kill + warn + now) % CHECK;
    }

    List<ListedProcess> processes() {
        List<ListedProcess> processes = new ArrayList<>();
        for (ListedProcess slot : slots) {
            if (slot != null) {
                processes.add(slot);
            }
        }
        return processes;
    }

    /** @throws IOException if there is no room: it is not listed */
    void add(ListedProcess process) throws IOException {
        int free = slots.indexOf(null);
        if (free < 0) {
            free = slots.size();
            grow();
        }
        write(list, HEAD_LINES + free, process.line());
        slots.set(free, process);
    }

    void remove(ListedProcess process) throws IOException {
        int slot = slots.indexOf(process);
        write(list, HEAD_LINES + slot, FREE);
        slots.set(slot, null);
    }

    private void grow() throws IOException {
        long end = (long) (HEAD_LINES + slots.size()) * LINE_BYTES;
        list.seek(end);
        try {
            list.write(line(FREE).repeat(SLOTS).getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            list.setLength(end);
            throw e;
        }
        slots.addAll(Collections.nCopies(SLOTS, null));
    }

    private void write(RandomAccessFile file, int line, String text) throws IOException {
        file.seek((long) line * LINE_BYTES);
        file.write(line(text).getBytes(StandardCharsets.US_ASCII));
    }

    /** The deadman must do nothing for this lockspace any more: no file, and if that fails, one that says nothing. */
    void remove() throws IOException {
        remove(path);
    }

    static void remove(Path path) throws IOException {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            try (RandomAccessFile rest = new RandomAccessFile(path.toFile(), "rw")) {
                rest.setLength(0);
            }
        }
    }

    /** What is in it stays. */
    @Override
    public void close() {
        for (RandomAccessFile file : List.of(deadline, list)) {
            try {
                file.close();
            } catch (IOException e) {
                // Nothing of it is in a buffer.
            }
        }
    }
}
