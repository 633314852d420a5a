/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import io.vmguard.agent.process.Lookup;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;

/**
 * Looks for a domain's process: first where libvirt wrote its pid down, then among all processes. Whatever is found is
 * verified while held, in this order: take hold of the pid, read whose it is, see that it is still alive. As long as the
 * held process lives its pid is its own, so what was read is true of it.
 */
final class ProcessSearch {

    private static final int MAX_PID_FILE_BYTES = 32;

    /** The daemons that fork themselves into a QEMU. For some 60 ms the pid is already written and the program theirs. */
    private static final List<String> DAEMONS = List.of("libvirtd", "virtqemud");

    /** What a program's name begins with if it may be a QEMU; {@code qemu-kvm} and {@code qemu-system-…}. */
    private static final String QEMU = "qemu";

    private final Path pidDirectory;
    private final ProcFs proc;
    private final Libc libc;
    private final ProcessWatch watch;
    private final GuestHolds holds;

    ProcessSearch(Path pidDirectory, ProcFs proc, Libc libc, ProcessWatch watch, GuestHolds holds) {
        this.pidDirectory = pidDirectory;
        this.proc = proc;
        this.libc = libc;
        this.watch = watch;
        this.holds = holds;
    }

    /** Searches; may block as long as /proc does. */
    Lookup search(String domainName, UUID uuid) {
        OptionalInt recorded = recordedPid(domainName);
        if (recorded.isPresent()) {
            Lookup lookup = examine(recorded.getAsInt(), domainName, uuid, true);
            if (!(lookup instanceof Lookup.NotFound)) {
                return lookup;
            }
        }
        return scan(domainName, uuid);
    }

    /**
     * Whether no process is there whose program is libvirt's daemon: neither the daemon nor a child of it that is not yet QEMU. Looked for
     * twice: what is made while the table is being read may be missed, and is there the second time if it is to become a QEMU.
     */
    boolean daemonGone() {
        try {
            boolean firstTime = noDaemonListed();
            return firstTime && noDaemonListed();
        } catch (IOException e) {
            return false;
        }
    }

    private boolean noDaemonListed() throws IOException {
        for (int pid : proc.pids()) {
            try {
                if (mayBeDaemon(pid)) {
                    return false;
                }
            } catch (NoSuchFileException e) {
                // Ended between listing and reading.
            }
        }
        return true;
    }

    /** Its own name counts as well: a thread that waits for storage may outlive what else could be read. */
    private boolean mayBeDaemon(int pid) throws IOException {
        String program = proc.program(pid);
        Optional<ProcFs.Status> status = proc.status(pid);
        if (status.isEmpty()) {
            return true;
        }
        String command = status.get().command();
        boolean unknown = program.isEmpty()
                && !status.get().kernelThread()
                && !status.get().isZombie();
        return unknown || DAEMONS.stream().anyMatch(name -> program.startsWith(name) || command.startsWith(name));
    }

    private OptionalInt recordedPid(String domainName) {
        if (domainName.isEmpty() || domainName.indexOf('/') >= 0) {
            return OptionalInt.empty();
        }
        try (InputStream in = Files.newInputStream(pidDirectory.resolve(domainName + ".pid"))) {
            String text = new String(in.readNBytes(MAX_PID_FILE_BYTES), StandardCharsets.US_ASCII).strip();
            int pid = Integer.parseInt(text);
            return pid > 1 ? OptionalInt.of(pid) : OptionalInt.empty();
        } catch (IOException | InvalidPathException | NumberFormatException e) {
            // Absent, half written, or a name that this JVM's file encoding cannot express: the scan decides.
            return OptionalInt.empty();
        }
    }

    private Lookup scan(String domainName, UUID uuid) {
        List<Lookup> hits = new ArrayList<>();
        int unreadable = 0;
        try {
            for (int pid : proc.pids()) {
                try {
                    if (mayBe(pid, uuid)) {
                        Lookup lookup = examine(pid, domainName, uuid, false);
                        if (!(lookup instanceof Lookup.NotFound)) {
                            hits.add(lookup);
                        }
                    }
                } catch (AccessDeniedException e) {
                    unreadable++;
                } catch (IOException e) {
                    // Ended between listing and reading.
                }
            }
        } catch (IOException e) {
            letGo(hits);
            return new Lookup.CannotTell("the processes cannot be listed: " + e);
        }
        if (hits.size() == 1) {
            return hits.get(0);
        }
        letGo(hits);
        if (!hits.isEmpty()) {
            return new Lookup.CannotTell(
                    hits.size() + " processes claim to be domain " + domainName + " (" + uuid + ")");
        }
        return unreadable == 0
                ? new Lookup.NotFound()
                : new Lookup.CannotTell(unreadable + " processes may not be looked at by this user");
    }

    /** Whether the process deserves a closer look: it has the UUID, or cannot say any more what it was. */
    private boolean mayBe(int pid, UUID uuid) throws IOException {
        List<String> arguments = proc.arguments(pid);
        return arguments.isEmpty()
                ? proc.status(pid).filter(ProcessSearch::isQemuZombie).isPresent()
                : QemuCommandLine.hasUuid(arguments, uuid);
    }

    private static void letGo(List<Lookup> lookups) {
        for (Lookup lookup : lookups) {
            if (lookup instanceof Lookup.Found found) {
                found.process().close();
            }
        }
    }

    /** Who the process is. A pid that libvirt wrote down may also be a QEMU in the making. */
    private Lookup examine(int pid, String domainName, UUID uuid, boolean recorded) {
        Pidfd pidfd;
        try {
            pidfd = Pidfd.open(libc, pid);
        } catch (Pidfd.NoSuchProcess e) {
            return new Lookup.NotFound();
        } catch (Pidfd.Refused e) {
            return new Lookup.CannotTell(String.valueOf(e.getMessage()));
        }
        Lookup lookup = new Lookup.NotFound();
        try {
            lookup = judge(pid, pidfd, domainName, uuid, recorded);
            return lookup;
        } finally {
            if (!(lookup instanceof Lookup.Found)) {
                pidfd.close();
            }
        }
    }

    private Lookup judge(int pid, Pidfd pidfd, String domainName, UUID uuid, boolean recorded) {
        List<String> arguments;
        Optional<ProcFs.Status> status;
        try {
            arguments = proc.arguments(pid);
            status = proc.status(pid);
        } catch (IOException e) {
            return pidfd.isReadable()
                    ? new Lookup.NotFound()
                    : new Lookup.CannotTell("process " + pid + " cannot be looked at: " + e);
        }
        String program = proc.program(pid);
        if (pidfd.isReadable()) {
            return new Lookup.NotFound(); // and what was read may be another process's
        }
        return switch (QemuCommandLine.judge(arguments, domainName, uuid)) {
            case OF_DOMAIN ->
                new Lookup.Found(WatchedProcess.of(
                        pid, status.map(ProcFs.Status::startTicks).orElse(0L), pidfd, proc, watch, holds));
            case OF_UUID_ONLY ->
                new Lookup.CannotTell(
                        "process " + pid + " runs UUID " + uuid + " under a name that is not " + domainName);
            case OTHER -> {
                if (arguments.isEmpty()
                        && status.filter(ProcessSearch::isQemuZombie).isPresent()) {
                    yield new Lookup.CannotTell("process " + pid + " is a QEMU that has ended but for some threads, and"
                            + " does not tell which domain it ran");
                }
                if (recorded && isInTheMaking(arguments, status, program)) {
                    yield new Lookup.CannotTell("process " + pid + " is not yet QEMU");
                }
                yield new Lookup.NotFound();
            }
        };
    }

    private static boolean isQemuZombie(ProcFs.Status status) {
        return status.isZombie() && status.command().startsWith(QEMU);
    }

    /** Still the daemon's program, or between two programs. */
    private static boolean isInTheMaking(List<String> arguments, Optional<ProcFs.Status> status, String program) {
        if (arguments.isEmpty()) {
            return status.filter(s -> !s.kernelThread() && !s.isZombie()).isPresent();
        }
        return DAEMONS.stream().anyMatch(program::startsWith);
    }
}
