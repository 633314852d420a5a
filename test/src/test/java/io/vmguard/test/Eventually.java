/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Waits for something to become true, never longer than a limit, never a fixed time. */
public final class Eventually {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration CLOSE_POLL = Duration.ofMillis(5);

    /** What is waited for. An exception or failed assertion means "not yet"; the last one is shown when the limit is over. */
    public interface Condition {
        boolean holds() throws Exception;
    }

    /** Something that comes into being. */
    public interface Source<T> {
        Optional<T> look() throws Exception;
    }

    private Eventually() {}

    /**
     * @param description as in "waited for ...": {@code "demo2 to run on host B"}
     * @throws AssertionError when it does not hold within the limit
     */
    public static void await(String description, Duration limit, Condition condition) {
        get(description, limit, () -> condition.holds() ? Optional.of(true) : Optional.empty());
    }

    /** The same for something that is soon over, if a look at it costs next to nothing. */
    static void awaitClosely(String description, Duration limit, Condition condition) {
        boolean ignored =
                get(description, limit, CLOSE_POLL, () -> condition.holds() ? Optional.of(true) : Optional.empty());
    }

    /** The same for something that is wanted itself. */
    public static <T> T get(String description, Duration limit, Source<T> source) {
        return get(description, limit, POLL, source);
    }

    private static <T> T get(String description, Duration limit, Duration poll, Source<T> source) {
        long startedNanos = System.nanoTime();
        // Never counted down: a wait on it is a pause that an interrupt ends.
        CountDownLatch never = new CountDownLatch(1);
        @Nullable Throwable last = null;
        while (true) {
            // A look that begins within the limit counts, so read the clock first.
            boolean over = System.nanoTime() - startedNanos > limit.toNanos();
            try {
                Optional<T> found = source.look();
                if (found.isPresent()) {
                    return found.get();
                }
                last = null;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted while waiting for " + description, e);
            } catch (Exception | AssertionError e) {
                last = e;
            }
            if (over) {
                String detail = last == null ? "" : ": " + last;
                throw new AssertionError(
                        "waited %.1f s in vain for %s%s".formatted(limit.toMillis() / 1000.0, description, detail),
                        last);
            }
            pause(never, poll, description);
        }
    }

    private static void pause(CountDownLatch never, Duration poll, String description) {
        try {
            boolean ignored = never.await(poll.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while waiting for " + description, e);
        }
    }
}
