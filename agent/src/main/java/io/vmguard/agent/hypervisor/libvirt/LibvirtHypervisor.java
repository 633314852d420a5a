/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import io.vmguard.agent.hypervisor.ConnectionState;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.ListResult;
import io.vmguard.agent.hypervisor.LiveDevices;
import io.vmguard.agent.hypervisor.StartResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.hypervisor.VolumeResult;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * libvirt through its C library. Events, questions and destroys have connections and threads of their own: a call about a
 * domain whose hook runs blocks until that hook has exited, and must hold up nothing else.
 *
 * <p>A process has one libvirt event loop, so no two of these may be started at a time.
 */
public final class LibvirtHypervisor implements Hypervisor {

    /** Between the loss of a connection and the next attempt. Not at once: libvirtd may be about to be upgraded. */
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);

    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

    /** One for lists, which hooks can hold up, and one spare for volumes, which are asked for by hooks. */
    private static final int QUERY_CONNECTIONS = 2;

    private static final int QUERY_THREADS = 8;

    /** Questions about single domains, of which each that hangs holds a thread here and a worker of the daemon. */
    private static final int SINGLE_QUERIES = 3;

    /** Times five calls each: twenty domains at once, which is also what libvirtd has workers for. */
    private static final int DESTROY_CONNECTIONS = 4;

    /** A few more than can be sent at once: one for each wait for a connection that is being opened. */
    private static final int DESTROY_THREADS = 40;

    private static final Duration WARM_UP_LIMIT = Duration.ofSeconds(10);
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(3);

    private final EventLoop loop = new EventLoop();
    private final EventFeed feed;
    private final Connections queries;
    private final Connections destroys;
    private final BoundedCalls queryCalls = new BoundedCalls("libvirt-query", QUERY_THREADS);
    private final BoundedCalls destroyCalls = new BoundedCalls("libvirt-destroy", DESTROY_THREADS);
    private final AtomicBoolean listing = new AtomicBoolean();
    /** Domains that are being asked for. Guarded by itself. */
    private final Set<UUID> asking = new HashSet<>();

    private final LibvirtDevices devices;
    /** Guarded by itself. */
    private final Map<UUID, BoundedCalls.Pending<KillResult>> destroying = new HashMap<>();

    /**
     * The hypervisor at a URI. Touches nothing before {@link #start}.
     *
     * @param uri a libvirt connection URI, as {@code qemu:///system}
     */
    public LibvirtHypervisor(String uri) {
        feed = new EventFeed(new LibvirtEvents(uri, loop), uri, FIRST_PAUSE, LONGEST_PAUSE);
        queries = new Connections(uri, QUERY_CONNECTIONS);
        destroys = new Connections(uri, DESTROY_CONNECTIONS);
        devices = new LibvirtDevices(destroyCalls, destroys);
    }

    @Override
    public void start(Listener listener) {
        feed.start(new WarmingListener(listener));
    }

    @Override
    public ConnectionState state() {
        return feed.state();
    }

    @Override
    public ListResult listActive(Duration limit) {
        // Each list that hangs holds a worker of the daemon, and its workers are few.
        if (!listing.compareAndSet(false, true)) {
            return new ListResult.CannotTell("an earlier list of domains is still under way");
        }
        BoundedCalls.Pending<ListResult> pending;
        try {
            pending = queryCalls.begin("list of active domains", call -> {
                try {
                    return new ListResult.Listed(queries.with(call, limit, Domains::listActive));
                } finally {
                    listing.set(false);
                }
            });
        } catch (LibvirtFailure failure) {
            listing.set(false);
            return new ListResult.CannotTell(failure.reason());
        }
        try {
            return pending.await(limit);
        } catch (LibvirtFailure failure) {
            return new ListResult.CannotTell(failure.reason());
        }
    }

    @Override
    public ListResult active(UUID domain, Duration limit) {
        synchronized (asking) {
            if (asking.size() >= SINGLE_QUERIES || !asking.add(domain)) {
                return new ListResult.CannotTell("earlier questions about single domains are still under way");
            }
        }
        BoundedCalls.Pending<ListResult> pending;
        try {
            pending = queryCalls.begin("domain " + domain, call -> {
                try {
                    return new ListResult.Listed(
                            queries.with(call, limit, connection -> Domains.active(connection, domain)).stream()
                                    .toList());
                } finally {
                    asked(domain);
                }
            });
        } catch (LibvirtFailure failure) {
            asked(domain);
            return new ListResult.CannotTell(failure.reason());
        }
        try {
            return pending.await(limit);
        } catch (LibvirtFailure failure) {
            return new ListResult.CannotTell(failure.reason());
        }
    }

    private void asked(UUID domain) {
        synchronized (asking) {
            asking.remove(domain);
        }
    }

    @Override
    public KillResult destroy(UUID domain, Duration limit) {
        try {
            return destroyCall(domain, limit).await(limit);
        } catch (LibvirtFailure failure) {
            return new KillResult.Unknown(failure.reason());
        }
    }

    /** The call that is under way for this domain, or a new one. */
    private BoundedCalls.Pending<KillResult> destroyCall(UUID domain, Duration limit) throws LibvirtFailure {
        synchronized (destroying) {
            BoundedCalls.Pending<KillResult> earlier = destroying.get(domain);
            if (earlier != null) {
                return earlier;
            }
            BoundedCalls.Pending<KillResult> pending = destroyCalls.begin("destroy of domain " + domain, call -> {
                try {
                    return destroys.with(call, limit, connection -> Domains.destroy(connection, call, domain));
                } finally {
                    synchronized (destroying) {
                        destroying.remove(domain);
                    }
                }
            });
            destroying.put(domain, pending);
            return pending;
        }
    }

    @Override
    public SuspendResult suspend(UUID domain, Duration limit) {
        try {
            return destroyCalls.run(
                    "pause of domain " + domain,
                    limit,
                    call -> destroys.with(call, limit, connection -> Domains.suspend(connection, call, domain)));
        } catch (LibvirtFailure failure) {
            return new SuspendResult.Unknown(failure.reason());
        }
    }

    @Override
    public StartResult start(UUID domain, Optional<byte[]> xml, Duration limit) {
        try {
            return queryCalls.run(
                    "start of domain " + domain,
                    limit,
                    call -> queries.with(call, limit, connection -> Domains.start(connection, call, domain, xml)));
        } catch (LibvirtFailure failure) {
            return new StartResult.Failed(failure.reason());
        }
    }

    @Override
    public LiveDevices devices() {
        return devices;
    }

    @Override
    public VolumeResult resolveVolume(String pool, String volume, String mode, Duration limit) {
        try {
            return queryCalls.run(
                    "volume " + volume + " of storage pool " + pool,
                    limit,
                    call -> queries.with(call, limit, connection -> Volumes.resolve(connection, pool, volume, mode)));
        } catch (LibvirtFailure failure) {
            return new VolumeResult.CannotTell(failure.reason());
        }
    }

    @Override
    public void close() {
        try {
            feed.close(CLOSE_LIMIT);
            CompletableFuture<Void> closed = CompletableFuture.allOf(queries.close(), destroys.close());
            queryCalls.close();
            destroyCalls.close();
            try {
                closed.get(CLOSE_LIMIT.toNanos(), TimeUnit.NANOSECONDS);
            } catch (TimeoutException | ExecutionException e) {
                // A daemon that hangs does not say goodbye; the end of the process closes the sockets.
            }
            loop.stop(CLOSE_LIMIT);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Opens a connection for destroys as soon as there is a daemon: later, when it counts, an open may not get through. */
    private final class WarmingListener implements Listener {

        private final Listener listener;

        WarmingListener(Listener listener) {
            this.listener = listener;
        }

        @Override
        public void connected() {
            try {
                destroyCalls.begin("opening", call -> {
                    destroys.warmUp(WARM_UP_LIMIT);
                    return true;
                });
            } catch (LibvirtFailure failure) {
                // Opened when needed, then.
            }
            listener.connected();
        }

        @Override
        public void disconnected(String why) {
            listener.disconnected(why);
        }

        @Override
        public void lifecycle(DomainEvent event) {
            listener.lifecycle(event);
        }

        @Override
        public void changed(DomainChange change) {
            listener.changed(change);
        }
    }
}
