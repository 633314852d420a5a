/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Pointer;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainChange.Kind;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.Hypervisor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.libvirt.jna.ConnectionPointer;
import org.libvirt.jna.DomainPointer;
import org.libvirt.jna.Libvirt;

/** Subscriptions to events on a connection of their own. libvirt-java has no listeners for most of them, so they come by JNA. */
final class LibvirtEvents implements EventFeed.Source {

    private static final Logger LOG = LogManager.getLogger(LibvirtEvents.class);

    private final String uri;
    private final EventLoop loop;

    /** Keeps the callbacks from the garbage collector until libvirt has let go of them. */
    private final Set<LibvirtSubscription> subscribed = ConcurrentHashMap.newKeySet();

    LibvirtEvents(String uri, EventLoop loop) {
        this.uri = uri;
        this.loop = loop;
    }

    @Override
    public EventFeed.Subscription open(Hypervisor.Listener events) throws LibvirtFailure {
        LibvirtCalls calls = LibvirtLibrary.load();
        loop.start(calls);
        Connection connection = Connection.open(calls, uri);
        if (!connection.enter(1)) {
            throw new IllegalStateException("a fresh connection has no user");
        }
        LibvirtSubscription subscription = new LibvirtSubscription(connection, events);
        subscribed.add(subscription);
        try {
            subscription.register();
        } catch (LibvirtFailure failure) {
            subscription.close();
            throw failure;
        }
        return subscription;
    }

    private final class LibvirtSubscription implements EventFeed.Subscription {

        private final Connection connection;
        private final Hypervisor.Listener events;
        private final CompletableFuture<String> lost = new CompletableFuture<>();
        private final Libvirt.VirConnectCloseFunc onClose = this::closed;
        private final Libvirt.VirConnectDomainEventCallback onLifecycle = this::happened;
        private boolean closeRegistered;
        private final List<Integer> registrations = new ArrayList<>();

        /** By libvirt's number. */
        private final Map<Integer, Libvirt.VirDomainEventCallback> callbacks = new LinkedHashMap<>();

        LibvirtSubscription(Connection connection, Hypervisor.Listener events) {
            this.connection = connection;
            this.events = events;
            LibvirtCalls.DeviceCallback added = (c, domain, alias, o) -> changed(domain, Kind.DEVICE_ADDED, alias);
            LibvirtCalls.DeviceCallback removed = (c, domain, alias, o) -> changed(domain, Kind.DEVICE_REMOVED, alias);
            LibvirtCalls.TrayCallback tray = (c, domain, alias, reason, o) ->
                    changed(domain, Kind.MEDIUM, alias + ": tray " + (reason == 0 ? "opened" : "closed"));
            LibvirtCalls.DiskChangeCallback medium = (c, domain, before, after, alias, reason, o) ->
                    changed(domain, Kind.MEDIUM, alias + ": medium changed");
            LibvirtCalls.BlockJobCallback blockJob = (c, domain, disk, type, status, o) ->
                    changed(domain, Kind.BLOCK_JOB, disk + ": type " + type + ", status " + status);
            LibvirtCalls.MigrationPassCallback pass =
                    (c, domain, number, o) -> changed(domain, Kind.MIGRATION_PASS, "pass " + number);
            LibvirtCalls.JobCompletedCallback job =
                    (c, domain, parameters, count, o) -> changed(domain, Kind.JOB_COMPLETED, "");
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_LIFECYCLE, onLifecycle);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_DISK_CHANGE, medium);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, tray);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, removed);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, blockJob);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, added);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, pass);
            callbacks.put(LibvirtCalls.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, job);
        }

        void register() throws LibvirtFailure {
            LibvirtCalls calls = connection.calls();
            if (calls.virConnectRegisterCloseCallback(connection.pointer(), onClose, null, null) < 0) {
                throw LibvirtFailure.last(calls, "virConnectRegisterCloseCallback");
            }
            closeRegistered = true;
            for (Map.Entry<Integer, Libvirt.VirDomainEventCallback> callback : callbacks.entrySet()) {
                int registration = calls.virConnectDomainEventRegisterAny(
                        connection.pointer(), null, callback.getKey(), callback.getValue(), null, null);
                if (registration < 0) {
                    throw LibvirtFailure.last(calls, "virConnectDomainEventRegisterAny(" + callback.getKey() + ")");
                }
                registrations.add(registration);
            }
        }

        @Override
        public CompletableFuture<String> lost() {
            return lost;
        }

        /** Callbacks first: each of them holds the connection, which would otherwise stay open behind a close. */
        @Override
        public void close() {
            LibvirtCalls calls = connection.calls();
            for (int registration : registrations) {
                calls.virConnectDomainEventDeregisterAny(connection.pointer(), registration);
            }
            if (closeRegistered) {
                calls.virConnectUnregisterCloseCallback(connection.pointer(), onClose);
            }
            CompletableFuture<Void> closed = connection.retire();
            connection.leave();
            closed.thenRun(() -> subscribed.remove(this));
        }

        /** On the event loop's thread. */
        private void closed(ConnectionPointer ignored, int reason, Pointer opaque) {
            lost.complete(
                    switch (reason) { // virConnectCloseReason in libvirt-common.h
                        case 0 -> "input/output error";
                        case 1 -> "the daemon closed it";
                        case 2 -> "the daemon does not answer keepalives";
                        case 3 -> "closed by this side";
                        default -> "reason " + reason;
                    });
        }

        /**
         * On the event loop's thread. Name and UUID are fields of the local object; anything else about the domain would
         * be a call that may block until a hook of it has exited.
         */
        private int happened(ConnectionPointer ignored, DomainPointer domain, int event, int detail, Pointer opaque) {
            deliver(() -> events.lifecycle(DomainEvent.of(
                    Domains.uuid(connection.calls(), domain),
                    Domains.name(connection.calls(), domain),
                    event,
                    detail)));
            return 0;
        }

        /** On the event loop's thread, as above. */
        private void changed(DomainPointer domain, Kind kind, String detail) {
            deliver(() -> events.changed(new DomainChange(
                    Domains.uuid(connection.calls(), domain), Domains.name(connection.calls(), domain), kind, detail)));
        }

        private void deliver(Runnable event) {
            try {
                event.run();
            } catch (RuntimeException e) {
                // An event that got lost leaves the listener with a wrong picture; a new connection gives it a whole
                // one.
                LOG.error("VG-906 an event could not be delivered", e);
                lost.complete("an event could not be delivered");
            }
        }
    }
}
