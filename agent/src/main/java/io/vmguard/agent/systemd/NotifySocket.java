/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The socket of the service manager ({@code man 3 sd_notify}): one datagram for each message to what {@code NOTIFY_SOCKET} names.
 * Without one, nothing is said. Through libc, because Java has Unix sockets for streams only, and hands on no open files.
 *
 * <p>Never throws and never waits longer than two seconds: a service manager that does not listen is no reason to stop guarding.
 */
final class NotifySocket {

    private static final Logger LOG = LogManager.getLogger(ReadinessSocket.class);

    private static final String VARIABLE = "NOTIFY_SOCKET";

    private static final int AF_UNIX = 1;
    private static final int SOCK_DGRAM_CLOEXEC = 2 | 02000000;
    private static final int MSG_NOSIGNAL = 0x4000;
    // x86, ARM, RISC-V and s390; where the numbers differ the limit below is not set, and nothing else changes.
    private static final int SOL_SOCKET = 1;
    private static final int SO_SNDTIMEO = 21;
    private static final int SCM_RIGHTS = 1;

    /** How long a full queue of the manager may hold us up. */
    private static final long SEND_LIMIT_SECONDS = 2;

    /** {@code struct sockaddr_un}: two bytes of family, then the path ({@code man 7 unix}). */
    private static final int PATH_OFFSET = 2;

    private static final int MAX_PATH_BYTES = 108;

    /** {@code struct msghdr} and {@code struct cmsghdr} with one descriptor, as 64-bit machines have them ({@code man 3 cmsg}). */
    private static final int MSGHDR_BYTES = 56;

    private static final int IOVEC_BYTES = 16;
    private static final int CMSG_HEADER_BYTES = 16;
    private static final int CMSG_LENGTH = CMSG_HEADER_BYTES + 4;
    private static final int CMSG_SPACE = CMSG_HEADER_BYTES + 8;

    static final int NO_DESCRIPTOR = -1;

    private final @Nullable String address;

    /** The C functions, loaded at the first message. */
    private interface Sockets extends Library {
        int socket(int domain, int type, int protocol);

        int setsockopt(int fd, int level, int option, Pointer value, int length);

        int connect(int fd, Pointer address, int length);

        NativeLong send(int fd, byte[] data, NativeLong length, int flags);

        NativeLong sendmsg(int fd, Pointer message, int flags);

        int close(int fd);
    }

    private NotifySocket(@Nullable String address) {
        this.address = address;
    }

    /** The one that this process was given, or none. */
    static NotifySocket of(Map<String, String> environment) {
        return new NotifySocket(environment.get(VARIABLE));
    }

    boolean present() {
        return address != null;
    }

    void send(String message) {
        send(message, NO_DESCRIPTOR);
    }

    /** @param descriptor an open file for the manager to keep, or {@link #NO_DESCRIPTOR} */
    void send(String message, int descriptor) {
        if (address == null) {
            return;
        }
        try {
            String problem = trySend(address, message.getBytes(StandardCharsets.UTF_8), descriptor);
            if (problem != null) {
                LOG.warn("VG-107 could not tell systemd {}: {} ({}={})", message, problem, VARIABLE, address);
            }
        } catch (LinkageError | RuntimeException e) {
            LOG.warn("VG-107 could not tell systemd {}", message, e);
        }
    }

    private static @Nullable String trySend(String address, byte[] message, int descriptor) {
        byte[] path = address.getBytes(StandardCharsets.UTF_8);
        boolean isAbstract = address.startsWith("@");
        if (!isAbstract && !address.startsWith("/")) {
            return "neither a path nor an abstract name";
        }
        if (path.length >= MAX_PATH_BYTES) {
            return "the name is too long";
        }
        if (isAbstract) {
            path[0] = 0;
        }
        // An abstract name has no end mark: its length is part of it. A path gets one from the cleared memory.
        int addressLength = PATH_OFFSET + path.length + (isAbstract ? 0 : 1);
        Sockets sockets = Native.load("c", Sockets.class);
        int fd = sockets.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
        if (fd < 0) {
            return "socket failed with errno " + Native.getLastError();
        }
        try (Memory sockaddr = new Memory(PATH_OFFSET + MAX_PATH_BYTES);
                Memory limit = new Memory(2L * NativeLong.SIZE)) {
            limit.setNativeLong(0, new NativeLong(SEND_LIMIT_SECONDS));
            limit.setNativeLong(NativeLong.SIZE, new NativeLong(0));
            sockets.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, limit, (int) limit.size());
            sockaddr.clear();
            sockaddr.setShort(0, (short) AF_UNIX);
            sockaddr.write(PATH_OFFSET, path, 0, path.length);
            if (sockets.connect(fd, sockaddr, addressLength) < 0) {
                return "connect failed with errno " + Native.getLastError();
            }
            long sent = descriptor == NO_DESCRIPTOR
                    ? sockets.send(fd, message, new NativeLong(message.length), MSG_NOSIGNAL)
                            .longValue()
                    : sendWith(sockets, fd, message, descriptor);
            return sent < 0 ? "send failed with errno " + Native.getLastError() : null;
        } finally {
            sockets.close(fd);
        }
    }

    private static long sendWith(Sockets sockets, int fd, byte[] message, int descriptor) {
        if (Native.POINTER_SIZE != 8) {
            throw new IllegalStateException("files are handed on by 64-bit machines only");
        }
        try (Memory data = new Memory(message.length);
                Memory iovec = new Memory(IOVEC_BYTES);
                Memory control = new Memory(CMSG_SPACE);
                Memory header = new Memory(MSGHDR_BYTES)) {
            data.write(0, message, 0, message.length);
            iovec.setPointer(0, data);
            iovec.setLong(8, message.length);
            control.clear();
            control.setLong(0, CMSG_LENGTH);
            control.setInt(8, SOL_SOCKET);
            control.setInt(12, SCM_RIGHTS);
            control.setInt(CMSG_HEADER_BYTES, descriptor);
            header.clear();
            header.setPointer(16, iovec);
            header.setLong(24, 1);
            header.setPointer(32, control);
            header.setLong(40, CMSG_SPACE);
            return sockets.sendmsg(fd, header, MSG_NOSIGNAL).longValue();
        }
    }
}
