/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.testing;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Waits for a condition, never longer than a limit, never a fixed time. */
public final class Await {
    private static final long POLL_MILLIS = 20;

    private Await() {}

    /** @throws AssertionError if it does not hold within the limit */
    public static void until(String what, Duration limit, BooleanSupplier condition) {
        long startedNanos = System.nanoTime();
        CountDownLatch never = new CountDownLatch(1);
        while (true) {
            // A look that begins within the limit counts, so read the clock first.
            boolean over = System.nanoTime() - startedNanos > limit.toNanos();
            if (condition.getAsBoolean()) {
                return;
            }
            if (over) {
                throw new AssertionError("waited " + limit.toMillis() + " ms in vain for " + what);
            }
            try {
                boolean ignored = never.await(POLL_MILLIS, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted while waiting for " + what, e);
            }
        }
    }
}
