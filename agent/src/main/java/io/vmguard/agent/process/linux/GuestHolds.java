/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The thread that stops single threads of other processes. Linux has one means for that, ptrace(2), and takes it from the very thread that began
 * with it. If that ends, and with it if this agent ends in any way, the kernel lets them go on.
 *
 * <p>A traced thread that has been killed is not gone, nor is its process, before its end was read here. So that is looked for
 * every other millisecond as long as anything is held; none of the calls waits.
 */
final class GuestHolds {
    private static final Logger LOG = LogManager.getLogger(GuestHolds.class);

    /** How QEMU names them, if libvirt lets it: all of libvirt's versions that this agent knows do. */
    private static final Pattern VIRTUAL_PROCESSOR = Pattern.compile("(CPU \\d+|ALL CPUs)/\\S*");

    private static final long LOOK_MILLIS = 2;
    private static final NativeLong NOTHING = new NativeLong(0);

    /** One thread of a process. */
    private static final class Traced {
        final int thread;
        boolean stopped;
        /** The signal that it was about to be given when it was stopped, to be given when it goes on. */
        int signal;

        Traced(int thread) {
            this.thread = thread;
        }
    }

    /** The virtual processors of a process. */
    private static final class Hold {
        final List<Traced> threads = new ArrayList<>();

        @Nullable
        Consumer<Boolean> told;

        boolean leaving;
        /** To be held again once it has been let go. */
        @Nullable
        Consumer<Boolean> next;
    }

    private final Libc libc;
    private final ProcFs proc;
    private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
    private final Thread thread = new Thread(this::run, "guest-holds");

    /** Touched by the thread only. */
    private final Map<WatchedProcess, Hold> holds = new LinkedHashMap<>();

    private GuestHolds(Libc libc, ProcFs proc) {
        this.libc = libc;
        this.proc = proc;
    }

    /** Starts the thread. It lives as long as this process: what it holds goes on when it ends. */
    static GuestHolds start(Libc libc, ProcFs proc) {
        GuestHolds holds = new GuestHolds(libc, proc);
        holds.thread.setDaemon(true);
        holds.thread.start();
        return holds;
    }

    /** See {@link WatchedProcess#holdGuest}. */
    void hold(WatchedProcess process, Consumer<Boolean> told) {
        inbox.add(() -> begin(process, told));
    }

    /** See {@link WatchedProcess#letGuestGo}. */
    void letGo(WatchedProcess process) {
        inbox.add(() -> {
            Hold hold = holds.get(process);
            if (hold != null) {
                refuse(hold.next);
                hold.next = null;
                leave(hold);
            }
        });
    }

    private void run() {
        while (true) {
            try {
                Runnable order = holds.isEmpty() ? inbox.take() : inbox.poll(LOOK_MILLIS, TimeUnit.MILLISECONDS);
                if (order != null) {
                    order.run();
                }
                look();
            } catch (InterruptedException e) {
                return;
            } catch (RuntimeException e) {
                LOG.error("VG-909 internal error where guests are held; it goes on", e);
            }
        }
    }

    private void begin(WatchedProcess process, Consumer<Boolean> told) {
        Hold earlier = holds.get(process);
        if (earlier != null) {
            refuse(earlier.next);
            earlier.next = told;
            leave(earlier);
            return;
        }
        Hold hold = new Hold();
        hold.told = told;
        holds.put(process, hold);
        String failure = seize(process, hold);
        if (!failure.isEmpty()) {
            LOG.warn("VG-513 the guest of {} cannot be held: {}", process, failure);
            leave(hold);
        }
    }

    /** @return why it cannot be done; empty if it is done */
    private String seize(WatchedProcess process, Hold hold) {
        List<Integer> wanted;
        try {
            wanted = proc.threads(process.pid(), VIRTUAL_PROCESSOR);
        } catch (IOException e) {
            return "its threads cannot be read: " + e.getMessage();
        }
        if (wanted.isEmpty()) {
            return "none of its threads is named like a virtual processor";
        }
        for (int id : wanted) {
            if (ptrace(Libc.PTRACE_SEIZE, id, 0) != 0) {
                return "ptrace(PTRACE_SEIZE) of thread " + id + " failed with errno " + Native.getLastError();
            }
            hold.threads.add(new Traced(id));
        }
        // One that is held cannot become another; before, the number could have.
        boolean same;
        try {
            same = proc.threads(process.pid(), VIRTUAL_PROCESSOR).equals(wanted) && !process.isGone();
        } catch (IOException e) {
            same = false;
        }
        if (!same) {
            return "its threads change";
        }
        hold.threads.forEach(traced -> ptrace(Libc.PTRACE_INTERRUPT, traced.thread, 0));
        return "";
    }

    private void leave(Hold hold) {
        tell(hold, false);
        hold.leaving = true;
        // What is not stopped cannot be let go.
        hold.threads.stream()
                .filter(traced -> !traced.stopped)
                .forEach(traced -> ptrace(Libc.PTRACE_INTERRUPT, traced.thread, 0));
    }

    private static void tell(Hold hold, boolean held) {
        Consumer<Boolean> told = hold.told;
        hold.told = null;
        if (told != null) {
            told.accept(held);
        }
    }

    private static void refuse(@Nullable Consumer<Boolean> told) {
        if (told != null) {
            told.accept(false);
        }
    }

    private void look() {
        for (Map.Entry<WatchedProcess, Hold> each : List.copyOf(holds.entrySet())) {
            Hold hold = each.getValue();
            hold.threads.removeIf(this::isGone);
            if (hold.leaving) {
                hold.threads.removeIf(this::detach);
            } else if (hold.threads.stream().allMatch(traced -> traced.stopped)) {
                tell(hold, !hold.threads.isEmpty());
            }
            if (hold.threads.isEmpty()) {
                tell(hold, false);
                holds.remove(each.getKey());
                Consumer<Boolean> next = hold.next;
                if (next != null) {
                    begin(each.getKey(), next);
                }
            }
        }
    }

    /** Reads what has become of it. */
    private boolean isGone(Traced traced) {
        int[] status = new int[1];
        int result = libc.waitpid(traced.thread, status, Libc.WNOHANG | Libc.WALL);
        if (result < 0) {
            return Native.getLastError() != Libc.EINTR; // ECHILD: it is not traced any more
        }
        if (result == 0) {
            return false;
        }
        boolean stopped = (status[0] & 0xff) == 0x7f;
        if (stopped) {
            traced.stopped = true;
            int event = status[0] >> 16; // none if it was stopped by a signal that is on its way to it
            int signal = (status[0] >> 8) & 0xff;
            traced.signal = event == 0 && signal != Libc.SIGTRAP ? signal : 0;
        }
        return !stopped;
    }

    private boolean detach(Traced traced) {
        return traced.stopped && ptrace(Libc.PTRACE_DETACH, traced.thread, traced.signal) == 0;
    }

    private long ptrace(int request, int id, int data) {
        return libc.ptrace(request, new NativeLong(id), NOTHING, new NativeLong(data))
                .longValue();
    }
}
