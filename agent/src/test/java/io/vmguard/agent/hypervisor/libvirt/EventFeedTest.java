/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.Hypervisor;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What happens to a subscription that cannot be had, gets lost, or hangs; with a source that is told what to do. */
@Timeout(30)
class EventFeedTest {

    private static final Duration PAUSE = Duration.ofMillis(10);
    private static final Duration LIMIT = Duration.ofSeconds(5);

    private final LinkedBlockingQueue<Object> heard = new LinkedBlockingQueue<>();
    private final ScriptedSource source = new ScriptedSource();
    private final EventFeed feed = new EventFeed(source, "fake:///", PAUSE, PAUSE.multipliedBy(4));

    private final Hypervisor.Listener listener = new Hypervisor.Listener() {
        @Override
        public void connected() {
            heard.add("connected");
        }

        @Override
        public void disconnected(String why) {
            heard.add("disconnected: " + why);
        }

        @Override
        public void lifecycle(DomainEvent event) {
            heard.add(event);
        }

        @Override
        public void changed(DomainChange change) {
            heard.add(change);
        }
    };

    @AfterEach
    void close() throws InterruptedException {
        source.opens.add(new FakeSubscription());
        feed.close(LIMIT);
    }

    @Test
    void lostConnectionIsReportedClosedAndReplaced() throws InterruptedException {
        FakeSubscription first = new FakeSubscription();
        FakeSubscription second = new FakeSubscription();
        source.opens.add(first);
        feed.start(listener);
        assertThat(next()).isEqualTo("connected");

        first.lost.complete("the daemon closed it");
        assertThat(next()).isEqualTo("disconnected: the daemon closed it");
        assertThat(first.closed.await(5, TimeUnit.SECONDS)).isTrue();

        source.opens.add(second);
        assertThat(next()).isEqualTo("connected");
        assertThat(feed.state().connected()).isTrue();
    }

    @Test
    void failuresAreRetriedAndNotReportedToTheListener() throws InterruptedException {
        for (int i = 0; i < 5; i++) {
            source.opens.add(LibvirtFailure.local("no daemon"));
        }
        feed.start(listener);
        source.opens.add(new FakeSubscription());
        assertThat(next()).isEqualTo("connected");
        assertThat(heard).isEmpty();
    }

    @Test
    void eventsOfEachSubscriptionReachTheListener() throws InterruptedException {
        source.opens.add(new FakeSubscription());
        feed.start(listener);
        assertThat(next()).isEqualTo("connected");
        DomainEvent event = DomainEvent.of(UUID.randomUUID(), "demo1", 2, 0);
        Hypervisor.Listener subscribed = source.events.take();
        subscribed.lifecycle(event);
        assertThat(next()).isEqualTo(event);
        DomainChange change = new DomainChange(event.uuid(), "demo1", DomainChange.Kind.DEVICE_ADDED, "virtio-disk1");
        subscribed.changed(change);
        assertThat(next()).isEqualTo(change);
    }

    @Test
    void openThatHangsDoesNotKeepTheFeedFromClosing() throws InterruptedException {
        feed.start(listener);
        assertThat(source.asked.await(5, TimeUnit.SECONDS)).isTrue();
        feed.close(LIMIT);
        assertThat(feed.state().connected()).isFalse();
        assertThat(heard).isEmpty();

        FakeSubscription late = new FakeSubscription();
        source.opens.add(late);
        assertThat(late.closed.await(5, TimeUnit.SECONDS))
                .as("a connection that comes after the end is closed")
                .isTrue();
    }

    @Test
    void closeThatHangsDoesNotKeepTheNextConnectionAway() throws InterruptedException {
        FakeSubscription stuck = new FakeSubscription() {
            @Override
            public void close() {
                new CompletableFuture<Void>().join();
            }
        };
        source.opens.add(stuck);
        source.opens.add(new FakeSubscription());
        feed.start(listener);
        assertThat(next()).isEqualTo("connected");
        stuck.lost.complete("keepalive");
        assertThat(next()).isEqualTo("disconnected: keepalive");
        assertThat(next()).isEqualTo("connected");
    }

    private Object next() throws InterruptedException {
        Object item = heard.poll(10, TimeUnit.SECONDS);
        assertThat(item).as("something heard in time").isNotNull();
        return item;
    }

    /** Each open waits for the next subscription or failure that the test puts in. */
    private static final class ScriptedSource implements EventFeed.Source {

        final LinkedBlockingQueue<Object> opens = new LinkedBlockingQueue<>();
        final CountDownLatch asked = new CountDownLatch(1);
        final LinkedBlockingQueue<Hypervisor.Listener> events = new LinkedBlockingQueue<>();

        @Override
        public EventFeed.Subscription open(Hypervisor.Listener listener) throws LibvirtFailure {
            asked.countDown();
            try {
                Object outcome = opens.take();
                if (outcome instanceof LibvirtFailure failure) {
                    throw failure;
                }
                events.add(listener);
                return (EventFeed.Subscription) outcome;
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static class FakeSubscription implements EventFeed.Subscription {

        final CompletableFuture<String> lost = new CompletableFuture<>();
        final CountDownLatch closed = new CountDownLatch(1);

        @Override
        public CompletableFuture<String> lost() {
            return lost;
        }

        @Override
        public void close() {
            closed.countDown();
        }
    }
}
