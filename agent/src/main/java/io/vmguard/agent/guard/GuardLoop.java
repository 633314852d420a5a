/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/** The guard's thread and its queue: everybody else only leaves messages here. */
final class GuardLoop {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** Starts and hints beyond it are turned away; what the engine and the guard's own calls say never is, and is bounded by the runs. */
    private static final int MAX_MESSAGES = 10_000;

    private static final long CLOSE_MILLIS = 2000;
    private static final long FIRST_TICK_MILLIS = 50;

    private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
    private final Executor hypervisorCalls;
    private final Executor lookups;
    private final Runnable first;
    private final Runnable tick;
    private final Runnable last;
    private final Thread thread;
    private long handled;
    private long tickMillis = FIRST_TICK_MILLIS;
    private volatile boolean hintsDropped;
    private volatile boolean closing;

    /**
     * Makes it; {@link #start} starts it.
     *
     * @param hypervisorCalls runs calls of the hypervisor, which may hang
     * @param lookups runs searches for processes; apart from the former, for a kill may need one while the hypervisor hangs
     * @param first what is done before each message and each tick
     * @param tick what is done after each message, and when none has come for the time of a tick; may set when the next one is to be
     * @param last what is done when the thread ends, after the last message
     */
    GuardLoop(Executor hypervisorCalls, Executor lookups, Runnable first, Runnable tick, Runnable last) {
        this.hypervisorCalls = hypervisorCalls;
        this.lookups = lookups;
        this.first = first;
        this.tick = tick;
        this.last = last;
        this.thread = new Thread(this::loop, "vmguard-guard");
        this.thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    private void loop() {
        while (!closing) {
            try {
                step(inbox.poll(tickMillis, TimeUnit.MILLISECONDS));
            } catch (InterruptedException e) {
                break;
            } catch (RuntimeException e) {
                LOG.error("VG-903 internal error in the guard; it goes on", e);
            }
        }
        end();
    }

    private void step(@Nullable Runnable message) {
        first.run();
        if (message != null) {
            handled++;
            message.run();
        }
        tick.run();
    }

    /** Handles everything that is in the queue now, on the calling thread. For tests, which never start the loop. */
    void drain() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            step(message);
        }
        step(null);
    }

    void tell(Runnable message) {
        inbox.add(message);
    }

    /**
     * From outside, where nobody bounds how many there are.
     *
     * @return false if there are too many: nothing is queued
     */
    boolean offer(Runnable message) {
        return inbox.size() < MAX_MESSAGES && inbox.offer(message);
    }

    void hint(Runnable message) {
        if (!offer(message)) {
            hintsDropped = true;
        }
    }

    /**
     * Runs a call of the hypervisor on another thread.
     *
     * @param failed handled on the guard's thread if it cannot be run or has a bug
     */
    void askHypervisor(Runnable call, Runnable failed) {
        elsewhere(hypervisorCalls, call, failed);
    }

    /** The same for a search for a process. */
    void lookUp(Runnable call, Runnable failed) {
        elsewhere(lookups, call, failed);
    }

    /** The same for what else may take long. */
    void elsewhere(Executor threads, Runnable call, Runnable failed) {
        try {
            threads.execute(() -> {
                try {
                    call.run();
                } catch (RuntimeException e) {
                    LOG.error("VG-903 internal error in a slow call", e);
                    tell(failed);
                }
            });
        } catch (RejectedExecutionException e) {
            LOG.error("VG-904 no thread for a slow call", e);
            tell(failed);
        }
    }

    /** When the next tick is to be if no message comes before. On the guard's thread. */
    void tickAfter(Duration pause) {
        tickMillis = pause.toMillis();
    }

    /** When the next tick comes at the latest, after the last one. On the guard's thread. */
    Duration tick() {
        return Duration.ofMillis(tickMillis);
    }

    /** How many messages were handled so far. On the guard's thread. */
    long handled() {
        return handled;
    }

    /** Whether no message waits. */
    boolean quiet() {
        return inbox.isEmpty();
    }

    /** Whether hints were turned away since the last call. */
    boolean takeHintsDropped() {
        boolean dropped = hintsDropped;
        hintsDropped = false;
        return dropped;
    }

    boolean closing() {
        return closing;
    }

    /** Ends the thread after what is in the queue; waits a little for it. */
    void close() {
        closing = true;
        tell(() -> {}); // wakes it up
        if (!thread.isAlive()) {
            end();
            return;
        }
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void end() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            try {
                message.run();
            } catch (RuntimeException e) {
                LOG.error("VG-903 internal error in the guard while it stops", e);
            }
        }
        last.run();
    }
}
