/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** A QEMU. It lives until it is ended; SIGKILL ends it unless a thread of it is stuck in I/O. Any thread. */
public final class FakeProcess {
    private final int pid;
    private final long startTicks;
    private final List<Handle> handles = new ArrayList<>();
    private boolean gone;
    private boolean stuck;
    private boolean stopped;
    private boolean stopsLate;
    private boolean guestHeld;
    private boolean unholdable;
    private int kills;
    private int proceeds;

    public FakeProcess(int pid, long startTicks) {
        this.pid = pid;
        this.startTicks = startTicks;
    }

    /** Its process id. */
    public int pid() {
        return pid;
    }

    /** From now on a SIGKILL is noted but changes nothing before {@link #end}. */
    public synchronized void stick() {
        stuck = true;
    }

    /** From now on a thread of it hangs, so that a SIGSTOP does not come through. */
    public synchronized void stopLate(boolean late) {
        stopsLate = late;
    }

    /** Whether SIGSTOP has come through to all of it, and no SIGCONT since. */
    public synchronized boolean stopped() {
        return !gone && stopped && !stopsLate;
    }

    /** Somebody else sends SIGCONT. */
    public synchronized void proceedByOthers() {
        stopped = false;
    }

    /** From now on its virtual processors cannot be held. */
    public synchronized void unholdable() {
        unholdable = true;
    }

    /** Whether its virtual processors are held, so that the guest stands still. */
    public synchronized boolean guestHeld() {
        return !gone && guestHeld;
    }

    /** Who held its virtual processors has died. */
    public synchronized void holderDies() {
        guestHeld = false;
    }

    /** Its last thread ends. Everybody who holds it is told, on this thread. */
    public void end() {
        List<Runnable> listeners = new ArrayList<>();
        synchronized (this) {
            if (gone) {
                return;
            }
            gone = true;
            handles.forEach(handle -> listeners.addAll(handle.listeners));
        }
        listeners.forEach(Runnable::run);
    }

    /** Whether it can still write. */
    public synchronized boolean alive() {
        return !gone;
    }

    /** How often it was sent SIGKILL. */
    public synchronized int kills() {
        return kills;
    }

    /** How often it was sent SIGCONT. */
    public synchronized int proceeds() {
        return proceeds;
    }

    /** How many handles on it are open. */
    public synchronized int held() {
        return handles.size();
    }

    /** A new handle, as a lookup gives it. */
    GuardedProcess hold() {
        Handle handle = new Handle();
        synchronized (this) {
            handles.add(handle);
        }
        return handle;
    }

    private final class Handle implements GuardedProcess {
        private final List<Runnable> listeners = new ArrayList<>();

        @Override
        public int pid() {
            return pid;
        }

        @Override
        public long startTicks() {
            return startTicks;
        }

        @Override
        public KillSignal stop() {
            return set(true);
        }

        @Override
        public KillSignal proceed() {
            return set(false);
        }

        private KillSignal set(boolean nowStopped) {
            synchronized (FakeProcess.this) {
                if (gone) {
                    return new KillSignal.AlreadyGone();
                }
                stopped = nowStopped;
                proceeds += nowStopped ? 0 : 1;
            }
            return new KillSignal.Sent();
        }

        @Override
        public void holdGuest(Consumer<Boolean> told) {
            synchronized (FakeProcess.this) {
                guestHeld = !unholdable;
            }
            told.accept(guestHeld());
        }

        @Override
        public void letGuestGo() {
            synchronized (FakeProcess.this) {
                guestHeld = false;
            }
        }

        @Override
        public boolean isStopped() {
            return stopped();
        }

        @Override
        public boolean isGone() {
            return !alive();
        }

        @Override
        public void onGone(Runnable listener) {
            synchronized (FakeProcess.this) {
                if (!gone) {
                    listeners.add(listener);
                    return;
                }
            }
            listener.run();
        }

        @Override
        public KillSignal kill() {
            boolean ends;
            synchronized (FakeProcess.this) {
                if (gone) {
                    return new KillSignal.AlreadyGone();
                }
                kills++;
                ends = !stuck;
            }
            if (ends) {
                end();
            }
            return new KillSignal.Sent();
        }

        @Override
        public void close() {
            synchronized (FakeProcess.this) {
                handles.remove(this);
                guestHeld = false;
            }
        }
    }
}
