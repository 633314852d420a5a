/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A few connections for one purpose, opened when needed and replaced when dead or suspect. A place in which an open hangs
 * stays taken until that open returns: a second one would hang as well, and each holds a thread here and a client there.
 */
final class Connections {

    /**
     * What libvirtd works on for one client at a time ({@code max_client_requests}, 5 by default); a further call waits
     * even if it could be answered at once.
     */
    private static final int CALLS_PER_CONNECTION = 5;

    private final String uri;
    private final int maxConnections;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final List<Connection> open = new ArrayList<>();
    private int opening;
    private boolean closed;

    /** What to do with a connection. */
    @FunctionalInterface
    interface Use<T> {
        T apply(Connection connection) throws LibvirtFailure;
    }

    Connections(String uri, int maxConnections) {
        this.uri = uri;
        this.maxConnections = maxConnections;
    }

    /**
     * Runs a use on a connection; once more on another one if the first turns out to be dead, as after a restart of the
     * daemon that nobody has noticed yet. Blocks as long as libvirt does.
     *
     * @param limit how long to wait at most for a free place; later the caller has given up anyway
     */
    <T> T with(Call call, Duration limit, Use<T> use) throws LibvirtFailure {
        Connection first = borrow(limit);
        try {
            return use(call, first, use);
        } catch (LibvirtFailure failure) {
            if (first.isUsable()) {
                throw failure;
            }
        }
        call.proceed();
        return use(call, borrow(limit), use);
    }

    /** Opens a first connection if there is none, so that it need not be opened when the daemon is overloaded. */
    void warmUp(Duration limit) throws LibvirtFailure {
        giveBack(borrow(limit));
    }

    /** Retires all connections; no use begins from here on. Done when all are closed, which may be never. */
    CompletableFuture<Void> close() {
        List<Connection> all;
        lock.lock();
        try {
            closed = true;
            all = List.copyOf(open);
            open.clear();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        return CompletableFuture.allOf(all.stream().map(Connection::retire).toArray(CompletableFuture<?>[]::new));
    }

    private <T> T use(Call call, Connection connection, Use<T> use) throws LibvirtFailure {
        try {
            call.proceedOn(connection);
            return use.apply(connection);
        } finally {
            call.finished();
            giveBack(connection);
        }
    }

    private Connection borrow(Duration limit) throws LibvirtFailure {
        Connection free = freeOrPlace(limit);
        return free != null ? free : openInPlace();
    }

    /** A connection, entered; or null when the caller has taken the place for a new one. */
    private @Nullable Connection freeOrPlace(Duration limit) throws LibvirtFailure {
        long leftNanos = limit.toNanos();
        lock.lock();
        try {
            while (true) {
                if (closed) {
                    throw LibvirtFailure.local("the connection to libvirt is being closed");
                }
                dropUnusable();
                for (Connection connection : open) {
                    if (connection.enter(CALLS_PER_CONNECTION)) {
                        return connection;
                    }
                }
                if (open.size() + opening < maxConnections) {
                    opening++;
                    return null;
                }
                if (leftNanos <= 0) {
                    throw LibvirtFailure.local(
                            opening > 0
                                    ? "libvirt has not answered the opening of a connection"
                                    : "all connections to libvirt are busy");
                }
                leftNanos = changed.awaitNanos(leftNanos);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw LibvirtFailure.local("interrupted while waiting for a connection to libvirt");
        } finally {
            lock.unlock();
        }
    }

    private Connection openInPlace() throws LibvirtFailure {
        Connection fresh = null;
        boolean late;
        try {
            fresh = Connection.open(LibvirtLibrary.load(), uri);
            fresh.enter(1);
        } finally {
            lock.lock();
            opening--;
            late = closed;
            if (fresh != null && !late) {
                open.add(fresh);
            }
            changed.signalAll();
            lock.unlock();
        }
        if (late) {
            fresh.retire();
            fresh.leave();
            throw LibvirtFailure.local("the connection to libvirt is being closed");
        }
        return fresh;
    }

    private void dropUnusable() {
        open.removeIf(connection -> {
            if (connection.isUsable()) {
                return false;
            }
            connection.retire();
            return true;
        });
    }

    private void giveBack(Connection connection) {
        connection.leave();
        lock.lock();
        try {
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }
}
