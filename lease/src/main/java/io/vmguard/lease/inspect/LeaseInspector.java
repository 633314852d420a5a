/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.function.Function;

/**
 * Looks through a lease directory from outside: no membership, no write, no lock. Several hosts may work in it meanwhile.
 *
 * <p>Whatever the bytes, the answer is an inspection with findings, never an exception.
 */
public final class LeaseInspector {
    /** Reads at a time: enough to keep a disk or an NFS server busy, few enough to leave it to those who renew leases. */
    private static final int PARALLEL = 8;

    /** How closely resources are looked at. */
    public enum Depth {
        /** As much as tells who holds it: at most the disk blocks of host ids that were ever taken. */
        HOLDERS,
        /** Every disk block that takes part in ballots, up to 1 MiB a resource. */
        EVERY_BLOCK
    }

    /** One of the two, or neither if the file could not be opened for reason of not being there any more. */
    private record Seen(Optional<LockspaceInspection> lockspace, Optional<ResourceSighting> resource) {}

    private final LeaseFiles files;

    public LeaseInspector(LeaseFiles files) {
        this.files = files;
    }

    /** For messages. */
    public String where() {
        return files.where();
    }

    /** Whether a lease keeps its place for good, so that there is nothing to be cleaned up. */
    public boolean keepsPlaces() {
        return files.keepsPlaces();
    }

    /**
     * Looks at every file.
     *
     * @throws IOException with a sentence for people, if the directory cannot be read
     */
    public DirectoryInspection inspect(Depth depth) throws IOException {
        return inspect(files.list(), depth);
    }

    /**
     * Looks at one file, and at the lockspace that it belongs to.
     *
     * @return with one lockspace or one resource, and with neither if there is no such file
     * @throws IOException with a sentence for people, if the command is interrupted
     */
    public DirectoryInspection inspect(LeaseName file, Depth depth) throws IOException {
        return inspect(files.find(file).stream().toList(), depth);
    }

    /** Explains every byte of an area; empty if there is no such file, or it cannot be read: an inspection says why. */
    public Optional<AreaDump> dump(LeaseName file) {
        return files.find(file).flatMap(entry -> opened(entry, LeaseInspector::dump, finding -> Optional.empty()));
    }

    private static Optional<AreaDump> dump(Look look) {
        LeaseLayout layout = look.layout().orElse(LeaseLayout.SECTOR_512);
        return look.readArea(layout.areaBytes()) instanceof IoOutcome.Done done
                ? Optional.of(AreaDumper.dump(look, layout, done.bytes()))
                : Optional.empty();
    }

    private DirectoryInspection inspect(List<LeaseFiles.Entry> entries, Depth depth) throws IOException {
        Pass first = new Pass(depth);
        List<Seen> seen = first.over(entries);
        Pass second = new Pass(depth); // reads the delta leases after the leaders
        List<LockspaceInspection> lockspaces = new ArrayList<>();
        List<ResourceInspection> resources = new ArrayList<>();
        for (Seen one : seen) {
            one.lockspace().ifPresent(lockspaces::add);
            one.resource()
                    .ifPresent(r ->
                            resources.add(r.judge(r.leader().flatMap(leader -> second.lockspace(leader.lockspace())))));
        }
        for (LockspaceInspection later : second.lockspaces()) {
            lockspaces.removeIf(earlier -> earlier.file().equals(later.file()));
            lockspaces.add(later);
        }
        lockspaces.sort(Comparator.comparing(LockspaceInspection::file));
        return new DirectoryInspection(files.where(), lockspaces, resources);
    }

    /** One pass over the directory; lockspaces are read when a resource first names them. */
    private final class Pass {
        private final Depth depth;
        private final Map<String, FutureTask<Optional<LockspaceInspection>>> lockspaces = new ConcurrentHashMap<>();

        Pass(Depth depth) {
            this.depth = depth;
        }

        List<Seen> over(List<LeaseFiles.Entry> entries) throws IOException {
            ExecutorService readers = Executors.newFixedThreadPool(PARALLEL, LeaseInspector::daemon);
            try {
                List<Future<Seen>> pending = new ArrayList<>();
                for (LeaseFiles.Entry entry : entries) {
                    pending.add(readers.submit(() -> see(entry)));
                }
                List<Seen> seen = new ArrayList<>();
                for (Future<Seen> one : pending) {
                    seen.add(outcome(one));
                }
                return seen;
            } finally {
                readers.shutdownNow();
            }
        }

        private Seen see(LeaseFiles.Entry entry) {
            return opened(
                    entry,
                    look -> look.kind() == Look.Kind.LOCKSPACE
                            ? new Seen(Optional.of(LockspaceReader.read(look).inspection()), Optional.empty())
                            : new Seen(
                                    Optional.empty(), Optional.of(ResourceReader.read(look, this::lockspace, depth))),
                    // One that went away since the directory was listed was removed.
                    finding -> new Seen(
                            Optional.empty(),
                            finding.fault() == LeaseFault.MISSING
                                    ? Optional.empty()
                                    : Optional.of(closed(entry, finding))));
        }

        /** The lockspace in the file of its name. The first who asks reads it; the others wait for him. */
        Optional<LockspaceInspection> lockspace(String name) {
            FutureTask<Optional<LockspaceInspection>> mine = new FutureTask<>(() -> Look.fileName(name)
                    .flatMap(LeaseInspector.this::lockspaceArea)
                    .map(LockspaceReader.Area::inspection));
            FutureTask<Optional<LockspaceInspection>> first = lockspaces.putIfAbsent(name, mine);
            if (first == null) {
                mine.run();
            }
            try {
                return outcome(first == null ? mine : first);
            } catch (IOException e) {
                return Optional.empty(); // the command is being interrupted
            }
        }

        List<LockspaceInspection> lockspaces() {
            return lockspaces.keySet().stream()
                    .map(this::lockspace)
                    .flatMap(Optional::stream)
                    .toList();
        }
    }

    /** The lockspace of that name in the file of that name, where its hosts look for it. */
    Optional<LockspaceReader.Area> lockspaceArea(LeaseName name) {
        return files.find(name)
                .flatMap(there -> opened(
                        there,
                        look -> look.kind() == Look.Kind.LOCKSPACE
                                ? Optional.of(LockspaceReader.read(look))
                                : Optional.<LockspaceReader.Area>empty(),
                        finding -> Optional.empty()))
                .filter(found -> found.inspection().name().equals(name.value()));
    }

    private <T> T opened(LeaseFiles.Entry entry, Function<Look, T> then, Function<Finding, T> failed) {
        String path = files.path(entry);
        if (!entry.regular()) {
            return failed.apply(new Finding(LeaseFault.MAGIC, path, 0, "it is not a regular file", ""));
        }
        return files.openToRead(entry.name())
                .fold(
                        ready -> {
                            try (LeaseFile file = ready.file()) {
                                IoOutcome head = Look.head(entry, file);
                                return head instanceof IoOutcome.Done done
                                        ? then.apply(new Look(entry, path, file, done.bytes()))
                                        : failed.apply(unreadable(path, (IoOutcome.Failed) head));
                            }
                        },
                        (fault, why) -> failed.apply(new Finding(fault, path, 0, "it cannot be opened: " + why, "")));
    }

    private static Finding unreadable(String path, IoOutcome.Failed failed) {
        return new Finding(failed.fault(), path, 0, "it cannot be read: " + failed.why(), "");
    }

    private ResourceSighting closed(LeaseFiles.Entry entry, Finding finding) {
        return ResourceSighting.without(
                entry, finding.file(), entry.regular() ? State.UNREADABLE : State.FOREIGN, List.of(finding));
    }

    private static <T> T outcome(Future<T> future) throws IOException {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("a look never fails by itself", e);
        }
    }

    private static Thread daemon(Runnable task) {
        Thread thread = new Thread(task, "vmguard-inspect");
        thread.setDaemon(true);
        return thread;
    }
}
