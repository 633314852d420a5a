/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Whether a process can still act, by /proc.
 *
 * <p>A killed process with a thread in uninterruptible sleep does not go away. It is still harmless in a way that can be proved: a
 * thread that is in the kernel with SIGKILL pending, or that is exiting, never executes an instruction of its program again. Only the
 * system calls that it is in can still have an effect.
 */
public enum ProcessLife {
    /** No such process, or another one has its number. */
    GONE,
    /** No instruction of it will ever be executed again; system calls that are under way may still have their effect. */
    DYING,
    /** It may do anything. */
    ALIVE,
    /** It is not to be told, or it is just being killed: look again. */
    UNCLEAR;

    private static final long SIGKILL_BIT = 1L << (9 - 1);
    private static final long PF_EXITING = 0x4;
    /** {@code USER_HZ} is 100 on every architecture that libvirt's QEMU driver runs on. */
    private static final long NANOS_PER_TICK = 10_000_000;

    /** In {@code /proc/PID/stat}, behind the name: state is the first, flags the seventh, start time the twentieth. */
    private static final int STATE = 0;

    private static final int FLAGS = 6;
    private static final int START_TICKS = 19;

    /**
     * One thread.
     *
     * @param state as in {@code /proc/PID/stat}: R, S, D, Z, …
     * @param flags the kernel's, as there
     * @param pending signals pending for this thread, a bit each
     */
    record Task(char state, long flags, long pending) {
        boolean dead() {
            return state == 'Z' || state == 'X' || state == 'x' || (flags & PF_EXITING) != 0;
        }

        boolean killed() {
            return (pending & SIGKILL_BIT) != 0;
        }
    }

    /** The rule. SIGKILL comes to all threads of a process in one step, and from then on it gets no new ones. */
    static ProcessLife judge(List<Task> tasks) {
        ProcessLife life = tasks.isEmpty() ? GONE : DYING;
        for (Task task : tasks) {
            if (task.dead()) {
                continue;
            }
            if (!task.killed()) {
                return ALIVE;
            }
            if (task.state() == 'R') {
                // On another processor it goes on until the interrupt that tells it has arrived there.
                life = UNCLEAR;
            }
        }
        return life;
    }

    /**
     * Looks at a process. Touches /proc only; does not hang.
     *
     * @param startTicks since the boot when it was started: tells it from another one that has its number later
     */
    public static ProcessLife of(long pid, long startTicks) {
        Path process = Path.of("/proc/" + pid);
        try {
            if (!Files.exists(process) || startTicks(pid) != startTicks) {
                return GONE;
            }
            List<Task> tasks = new ArrayList<>();
            try (DirectoryStream<Path> all = Files.newDirectoryStream(process.resolve("task"))) {
                for (Path task : all) {
                    task(task).ifPresent(tasks::add);
                }
            }
            return judge(tasks);
        } catch (NoSuchFileException e) {
            return GONE;
        } catch (IOException | RuntimeException e) {
            return UNCLEAR;
        }
    }

    /**
     * When a process was started. Touches /proc only; does not hang.
     *
     * @return nanoseconds of the boot clock, in steps of {@code USER_HZ}
     * @throws IOException if there is no such process, or it may not be looked at
     */
    public static long startedBootNanos(long pid) throws IOException {
        return startTicks(pid) * NANOS_PER_TICK;
    }

    /** When a process was started, in ticks since the boot. */
    static long startTicks(long pid) throws IOException {
        return Long.parseLong(stat(Path.of("/proc/" + pid))[START_TICKS]);
    }

    private static String[] stat(Path process) throws IOException {
        String stat = Files.readString(process.resolve("stat"), StandardCharsets.ISO_8859_1);
        return stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    }

    private static Optional<Task> task(Path task) throws IOException {
        try {
            String[] stat = stat(task);
            String pending = Files.readAllLines(task.resolve("status"), StandardCharsets.ISO_8859_1).stream()
                    .filter(line -> line.startsWith("SigPnd:"))
                    .findFirst()
                    .orElseThrow()
                    .substring("SigPnd:".length())
                    .strip();
            return Optional.of(
                    new Task(stat[STATE].charAt(0), Long.parseLong(stat[FLAGS]), Long.parseUnsignedLong(pending, 16)));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            if (!Files.exists(task)) {
                return Optional.empty(); // ended between two looks: ESRCH
            }
            throw e;
        }
    }
}
