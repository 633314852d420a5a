/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The thread that waits for the end of all held processes at once: poll(2) on their pidfds and on an eventfd that wakes it
 * up when the set has changed. It alone closes a watched pidfd, so that it never polls a number that stands for something
 * else by then.
 */
final class ProcessWatch implements AutoCloseable {

    private static final Logger LOG = LogManager.getLogger(ProcessWatch.class);

    private static final int POLLFD_BYTES = 8;
    private static final int EVENTS_OFFSET = 4;
    private static final int REVENTS_OFFSET = 6;
    private static final int FOREVER = -1;

    /** How long to wait after a poll that failed, so that a lack of memory does not also cost a core. */
    private static final long PAUSE_AFTER_FAILURE_MILLIS = 200;

    private static final byte[] ONE = ByteBuffer.allocate(Long.BYTES)
            .order(ByteOrder.nativeOrder())
            .putLong(1)
            .array();

    private final Libc libc;
    private final int wakeUpFd;
    private final Thread thread = new Thread(this::run, "process-watch");

    /** Guards what follows. */
    private final Object monitor = new Object();

    private final Set<WatchedProcess> watched = new LinkedHashSet<>();
    private final List<WatchedProcess> leaving = new ArrayList<>();
    private boolean stopping;

    private ProcessWatch(Libc libc, int wakeUpFd) {
        this.libc = libc;
        this.wakeUpFd = wakeUpFd;
    }

    /** Starts the thread. */
    static ProcessWatch start(Libc libc) throws IOException {
        int fd = libc.eventfd(0, Libc.EFD_CLOEXEC_NONBLOCK);
        if (fd < 0) {
            throw new IOException("eventfd failed with errno " + Native.getLastError());
        }
        ProcessWatch watch = new ProcessWatch(libc, fd);
        watch.thread.setDaemon(true);
        watch.thread.start();
        return watch;
    }

    /** Watches from now on. After the close of this watch, lets go of the process instead. */
    void add(WatchedProcess process) {
        synchronized (monitor) {
            if (stopping) {
                process.letGo();
                return;
            }
            watched.add(process);
            wakeUp();
        }
    }

    /** Lets go of the process soon. */
    void remove(WatchedProcess process) {
        synchronized (monitor) {
            if (watched.remove(process)) {
                leaving.add(process);
                wakeUp();
            }
        }
    }

    @Override
    public void close() {
        synchronized (monitor) {
            if (stopping) {
                return;
            }
            stopping = true;
            monitor.notifyAll();
            wakeUp();
        }
    }

    /** Under the monitor: once stopping, the thread may have closed the descriptor. */
    private void wakeUp() {
        // A full counter fails with EAGAIN, and is readable: that is all it has to be.
        libc.write(wakeUpFd, ONE, new NativeLong(ONE.length));
    }

    private void run() {
        boolean failing = false;
        while (true) {
            List<WatchedProcess> batch;
            synchronized (monitor) {
                leaving.forEach(WatchedProcess::letGo);
                leaving.clear();
                if (stopping) {
                    watched.forEach(WatchedProcess::letGo);
                    watched.clear();
                    libc.close(wakeUpFd);
                    return;
                }
                batch = List.copyOf(watched);
            }
            boolean failed = !await(batch);
            if (failed != failing) {
                failing = failed;
                LOG.warn(
                        "VG-512 {}",
                        failed
                                ? "poll of the domains' processes fails; still trying"
                                : "poll of processes works again");
            }
            if (failed) {
                pause();
            }
        }
    }

    private boolean await(List<WatchedProcess> batch) {
        try (Memory pollfds = new Memory((long) POLLFD_BYTES * (batch.size() + 1))) {
            pollfds.clear();
            ask(pollfds, batch.size(), wakeUpFd);
            for (int i = 0; i < batch.size(); i++) {
                ask(pollfds, i, batch.get(i).pidfd().number());
            }
            if (libc.poll(pollfds, new NativeLong(batch.size() + 1L), FOREVER) < 0) {
                return Native.getLastError() == Libc.EINTR;
            }
            if (answered(pollfds, batch.size())) {
                libc.read(wakeUpFd, new byte[Long.BYTES], new NativeLong(Long.BYTES));
            }
            boolean progress = answered(pollfds, batch.size());
            for (int i = 0; i < batch.size(); i++) {
                if (answered(pollfds, i)) {
                    progress = true;
                    end(batch.get(i));
                }
            }
            return progress;
        }
    }

    private void end(WatchedProcess process) {
        boolean mine;
        synchronized (monitor) {
            mine = watched.remove(process);
        }
        if (mine) { // else its owner has closed it in the meantime, and wants to hear nothing
            process.gone();
        }
    }

    private void pause() {
        synchronized (monitor) {
            if (!stopping) {
                try {
                    monitor.wait(PAUSE_AFTER_FAILURE_MILLIS);
                } catch (InterruptedException e) {
                    stopping = true;
                }
            }
        }
    }

    private static void ask(Memory pollfds, int index, int fd) {
        long offset = (long) index * POLLFD_BYTES;
        pollfds.setInt(offset, fd);
        pollfds.setShort(offset + EVENTS_OFFSET, Libc.POLLIN);
    }

    private static boolean answered(Memory pollfds, int index) {
        return (pollfds.getShort((long) index * POLLFD_BYTES + REVENTS_OFFSET) & Libc.POLLIN) != 0;
    }
}
