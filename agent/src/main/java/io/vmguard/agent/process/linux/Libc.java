/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;

/** The C functions behind pidfds. The error number of a failed call is {@link Native#getLastError}, read right after it. */
interface Libc extends Library {

    /** By number, since the C library knows their names from glibc 2.36 on only; the same on every architecture. */
    long SYS_PIDFD_SEND_SIGNAL = 424;

    /** See {@code man 2 pidfd_open}. */
    long SYS_PIDFD_OPEN = 434;

    int SIGKILL = 9;
    int SIGCONT = 18;
    int SIGSTOP = 19;
    int SIGTRAP = 5;
    int ESRCH = 3;
    int EINTR = 4;
    int EINVAL = 22;
    short POLLIN = 1;

    /** {@code EFD_CLOEXEC | EFD_NONBLOCK}, see {@code man 2 eventfd}. */
    int EFD_CLOEXEC_NONBLOCK = 02000000 | 04000;

    /** See {@code man 2 ptrace}. */
    int PTRACE_DETACH = 17;

    int PTRACE_SEIZE = 0x4206;
    int PTRACE_INTERRUPT = 0x4207;

    int WNOHANG = 1;
    /** Threads that are traced as well. */
    int WALL = 0x40000000;

    /** Loads the C library. */
    static Libc load() {
        return Native.load("c", Libc.class);
    }

    /** See {@code man 2 syscall}. */
    NativeLong syscall(NativeLong number, Object... arguments);

    /** See {@code man 2 poll}; the structures are {@code int fd; short events; short revents}. */
    int poll(Pointer pollfds, NativeLong count, int timeoutMillis);

    /** See {@code man 2 eventfd}. */
    int eventfd(int initial, int flags);

    /** See {@code man 2 read}. */
    NativeLong read(int fd, byte[] buffer, NativeLong count);

    /** See {@code man 2 write}. */
    NativeLong write(int fd, byte[] buffer, NativeLong count);

    /** See {@code man 2 ptrace}: request, thread id, address, data. */
    NativeLong ptrace(int request, Object... arguments);

    /** See {@code man 2 waitpid}. */
    int waitpid(int pid, int[] status, int options);

    /** See {@code man 2 close}. */
    int close(int fd);
}
