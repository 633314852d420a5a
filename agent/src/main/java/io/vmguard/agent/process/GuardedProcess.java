/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.time.Duration;

/**
 * One process, held so that neither its end nor a reuse of its pid can make it another. Any thread may call any method.
 *
 * <p><em>Gone</em> means that its last thread has ended: no write can be issued any more. A process that was killed while
 * a thread waits for unresponsive storage is not gone until that thread is.
 */
public interface GuardedProcess extends AutoCloseable {

    /** The process id, for messages. It may belong to another process once this one is gone. */
    int pid();

    /** Whether the process is proved gone. False as long as that is not known; never true by mistake. Does not block. */
    boolean isGone();

    /**
     * Waits for the process to be gone.
     *
     * @param limit how long at most
     * @return whether it is gone
     * @throws InterruptedException if the thread was interrupted
     */
    boolean awaitGone(Duration limit) throws InterruptedException;

    /**
     * Calls a listener once, when the process is gone: on the thread that watches all processes, or at once on the calling
     * thread if it is gone already. The listener must only put the news into a queue. Not called after {@link #close}, unless the end and the close coincide.
     *
     * @param listener what to call
     */
    void onGone(Runnable listener);

    /** Sends SIGKILL to this very process. One system call; does not wait for the end. */
    KillSignal kill();

    /** Lets go of the process, which goes on running. Nothing more can be learned from this object then. */
    @Override
    void close();
}
