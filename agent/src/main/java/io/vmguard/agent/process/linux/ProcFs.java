/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** What /proc tells about a process ({@code man 5 proc}). A process may end between any two reads. */
final class ProcFs {

    /** More than any QEMU is given; a process can write what it likes there. */
    private static final int MAX_BYTES = 4 << 20;

    private static final int FIRST_BYTES = 1024;

    /** {@code PF_KTHREAD} in the kernel's sched.h. */
    private static final long KERNEL_THREAD = 0x0020_0000;

    private final Path root;

    ProcFs(Path root) {
        this.root = root;
    }

    /**
     * From {@code /proc/PID/stat}.
     *
     * @param command the first 15 bytes of the name
     * @param state one letter, {@code Z} for a process whose first thread has ended
     * @param kernelThread whether it is one
     * @param startTicks when it was made, in clock ticks since boot; 0 if the line ends before
     */
    record Status(String command, char state, boolean kernelThread, long startTicks) {
        /** STARTTIME is the 22nd field of the line, FLAGS the 9th; the state is the 3rd and the first that is counted here. */
        private static final int FLAGS = 6;

        private static final int START_TIME = 19;

        /** Reads {@code PID (COMMAND) STATE PPID PGRP SESSION TTY TPGID FLAGS …}, where COMMAND may contain anything. */
        static Optional<Status> parse(String stat) {
            int start = stat.indexOf('(');
            int end = stat.lastIndexOf(')');
            if (start < 0 || end < start) {
                return Optional.empty();
            }
            String[] fields = stat.substring(end + 1).strip().split(" +");
            if (fields.length < 7 || fields[0].length() != 1) {
                return Optional.empty();
            }
            try {
                boolean kernelThread = (Long.parseLong(fields[FLAGS]) & KERNEL_THREAD) != 0;
                long startTicks = fields.length > START_TIME ? Long.parseLong(fields[START_TIME]) : 0;
                return Optional.of(
                        new Status(stat.substring(start + 1, end), fields[0].charAt(0), kernelThread, startTicks));
            } catch (NumberFormatException e) {
                return Optional.empty();
            }
        }

        boolean isZombie() {
            return state == 'Z';
        }
    }

    /** The ids of all processes, as far as this one may see them. */
    List<Integer> pids() throws IOException {
        return numbersIn(root);
    }

    /**
     * The arguments; empty for a kernel thread, and for a zombie whose threads have all lost their memory.
     *
     * <p>The first thread of a killed process can be a zombie while another one still waits for storage. The arguments are
     * then read through that one.
     */
    List<String> arguments(int pid) throws IOException {
        Path process = root.resolve(Integer.toString(pid));
        List<String> arguments = split(read(process.resolve("cmdline")));
        if (!arguments.isEmpty() || !status(pid).map(Status::isZombie).orElse(false)) {
            return arguments;
        }
        Path tasks = process.resolve("task");
        for (int thread : numbersIn(tasks)) {
            List<String> ofThread =
                    split(read(tasks.resolve(Integer.toString(thread)).resolve("cmdline")));
            if (!ofThread.isEmpty()) {
                return ofThread;
            }
        }
        return arguments;
    }

    /** Name and state; empty if they cannot be made out. */
    Optional<Status> status(int pid) throws IOException {
        byte[] stat = read(root.resolve(Integer.toString(pid)).resolve("stat"));
        return Status.parse(new String(stat, StandardCharsets.UTF_8));
    }

    /** Whether each of its threads is stopped by a signal, state {@code T}; threads that have ended do not count. */
    boolean isStopped(int pid) throws IOException {
        Path tasks = root.resolve(Integer.toString(pid)).resolve("task");
        boolean any = false;
        for (int thread : numbersIn(tasks)) {
            byte[] stat = read(tasks.resolve(Integer.toString(thread)).resolve("stat"));
            Optional<Status> status = Status.parse(new String(stat, StandardCharsets.UTF_8));
            char state = status.map(Status::state).orElse('?');
            if (state != 'T' && state != 'Z' && state != 'X') {
                return false;
            }
            any |= state == 'T';
        }
        return any;
    }

    /** The ids of its threads whose names match, as the program has named them. */
    List<Integer> threads(int pid, Pattern name) throws IOException {
        Path tasks = root.resolve(Integer.toString(pid)).resolve("task");
        List<Integer> matching = new ArrayList<>();
        for (int thread : numbersIn(tasks)) {
            byte[] comm = read(tasks.resolve(Integer.toString(thread)).resolve("comm"));
            if (name.matcher(new String(comm, StandardCharsets.UTF_8).strip()).matches()) {
                matching.add(thread);
            }
        }
        return matching;
    }

    /** The file name of the program, empty if unknown; a program that was replaced since keeps its name. */
    String program(int pid) {
        try {
            Path target =
                    Files.readSymbolicLink(root.resolve(Integer.toString(pid)).resolve("exe"));
            Path name = target.getFileName();
            return name == null ? "" : name.toString();
        } catch (IOException e) {
            return "";
        }
    }

    /** Whether it has this pid still, or that cannot be told. */
    boolean mayBeThere(int pid, long startTicks) {
        try {
            return status(pid).map(Status::startTicks).orElse(startTicks) == startTicks;
        } catch (NoSuchFileException e) {
            return false;
        } catch (IOException e) {
            return Files.exists(root.resolve(Integer.toString(pid)));
        }
    }

    private static List<String> split(byte[] commandLine) {
        if (commandLine.length == 0) {
            return List.of();
        }
        String text = new String(commandLine, StandardCharsets.UTF_8);
        return List.of((text.endsWith("\0") ? text.substring(0, text.length() - 1) : text).split("\0", -1));
    }

    private static byte[] read(Path file) throws IOException {
        // A search reads hundreds of these, most of some hundred bytes; readNBytes would take a buffer of 8 KiB and
        // more for each.
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = new byte[FIRST_BYTES];
            int length = 0;
            int count;
            while ((count = in.read(bytes, length, bytes.length - length)) > 0) {
                length += count;
                if (length == bytes.length) {
                    if (length >= MAX_BYTES) {
                        break;
                    }
                    bytes = Arrays.copyOf(bytes, 2 * length);
                }
            }
            return Arrays.copyOf(bytes, length);
        }
    }

    private static List<Integer> numbersIn(Path directory) throws IOException {
        List<Integer> numbers = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory, "[0-9]*")) {
            for (Path entry : entries) {
                try {
                    numbers.add(Integer.parseInt(entry.getFileName().toString()));
                } catch (NumberFormatException e) {
                    // Not a process or thread, then.
                }
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        return numbers;
    }
}
