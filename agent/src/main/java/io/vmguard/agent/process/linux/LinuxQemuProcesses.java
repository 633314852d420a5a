/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import io.vmguard.agent.process.Lookup;
import io.vmguard.agent.process.QemuProcesses;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * QEMU processes by pidfd (Linux 5.3 or newer). Lookups read /proc, which has been seen to hang on processes in
 * uninterruptible I/O: they run on threads that are left behind at a limit. A found process needs system calls only, and
 * none that waits.
 */
public final class LinuxQemuProcesses implements QemuProcesses {

    /** Where libvirt's QEMU driver writes {@code NAME.pid}. */
    public static final Path DEFAULT_PID_DIRECTORY = Path.of("/run/libvirt/qemu");

    private static final Path PROC = Path.of("/proc");

    /** A scan of a thousand processes takes some 50 ms; this is for a busy host. */
    private static final Duration LOOKUP_LIMIT = Duration.ofSeconds(2);

    /** How many lookups may hang before further ones are refused. */
    private static final int MAX_LOOKUPS = 8;

    private static final long IDLE_SECONDS = 60;

    private final ProcessWatch watch;
    private final ProcessSearch search;
    private final ProcFs processTable;
    private final ThreadPoolExecutor lookups;

    private LinuxQemuProcesses(ProcessWatch watch, ProcessSearch search, ProcFs processTable) {
        this.watch = watch;
        this.search = search;
        this.processTable = processTable;
        this.lookups =
                new ThreadPoolExecutor(0, MAX_LOOKUPS, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), r -> {
                    Thread thread = new Thread(r, "process-lookup");
                    thread.setDaemon(true);
                    return thread;
                });
    }

    /**
     * Starts the thread that watches processes.
     *
     * @param pidDirectory where pid files are, {@link #DEFAULT_PID_DIRECTORY} but in tests; need not exist
     * @throws IOException if the system gives no file descriptor for it
     */
    public static LinuxQemuProcesses start(Path pidDirectory) throws IOException {
        return start(pidDirectory, PROC);
    }

    /** The same with another process table. */
    static LinuxQemuProcesses start(Path pidDirectory, Path proc) throws IOException {
        Libc libc = Libc.load();
        ProcessWatch watch = ProcessWatch.start(libc);
        ProcFs processTable = new ProcFs(proc);
        GuestHolds holds = GuestHolds.start(libc, processTable);
        return new LinuxQemuProcesses(
                watch, new ProcessSearch(pidDirectory, processTable, libc, watch, holds), processTable);
    }

    @Override
    public boolean daemonGone() {
        try {
            return CompletableFuture.supplyAsync(search::daemonGone, lookups)
                    .get(LOOKUP_LIMIT.toNanos(), TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException | TimeoutException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } catch (ExecutionException e) {
            throw new IllegalStateException("search for libvirt's daemon", e.getCause());
        }
    }

    @Override
    public Lookup find(String domainName, UUID uuid) {
        CompletableFuture<Lookup> answer;
        try {
            answer = CompletableFuture.supplyAsync(() -> search.search(domainName, uuid), lookups);
        } catch (RejectedExecutionException e) {
            return new Lookup.CannotTell(
                    lookups.isShutdown() ? "the agent is ending" : MAX_LOOKUPS + " earlier lookups have not returned");
        }
        try {
            return answer.get(LOOKUP_LIMIT.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            answer.thenAccept(LinuxQemuProcesses::letGo);
            return new Lookup.CannotTell("the process table did not answer within " + LOOKUP_LIMIT.toSeconds() + " s");
        } catch (InterruptedException e) {
            answer.thenAccept(LinuxQemuProcesses::letGo);
            Thread.currentThread().interrupt();
            return new Lookup.CannotTell("interrupted while looking for the process");
        } catch (ExecutionException e) {
            throw new IllegalStateException("lookup of the process of domain " + domainName, e.getCause());
        }
    }

    /**
     * Whether the process that had this pid and start time has not been proved gone. One read of the process table, which waits for
     * no other process.
     */
    public boolean mayBeThere(int pid, long startTicks) {
        return processTable.mayBeThere(pid, startTicks);
    }

    @Override
    public void close() {
        lookups.shutdown();
        watch.close();
    }

    private static void letGo(Lookup late) {
        if (late instanceof Lookup.Found found) {
            found.process().close();
        }
    }
}
