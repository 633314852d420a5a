/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** A process held by its pidfd and watched by the one thread that does so for all. */
final class WatchedProcess implements GuardedProcess {

    private static final Logger LOG = LogManager.getLogger(WatchedProcess.class);

    private final int pid;
    private final long startTicks;
    private final Pidfd pidfd;
    private final ProcFs proc;
    private final ProcessWatch watch;
    private final GuestHolds holds;
    private volatile boolean gone;

    /** Guarded by itself, together with the writes of {@code gone}. */
    private final List<Runnable> listeners = new ArrayList<>();

    private WatchedProcess(int pid, long startTicks, Pidfd pidfd, ProcFs proc, ProcessWatch watch, GuestHolds holds) {
        this.pid = pid;
        this.startTicks = startTicks;
        this.pidfd = pidfd;
        this.proc = proc;
        this.watch = watch;
        this.holds = holds;
    }

    /** Takes over the pidfd and has it watched. */
    static WatchedProcess of(int pid, long startTicks, Pidfd pidfd, ProcFs proc, ProcessWatch watch, GuestHolds holds) {
        WatchedProcess process = new WatchedProcess(pid, startTicks, pidfd, proc, watch, holds);
        watch.add(process);
        return process;
    }

    Pidfd pidfd() {
        return pidfd;
    }

    @Override
    public int pid() {
        return pid;
    }

    @Override
    public long startTicks() {
        return startTicks;
    }

    @Override
    public boolean isGone() {
        return gone || pidfd.isReadable();
    }

    @Override
    public void onGone(Runnable listener) {
        synchronized (listeners) {
            if (!gone) {
                listeners.add(listener);
                return;
            }
        }
        listener.run();
    }

    @Override
    public KillSignal kill() {
        return send(Libc.SIGKILL);
    }

    @Override
    public KillSignal stop() {
        return send(Libc.SIGSTOP);
    }

    @Override
    public KillSignal proceed() {
        return send(Libc.SIGCONT);
    }

    private KillSignal send(int signal) {
        return gone ? new KillSignal.AlreadyGone() : pidfd.send(signal);
    }

    @Override
    public boolean isStopped() {
        try {
            boolean stopped = proc.isStopped(pid);
            // As long as the process was not gone after the look, what was seen was its own.
            return stopped && !isGone();
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void holdGuest(Consumer<Boolean> told) {
        holds.hold(this, told);
    }

    @Override
    public void letGuestGo() {
        holds.letGo(this);
    }

    @Override
    public void close() {
        letGuestGo();
        watch.remove(this);
    }

    /** By the watch: the pidfd was readable. */
    void gone() {
        List<Runnable> toTell;
        synchronized (listeners) {
            gone = true;
            toTell = List.copyOf(listeners);
            listeners.clear();
        }
        pidfd.close();
        for (Runnable listener : toTell) {
            try {
                listener.run();
            } catch (RuntimeException e) {
                // One listener must not cost the others theirs.
                LOG.error("VG-906 a listener to the end of process {} failed", pid, e);
            }
        }
    }

    /** By the watch: nobody wants to know any more. */
    void letGo() {
        pidfd.close();
    }

    @Override
    public String toString() {
        return "process " + pid;
    }
}
