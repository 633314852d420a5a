/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import io.vmguard.agent.process.KillSignal;

/**
 * A file descriptor that stands for one process ({@code man 2 pidfd_open}). It becomes readable when the last thread of
 * the process has ended; as long as it is not, the pid cannot have been reused.
 *
 * <p>Every use and the close exclude each other: the number of a closed descriptor may stand for another process already.
 */
final class Pidfd implements AutoCloseable {

    private static final int CLOSED = -1;
    private static final int POLLFD_BYTES = 8;

    private final Libc libc;
    private int fd;

    private Pidfd(Libc libc, int fd) {
        this.libc = libc;
        this.fd = fd;
    }

    /**
     * Takes hold of a process.
     *
     * @throws NoSuchProcess if no process has this id
     * @throws Refused if the kernel does not say
     */
    static Pidfd open(Libc libc, int pid) throws NoSuchProcess, Refused {
        int fd = libc.syscall(new NativeLong(Libc.SYS_PIDFD_OPEN), new NativeLong(pid), new NativeLong(0))
                .intValue();
        if (fd >= 0) {
            return new Pidfd(libc, fd);
        }
        int errno = Native.getLastError();
        // EINVAL: the id is that of a thread, or of a process that is being reaped.
        if (errno == Libc.ESRCH || errno == Libc.EINVAL) {
            throw new NoSuchProcess();
        }
        throw new Refused("pidfd_open of process " + pid + " failed with errno " + errno);
    }

    /** The descriptor, to be polled by the one thread that also closes this. */
    synchronized int number() {
        return fd;
    }

    /** Whether the last thread has ended. False also when closed or when the kernel does not say. */
    synchronized boolean isReadable() {
        if (fd == CLOSED) {
            return false;
        }
        try (Memory pollfd = new Memory(POLLFD_BYTES)) {
            pollfd.setInt(0, fd);
            pollfd.setShort(4, Libc.POLLIN);
            pollfd.setShort(6, (short) 0);
            return libc.poll(pollfd, new NativeLong(1), 0) == 1 && (pollfd.getShort(6) & Libc.POLLIN) != 0;
        }
    }

    /** Sends a signal ({@code man 2 pidfd_send_signal}). */
    synchronized KillSignal send(int signal) {
        if (fd == CLOSED) {
            return new KillSignal.Failed("the process has been let go of");
        }
        int result = libc.syscall(
                        new NativeLong(Libc.SYS_PIDFD_SEND_SIGNAL),
                        new NativeLong(fd),
                        new NativeLong(signal),
                        new NativeLong(0),
                        new NativeLong(0))
                .intValue();
        if (result == 0) {
            return new KillSignal.Sent();
        }
        int errno = Native.getLastError();
        return errno == Libc.ESRCH
                ? new KillSignal.AlreadyGone()
                : new KillSignal.Failed("pidfd_send_signal failed with errno " + errno);
    }

    @Override
    public synchronized void close() {
        if (fd != CLOSED) {
            libc.close(fd);
            fd = CLOSED;
        }
    }

    /** No process has the id. */
    static final class NoSuchProcess extends Exception {
        @java.io.Serial
        private static final long serialVersionUID = 1L;

        NoSuchProcess() {
            super("no such process", null, false, false);
        }
    }

    /** The kernel gave another error. */
    static final class Refused extends Exception {
        @java.io.Serial
        private static final long serialVersionUID = 1L;

        Refused(String message) {
            super(message, null, false, false);
        }
    }
}
