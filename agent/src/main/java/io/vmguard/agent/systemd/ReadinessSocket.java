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
 * Tells systemd how the service is ({@code man 3 sd_notify}): one datagram for each message to the socket that {@code
 * NOTIFY_SOCKET} names. Without one, nothing is said. Through libc, because Java has Unix sockets for streams only.
 *
 * <p>Never throws and never waits longer than two seconds: a service manager that does not listen is no reason to stop
 * guarding. Any thread may call.
 */
public final class ReadinessSocket {

    private static final Logger LOG = LogManager.getLogger(ReadinessSocket.class);

    private static final String VARIABLE = "NOTIFY_SOCKET";

    private static final int AF_UNIX = 1;
    private static final int SOCK_DGRAM_CLOEXEC = 2 | 02000000;
    private static final int MSG_NOSIGNAL = 0x4000;
    // x86, ARM, RISC-V and s390; where the numbers differ the limit below is not set, and nothing else changes.
    private static final int SOL_SOCKET = 1;
    private static final int SO_SNDTIMEO = 21;

    /** How long a full queue of the manager may hold us up. */
    private static final long SEND_LIMIT_SECONDS = 2;

    /** {@code struct sockaddr_un}: two bytes of family, then the path ({@code man 7 unix}). */
    private static final int PATH_OFFSET = 2;

    private static final int MAX_PATH_BYTES = 108;

    private final @Nullable String address;

    /** The C functions, loaded at the first message. */
    private interface Sockets extends Library {
        int socket(int domain, int type, int protocol);

        int setsockopt(int fd, int level, int option, Pointer value, int length);

        NativeLong sendto(int fd, byte[] data, NativeLong length, int flags, Pointer address, int addressLength);

        int close(int fd);
    }

    private ReadinessSocket(@Nullable String address) {
        this.address = address;
    }

    /**
     * The socket that this process was given, or none.
     *
     * @param environment the process's environment
     */
    public static ReadinessSocket of(Map<String, String> environment) {
        return new ReadinessSocket(environment.get(VARIABLE));
    }

    /** The service is up. */
    public void ready() {
        send("READY=1");
    }

    /**
     * A line for {@code systemctl status}.
     *
     * @param text one line; line breaks become spaces
     */
    public void status(String text) {
        send("STATUS=" + text.replaceAll("\\R", " "));
    }

    /** The service is on its way down. */
    public void stopping() {
        send("STOPPING=1");
    }

    private void send(String message) {
        if (address == null) {
            return;
        }
        try {
            String problem = trySend(address, message.getBytes(StandardCharsets.UTF_8));
            if (problem != null) {
                LOG.warn("could not tell systemd {}: {} ({}={})", message, problem, VARIABLE, address);
            }
        } catch (LinkageError | RuntimeException e) {
            LOG.warn("could not tell systemd {}", message, e);
        }
    }

    private static @Nullable String trySend(String address, byte[] message) {
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
            NativeLong sent =
                    sockets.sendto(fd, message, new NativeLong(message.length), MSG_NOSIGNAL, sockaddr, addressLength);
            return sent.longValue() < 0 ? "sendto failed with errno " + Native.getLastError() : null;
        } finally {
            sockets.close(fd);
        }
    }
}
