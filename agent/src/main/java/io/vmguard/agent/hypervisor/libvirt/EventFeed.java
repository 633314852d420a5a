/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import io.vmguard.agent.hypervisor.ConnectionState;
import io.vmguard.agent.hypervisor.Hypervisor;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/** Keeps one subscription to events alive: opens it, waits for its loss, opens the next one, until closed. */
final class EventFeed {

    private static final Logger LOG = LogManager.getLogger(EventFeed.class);

    /** An open that takes longer than this is reported. It is not repeated: autostart may hold it up for minutes. */
    private static final Duration OPEN_PATIENCE = Duration.ofSeconds(10);

    /** How long a subscription gets to say goodbye. */
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(2);

    private final Source source;
    private final String uri;
    private final Duration firstPause;
    private final Duration longestPause;
    private final CompletableFuture<Void> stopped = new CompletableFuture<>();
    private volatile ConnectionState state;
    private @Nullable Thread thread;
    /** Failures since the last connection; on the feed's thread only. */
    private int failures;

    /** Where subscriptions come from. */
    @FunctionalInterface
    interface Source {
        /** Subscribes; tells the listener of events only. Blocks as long as libvirt does, which can be for ever. */
        Subscription open(Hypervisor.Listener events) throws LibvirtFailure;
    }

    /** A connection with a subscription to events on it. */
    interface Subscription {
        /** Completed with the reason when no event will arrive any more. */
        CompletableFuture<String> lost();

        /** Removes the subscription, then closes the connection. May block. */
        void close();
    }

    /**
     * A feed, not started.
     *
     * @param uri for messages
     * @param firstPause between the end of a connection and the next attempt; doubled from attempt to attempt
     * @param longestPause what it does not grow beyond
     */
    EventFeed(Source source, String uri, Duration firstPause, Duration longestPause) {
        this.source = source;
        this.uri = uri;
        this.firstPause = firstPause;
        this.longestPause = longestPause;
        this.state = new ConnectionState(false, "not started");
    }

    /** Starts the thread, which calls the listener. */
    synchronized void start(Hypervisor.Listener listener) {
        if (thread != null) {
            throw new IllegalStateException("started before");
        }
        state = new ConnectionState(false, "connecting to " + uri);
        Thread feed = new Thread(() -> run(listener), "libvirt-events");
        feed.setDaemon(true);
        feed.start();
        thread = feed;
    }

    ConnectionState state() {
        return state;
    }

    /** Ends the subscription and the thread; waits for that up to the limit. */
    void close(Duration limit) throws InterruptedException {
        stopped.complete(null);
        Thread feed;
        synchronized (this) {
            feed = thread;
        }
        if (feed != null) {
            feed.join(limit.toMillis());
        }
        state = new ConnectionState(false, "closed");
    }

    private void run(Hypervisor.Listener listener) {
        Duration pause = firstPause;
        try {
            while (!stopped.isDone()) {
                Subscription subscription = open(listener);
                if (subscription != null) {
                    pause = firstPause;
                    serve(subscription, listener);
                }
                if (endsWithin(stopped, pause)) {
                    return;
                }
                Duration longer = pause.multipliedBy(2);
                pause = longer.compareTo(longestPause) < 0 ? longer : longestPause;
            }
        } catch (InterruptedException e) {
            // Nobody interrupts this thread but a JVM that ends.
            state = new ConnectionState(false, "interrupted");
        }
    }

    /** A subscription, or null if there is none now. */
    private @Nullable Subscription open(Hypervisor.Listener listener) throws InterruptedException {
        CompletableFuture<Subscription> opened = new CompletableFuture<>();
        inBackground("libvirt-events-open", () -> {
            try {
                opened.complete(source.open(listener));
            } catch (LibvirtFailure | RuntimeException e) {
                opened.completeExceptionally(e);
            }
        });
        if (!endsWithin(eitherOf(opened, stopped), OPEN_PATIENCE)) {
            failed("libvirt at " + uri + " has not answered for " + OPEN_PATIENCE.toSeconds() + " s; still waiting");
            awaitEnd(eitherOf(opened, stopped));
        }
        if (!opened.isDone()) {
            opened.thenAccept(Subscription::close); // on the thread that opens it, should it ever return
            return null;
        }
        try {
            return opened.get();
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            failed(String.valueOf(cause == null ? e.getMessage() : cause.getMessage()));
            return null;
        }
    }

    private void serve(Subscription subscription, Hypervisor.Listener listener) throws InterruptedException {
        LOG.info(
                "VG-502 connected to libvirt at {}{}",
                uri,
                failures == 0 ? "" : " after " + failures + " failed attempts");
        failures = 0;
        state = new ConnectionState(true, uri);
        String why = "closed by this agent";
        try {
            listener.connected();
            awaitEnd(eitherOf(subscription.lost(), stopped));
            why = subscription.lost().getNow(why);
        } catch (RuntimeException e) {
            LOG.error("VG-906 a listener failed; reconnecting so that nothing is missed", e);
            why = "a listener failed: " + e;
        }
        state = new ConnectionState(false, why);
        if (stopped.isDone()) {
            LOG.info("VG-503 leaving libvirt at {}", uri);
        } else {
            LOG.warn("VG-504 lost the connection to libvirt at {}: {}; reconnecting", uri, why);
        }
        CompletableFuture<Void> gone = new CompletableFuture<>();
        inBackground("libvirt-events-close", () -> {
            subscription.close();
            gone.complete(null);
        });
        listener.disconnected(why);
        endsWithin(gone, CLOSE_LIMIT);
    }

    private void failed(String reason) {
        state = new ConnectionState(false, reason);
        if (failures++ == 0) {
            LOG.warn("VG-505 no connection to libvirt at {}: {}; trying again until there is one", uri, reason);
        }
    }

    private static CompletableFuture<@Nullable Object> eitherOf(CompletableFuture<?> one, CompletableFuture<?> other) {
        return CompletableFuture.anyOf(one, other).handle((value, failure) -> null);
    }

    private static boolean endsWithin(CompletableFuture<?> future, Duration limit) throws InterruptedException {
        try {
            future.get(limit.toNanos(), TimeUnit.NANOSECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            return true;
        }
    }

    private static void awaitEnd(CompletableFuture<?> future) throws InterruptedException {
        try {
            future.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException("made by eitherOf, which never fails", e);
        }
    }

    private static void inBackground(String name, Runnable work) {
        Thread worker = new Thread(work, name);
        worker.setDaemon(true);
        worker.start();
    }
}
