/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import java.util.Map;

/** The C functions that watchdogs need. The error number of a failed call is {@link Native#getLastError}, read right after it. */
interface Libc extends Library {
    int O_WRONLY = 1;
    int O_NONBLOCK = 04000;
    int O_NOCTTY = 0400;
    int O_CLOEXEC = 02000000;
    int F_SETFD = 2;
    int F_SETFL = 4;
    int FD_CLOEXEC = 1;
    int AF_UNIX = 1;
    int SOCK_STREAM = 1;
    int MSG_NOSIGNAL = 0x4000;
    short POLLIN = 1;

    int ENOENT = 2;
    int EAGAIN = 11;
    int EACCES = 13;
    int EBUSY = 16;
    int ENODEV = 19;
    int ENOTTY = 25;
    int EPIPE = 32;
    int EOPNOTSUPP = 95;
    int ECONNREFUSED = 111;

    Map<Integer, String> TEXTS = Map.of(
            ENOENT, "there is no such file",
            EACCES, "permission denied",
            EAGAIN, "it does not listen",
            EBUSY, "it is in use by another program",
            ENODEV, "there is no such device",
            ENOTTY, "it is not a watchdog",
            EPIPE, "the other side has gone",
            ECONNREFUSED, "nobody listens");

    static Libc load() {
        return Native.load("c", Libc.class);
    }

    /** A few words about an error number. */
    static String text(int errno) {
        return TEXTS.getOrDefault(errno, "errno " + errno);
    }

    /** See {@code man 2 open}. */
    int open(String path, int flags);

    /** See {@code man 2 close}. */
    int close(int fd);

    /** See {@code man 2 ioctl}. */
    int ioctl(int fd, NativeLong request, Pointer argument);

    /** See {@code man 2 fcntl}. */
    int fcntl(int fd, int command, int argument);

    /** See {@code man 2 read}. */
    NativeLong read(int fd, byte[] buffer, NativeLong count);

    /** See {@code man 2 write}. */
    NativeLong write(int fd, byte[] buffer, NativeLong count);

    /** See {@code man 2 send}. */
    NativeLong send(int fd, byte[] buffer, NativeLong count, int flags);

    /** See {@code man 2 socket}. */
    int socket(int domain, int type, int protocol);

    /** See {@code man 2 connect}. */
    int connect(int fd, Pointer address, int length);

    /** See {@code man 2 poll}; one structure is {@code int fd; short events; short revents}. */
    int poll(Pointer pollfds, NativeLong count, int timeoutMillis);
}
