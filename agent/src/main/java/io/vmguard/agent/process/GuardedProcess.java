/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.function.Consumer;

/**
 * One process, held so that neither its end nor a reuse of its pid can make it another. Any thread may call any method.
 *
 * <p><em>Gone</em> means that its last thread has ended: no write can be issued any more. A process that was killed while a thread
 * waits for unresponsive storage is not gone until that thread is.
 */
public interface GuardedProcess extends AutoCloseable {

    /** {@code USER_HZ}: what the kernel shows to programs, the same on every architecture that libvirt's QEMU driver runs on. */
    long TICKS_PER_SECOND = 100;

    /** The process id, for messages. It may belong to another process once this one is gone. */
    int pid();

    /**
     * When it was made, in clock ticks since boot, as in field 22 of {@code /proc/PID/stat}: together with the pid it names one process of a
     * boot. Zero if unknown.
     */
    long startTicks();

    /** The same on the boot clock, to a hundredth of a second. */
    default long startedNanos() {
        return startTicks() * (1_000_000_000L / TICKS_PER_SECOND);
    }

    /** Whether the process is proved gone. False as long as that is not known; never true by mistake. Does not block. */
    boolean isGone();

    /**
     * Calls a listener once, when the process is gone: on the thread that watches all processes, or at once on the calling
     * thread if it is gone already. The listener must only put the news into a queue. Not called after {@link #close}, unless the end and the close coincide.
     *
     * @param listener what to call
     */
    void onGone(Runnable listener);

    /** Sends SIGKILL to this very process. One system call; does not wait for the end. */
    KillSignal kill();

    /** Sends SIGSTOP to this very process. One system call; whether it has stopped {@link #isStopped} says. */
    KillSignal stop();

    /** Sends SIGCONT to this very process. One system call. */
    KillSignal proceed();

    /**
     * Whether every thread of the process is proved stopped by a signal: none runs, and none is inside a system call that goes on. False if that
     * is not known. Reads the process table, which may hang: never on a thread that decides.
     */
    boolean isStopped();

    /**
     * Stops the threads that are virtual processors, and no others: the guest stands still whatever the process is told, and the clients of
     * images in it still answer their servers. Returns at once. Ends with {@link #letGuestGo}, with {@link #close}, and with this agent.
     *
     * @param told called once, on any thread, which it must not hold up: true when each of them is proved to stand still, false if that cannot be
     *     done, and they go on
     */
    void holdGuest(Consumer<Boolean> told);

    /** Lets them go on. Returns at once; without a {@link #holdGuest} before nothing happens. */
    void letGuestGo();

    /** Lets go of the process, which goes on running. Nothing more can be learned from this object then. */
    @Override
    void close();
}
