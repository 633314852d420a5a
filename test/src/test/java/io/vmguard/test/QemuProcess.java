/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The QEMU of a domain in a container, in this machine's process table: neither libvirt nor vmguard is asked. It can write as long as a
 * thread of it is left, be it in uninterruptible sleep behind a leader that is a zombie.
 */
record QemuProcess(long pid, long startTicks) {
    private static final Path PROC = Path.of("/proc");
    /** {@code sysconf(_SC_CLK_TCK)} is 100 on every Linux that Debian runs on. */
    static final long TICK_MILLIS = 10;

    /** Finds the one whose command line names this domain; names are unique among all tests that run. */
    static Optional<QemuProcess> of(String domain) {
        return find(process -> match(process, domain));
    }

    /** The same where another host may have a domain of this name. @param pid its number in its container */
    static Optional<QemuProcess> of(String domain, long pid) {
        return find(process -> match(process, domain).filter(found -> numberInside(process) == pid));
    }

    private static Optional<QemuProcess> find(Function<Path, Optional<QemuProcess>> look) {
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(PROC, "[0-9]*")) {
            for (Path process : processes) {
                Optional<QemuProcess> found = look.apply(process);
                if (found.isPresent()) {
                    return found;
                }
            }
        } catch (IOException e) {
            throw new AssertionError("cannot read /proc", e);
        }
        return Optional.empty();
    }

    /** The process of this number, whatever it is. */
    static Optional<QemuProcess> at(long pid) {
        try {
            return Optional.of(new QemuProcess(pid, startTicks(PROC.resolve(Long.toString(pid)))));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static Optional<QemuProcess> match(Path process, String domain) {
        String wanted = "guest=" + domain + ",";
        try {
            String commandLine = Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1);
            boolean qemu = commandLine.contains("qemu-system") && commandLine.contains(wanted);
            return qemu
                    ? Optional.of(
                            new QemuProcess(Long.parseLong(process.getFileName().toString()), startTicks(process)))
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty(); // it has gone meanwhile
        }
    }

    private static long numberInside(Path process) {
        try (Stream<String> lines = Files.lines(process.resolve("status"), StandardCharsets.ISO_8859_1)) {
            return lines.filter(line -> line.startsWith("NSpid:"))
                    .map(line -> Long.parseLong(line.substring(line.lastIndexOf('\t') + 1)))
                    .findFirst()
                    .orElse(-1L);
        } catch (IOException | UncheckedIOException e) {
            return -1; // it has gone meanwhile
        }
    }

    private static long startTicks(Path process) throws IOException {
        String stat = Files.readString(process.resolve("stat"), StandardCharsets.ISO_8859_1);
        // Field 22; the second is a name in parentheses that may hold anything.
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[19]);
    }

    /** On the clock that {@link #nowMillis} reads, rounded down. */
    long startMillis() {
        return startTicks * TICK_MILLIS;
    }

    /** Whether nothing of it is left that could write. */
    boolean isGone() {
        try {
            return startTicks(PROC.resolve(Long.toString(pid))) != startTicks;
        } catch (IOException e) {
            return true;
        }
    }

    /** The clock of process start times: since boot, suspension included. */
    static long nowMillis() {
        try {
            String uptime = Files.readString(PROC.resolve("uptime"), StandardCharsets.ISO_8859_1);
            return Math.round(Double.parseDouble(uptime.split(" ")[0]) * 1000);
        } catch (IOException e) {
            throw new AssertionError("cannot read /proc/uptime", e);
        }
    }
}
