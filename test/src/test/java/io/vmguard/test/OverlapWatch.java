/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Watches this machine's process table for two QEMUs on one disk, by their names: {@code guest=DISK,} and {@code guest=DISK-anything,}.
 * Neither libvirt nor vmguard is asked. During a live migration, of which it must be told, a second QEMU
 * of that name that waits for the first one's memory is in order; afterwards it is not.
 */
final class OverlapWatch implements AutoCloseable {
    private static final Path PROC = Path.of("/proc");
    private static final long LOOK_MILLIS = 50;

    private final Pattern guest;
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread thread = new Thread(this::watch, "overlap-watch");
    private final Map<Long, Seen> known = new HashMap<>();
    private final Set<String> migrating = new HashSet<>();
    private final List<String> overlaps = new ArrayList<>();
    private long processes;
    private long looks;

    private record Seen(QemuProcess process, String domain, String disk) {}

    /** @param prefix what the names of all disks begin with; a number follows */
    OverlapWatch(String prefix) {
        guest = Pattern.compile("guest=((" + prefix + "[0-9]+)[^,]*),");
        thread.setDaemon(true);
        thread.start();
    }

    private void watch() {
        try {
            while (!closed.await(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                look();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void look() {
        looks++;
        known.values().removeIf(seen -> seen.process.isGone());
        try (DirectoryStream<Path> all = Files.newDirectoryStream(PROC, "[0-9]*")) {
            for (Path process : all) {
                long pid = Long.parseLong(process.getFileName().toString());
                if (!known.containsKey(pid)) {
                    meet(pid, process);
                }
            }
        } catch (IOException e) {
            throw new AssertionError("cannot read /proc", e);
        }
    }

    private void meet(long pid, Path process) {
        String commandLine;
        try {
            commandLine = Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return; // it has gone meanwhile
        }
        Matcher name = guest.matcher(commandLine);
        if (!commandLine.contains("qemu-system") || !name.find()) {
            return;
        }
        Optional<QemuProcess> found = QemuProcess.at(pid);
        if (found.isEmpty()) {
            return;
        }
        Seen fresh = new Seen(found.get(), name.group(1), name.group(2));
        for (Seen other : known.values()) {
            boolean arrives = migrating.contains(fresh.domain)
                    && other.domain.equals(fresh.domain)
                    && commandLine.contains("\0-incoming\0");
            if (other.disk.equals(fresh.disk) && !arrives && !other.process.isGone()) {
                overlaps.add(other.domain + " (pid " + other.process.pid() + ") was there when " + fresh.domain
                        + " (pid " + pid + ") came");
            }
        }
        known.put(pid, fresh);
        processes++;
    }

    /** A domain may have two QEMUs from now on, the second one waiting for the first. */
    synchronized void migrates(String domain) {
        migrating.add(domain);
    }

    /** That is over: one of them must be gone. */
    synchronized void migrated(String domain) {
        migrating.remove(domain);
        if (count(domain) > 1) {
            overlaps.add(domain + " has two QEMUs after a migration");
        }
    }

    /** How many QEMUs a domain has at this moment. */
    synchronized int count(String domain) {
        look();
        return (int) known.values().stream()
                .filter(seen -> seen.domain.equals(domain) && !seen.process.isGone())
                .count();
    }

    /** What must be empty. */
    synchronized List<String> overlaps() {
        return List.copyOf(overlaps);
    }

    /** How many QEMUs were seen in how many looks. */
    synchronized String counts() {
        return processes + " QEMUs seen in " + looks + " looks at the process table";
    }

    @Override
    public void close() {
        closed.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(10));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
