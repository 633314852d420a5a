/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Who has a {@link LocalLock}, as written into the locked file: {@code PID STARTTICKS BOOTID}. What is written there is a claim; it is
 * held against the kernel's own list of locks.
 *
 * @param startTicks of the process, since the boot
 */
public record LockHolder(long pid, long startTicks, String bootId) {
    private static final Pattern TEXT = Pattern.compile("([0-9]{1,10}) ([0-9]{1,19}) ([0-9a-zA-Z-]{1,64})\n");
    private static final Pattern KERNEL_LOCK = Pattern.compile(
            "[0-9]+: FLOCK +ADVISORY +WRITE ([0-9]+) ([0-9a-f]+):([0-9a-f]+):([0-9]+) .*", Pattern.DOTALL);
    /** A file of a few words; more of it is not read. */
    private static final int MAX_BYTES = 256;

    /** What is known of whoever keeps us from a lock. */
    public interface Looks {
        /** @param file locked by somebody else a moment ago */
        Verdict at(Path file, String bootId);
    }

    /**
     * A look at the holder.
     *
     * @param life never {@link ProcessLife#GONE}: somebody has the lock
     * @param who for people
     */
    public record Verdict(ProcessLife life, String who) {}

    /** This process. */
    static LockHolder self(String bootId) throws IOException {
        long pid = ProcessHandle.current().pid();
        return new LockHolder(pid, ProcessLife.startTicks(pid), bootId);
    }

    /** Empty if there is none, or it is not to be understood. */
    static Optional<LockHolder> read(Path file) throws IOException {
        if (Files.size(file) > MAX_BYTES) {
            return Optional.empty();
        }
        Matcher text = TEXT.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
        try {
            return text.matches()
                    ? Optional.of(
                            new LockHolder(Long.parseLong(text.group(1)), Long.parseLong(text.group(2)), text.group(3)))
                    : Optional.empty();
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    void write(Path file) throws IOException {
        Files.writeString(file, pid + " " + startTicks + " " + bootId + "\n", StandardCharsets.ISO_8859_1);
    }

    /** Looks at the real thing. */
    public static Verdict look(Path file, String bootId) {
        try {
            Optional<LockHolder> named = read(file).filter(holder -> holder.bootId.equals(bootId));
            if (named.isEmpty()) {
                return new Verdict(ProcessLife.UNCLEAR, "it does not say which process of this boot has it");
            }
            LockHolder holder = named.get();
            String who = "process " + holder.pid;
            ProcessLife life = ProcessLife.of(holder.pid, holder.startTicks);
            if (life == ProcessLife.GONE) {
                return new Verdict(ProcessLife.UNCLEAR, who + ", which it names, has ended, and it is still locked");
            }
            if (life == ProcessLife.DYING && !isHeldBy(file, holder.pid)) {
                return new Verdict(
                        ProcessLife.UNCLEAR, who + ", which it names, is not the one that has it, by /proc/locks");
            }
            return new Verdict(life, who);
        } catch (IOException | RuntimeException e) {
            return new Verdict(ProcessLife.UNCLEAR, "who has it cannot be found out: " + e);
        }
    }

    /** By the kernel's list: the one witness that cannot be edited. */
    private static boolean isHeldBy(Path file, long pid) throws IOException {
        long inode = (Long) Files.getAttribute(file, "unix:ino");
        long device = (Long) Files.getAttribute(file, "unix:dev");
        List<Long> holders = Files.readAllLines(Path.of("/proc/locks"), StandardCharsets.ISO_8859_1).stream()
                .map(KERNEL_LOCK::matcher)
                .filter(Matcher::matches)
                .filter(lock -> Long.parseLong(lock.group(4)) == inode
                        && Long.parseLong(lock.group(2), 16) == major(device)
                        && Long.parseLong(lock.group(3), 16) == minor(device))
                .map(lock -> Long.parseLong(lock.group(1)))
                .toList();
        return holders.equals(List.of(pid));
    }

    private static long major(long device) {
        return (device >>> 8 & 0xfff) | (device >>> 32 & ~0xfffL);
    }

    private static long minor(long device) {
        return (device & 0xff) | (device >>> 12 & ~0xffL & 0xffffffffL);
    }
}
