/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/**
 * A connection to wdmd. Through libc, because the open socket must be handed to the next agent.
 *
 * <p>wdmd reads whole messages, in its only thread and without a limit: one that is sent in part stops it, and with it the machine.
 */
final class WdmdConnection {
    private static final int POLLFD_BYTES = 8;
    private static final int ADDRESS_BYTES = 110;
    private static final int PATH_OFFSET = 2;

    private final Libc libc;
    private final int fd;

    private WdmdConnection(Libc libc, int fd) {
        this.libc = libc;
        this.fd = fd;
    }

    /** A socket that an earlier agent had connected. */
    static WdmdConnection inherited(Libc libc, int fd) {
        libc.fcntl(fd, Libc.F_SETFD, Libc.FD_CLOEXEC);
        libc.fcntl(fd, Libc.F_SETFL, Libc.O_NONBLOCK);
        return new WdmdConnection(libc, fd);
    }

    /** @throws IOException at once if it is not there or does not accept */
    static WdmdConnection connect(Libc libc, Path socket) throws IOException {
        byte[] path = socket.toString().getBytes(StandardCharsets.UTF_8);
        if (path.length >= ADDRESS_BYTES - PATH_OFFSET) {
            throw new IOException(socket + ": the name is too long");
        }
        int fd = libc.socket(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        if (fd < 0) {
            throw new IOException("socket: " + Libc.text(Native.getLastError()));
        }
        try (Memory address = new Memory(ADDRESS_BYTES)) {
            address.clear();
            address.setShort(0, (short) Libc.AF_UNIX);
            address.write(PATH_OFFSET, path, 0, path.length);
            if (libc.connect(fd, address, ADDRESS_BYTES) < 0) {
                int errno = Native.getLastError();
                libc.close(fd);
                throw new IOException(socket + ": " + Libc.text(errno));
            }
        }
        return new WdmdConnection(libc, fd);
    }

    int fd() {
        return fd;
    }

    /** @throws IOException if it has not been sent, or only in part; never waits */
    void send(WdmdMessage message) throws IOException {
        byte[] bytes = message.encode();
        int sent = libc.send(fd, bytes, new NativeLong(bytes.length), Libc.MSG_NOSIGNAL)
                .intValue();
        if (sent < 0) {
            int errno = Native.getLastError();
            throw new IOException(errno == Libc.EAGAIN ? "it does not read" : Libc.text(errno));
        }
        if (sent != bytes.length) {
            // A stream socket takes so little whole or not at all. If not: the rest must follow.
            byte[] rest = Arrays.copyOfRange(bytes, sent, bytes.length);
            if (libc.send(fd, rest, new NativeLong(rest.length), Libc.MSG_NOSIGNAL)
                            .intValue()
                    != rest.length) {
                throw new IOException("it has got half a message");
            }
        }
    }

    /** The next message, or empty if none comes within the limit. */
    Optional<WdmdMessage> receive(int limitMillis) throws IOException {
        if (!readable(limitMillis)) {
            return Optional.empty();
        }
        byte[] bytes = new byte[WdmdMessage.BYTES];
        int got = libc.read(fd, bytes, new NativeLong(bytes.length)).intValue();
        if (got <= 0) {
            throw new IOException("it has closed the connection");
        }
        if (got != bytes.length) {
            throw new IOException("it has answered " + got + " bytes");
        }
        return Optional.of(WdmdMessage.decode(bytes));
    }

    /** @throws IOException if the other side has gone */
    void check() throws IOException {
        while (receive(0).isPresent()) {
            // An answer that came too late for the question.
        }
    }

    private boolean readable(int limitMillis) {
        try (Memory pollfd = new Memory(POLLFD_BYTES)) {
            pollfd.setInt(0, fd);
            pollfd.setShort(4, Libc.POLLIN);
            pollfd.setShort(6, (short) 0);
            return libc.poll(pollfd, new NativeLong(1), limitMillis) == 1;
        }
    }

    void close() {
        libc.close(fd);
    }
}
