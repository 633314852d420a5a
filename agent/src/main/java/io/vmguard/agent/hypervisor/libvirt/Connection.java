/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import java.util.concurrent.CompletableFuture;
import org.libvirt.jna.ConnectionPointer;

/**
 * An open connection and those who use it. It is closed by the last user after it was retired, never under a call that
 * hangs in it: libvirt would free what that call still reads.
 */
final class Connection {

    /** With the count below, libvirt finds a hung daemon within 15 to 20 s and fails the calls that wait for it. */
    private static final int KEEPALIVE_INTERVAL_SECONDS = 5;

    private static final int KEEPALIVE_COUNT = 3;

    private final LibvirtCalls calls;
    private final ConnectionPointer pointer;
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private int users;
    private boolean retired;

    private Connection(LibvirtCalls calls, ConnectionPointer pointer) {
        this.calls = calls;
        this.pointer = pointer;
    }

    /**
     * Opens a connection with keepalive. Blocks for as long as the daemon does not answer, which can be for ever: the
     * calling thread must be one that nobody waits for without a limit.
     */
    static Connection open(LibvirtCalls calls, String uri) throws LibvirtFailure {
        ConnectionPointer pointer = calls.virConnectOpen(uri);
        if (pointer == null) {
            throw LibvirtFailure.last(calls, "open " + uri);
        }
        Connection connection = new Connection(calls, pointer);
        if (calls.virConnectSetKeepAlive(pointer, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT) < 0) {
            LibvirtFailure failure = LibvirtFailure.last(calls, "keepalive for " + uri);
            // A driver inside this process, as the test driver, has no daemon that could hang.
            if (!failure.is(LibvirtCalls.VIR_ERR_NO_SUPPORT)) {
                connection.retire();
                throw failure;
            }
        }
        return connection;
    }

    LibvirtCalls calls() {
        return calls;
    }

    /** For calls between {@link #enter} and {@link #leave}. */
    ConnectionPointer pointer() {
        return pointer;
    }

    /** Whether it is still worth a call. Looks at the local socket only. */
    boolean isUsable() {
        synchronized (this) {
            if (retired) {
                return false;
            }
            users++;
        }
        try {
            return calls.virConnectIsAlive(pointer) == 1;
        } finally {
            leave();
        }
    }

    /** Takes part in the connection, unless it is retired or has that many users. Pairs with {@link #leave}. */
    synchronized boolean enter(int maxUsers) {
        if (retired || users >= maxUsers) {
            return false;
        }
        users++;
        return true;
    }

    /** The end of what {@link #enter} began. */
    void leave() {
        boolean last;
        synchronized (this) {
            users--;
            last = retired && users == 0;
        }
        if (last) {
            close();
        }
    }

    /**
     * No new user from here on; closes once the last one has left. May be called more than once, from any thread, and
     * never blocks.
     *
     * @return done when the connection is closed, which may be never
     */
    CompletableFuture<Void> retire() {
        boolean last;
        synchronized (this) {
            last = !retired && users == 0;
            retired = true;
        }
        if (last) {
            close();
        }
        return closed;
    }

    private void close() {
        // Says goodbye to the daemon and waits for its answer: not on a thread that anybody waits for.
        Thread closer = new Thread(
                () -> {
                    calls.virConnectClose(pointer);
                    closed.complete(null);
                },
                "libvirt-close");
        closer.setDaemon(true);
        closer.start();
    }
}
