/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import com.sun.jna.Pointer;
import io.vmguard.agent.hypervisor.DomainEvent;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.libvirt.jna.ConnectionPointer;
import org.libvirt.jna.DomainPointer;
import org.libvirt.jna.Libvirt;

/** Subscriptions to lifecycle events on a connection of their own. */
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
    public EventFeed.Subscription open(Consumer<DomainEvent> events) throws LibvirtFailure {
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
        private final Consumer<DomainEvent> events;
        private final CompletableFuture<String> lost = new CompletableFuture<>();
        private final Libvirt.VirConnectCloseFunc onClose = this::closed;
        private final Libvirt.VirConnectDomainEventCallback onLifecycle = this::happened;
        private boolean closeRegistered;
        private int eventRegistration = -1;

        LibvirtSubscription(Connection connection, Consumer<DomainEvent> events) {
            this.connection = connection;
            this.events = events;
        }

        void register() throws LibvirtFailure {
            LibvirtCalls calls = connection.calls();
            if (calls.virConnectRegisterCloseCallback(connection.pointer(), onClose, null, null) < 0) {
                throw LibvirtFailure.last(calls, "virConnectRegisterCloseCallback");
            }
            closeRegistered = true;
            eventRegistration = calls.virConnectDomainEventRegisterAny(
                    connection.pointer(), null, LibvirtCalls.VIR_DOMAIN_EVENT_ID_LIFECYCLE, onLifecycle, null, null);
            if (eventRegistration < 0) {
                throw LibvirtFailure.last(calls, "virConnectDomainEventRegisterAny");
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
            if (eventRegistration >= 0) {
                calls.virConnectDomainEventDeregisterAny(connection.pointer(), eventRegistration);
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
            try {
                events.accept(DomainEvent.of(
                        Domains.uuid(connection.calls(), domain),
                        Domains.name(connection.calls(), domain),
                        event,
                        detail));
            } catch (RuntimeException e) {
                // An event that got lost leaves the listener with a wrong picture; a new connection gives it a whole
                // one.
                LOG.error("a lifecycle event could not be delivered", e);
                lost.complete("an event could not be delivered");
            }
            return 0;
        }
    }
}
