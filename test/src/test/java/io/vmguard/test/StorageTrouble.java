/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Faults of a host's storage that come and go until this is closed, all on one resource: errors, hangs, and writes that end later than
 * allowed. Writes that are reported failed and land later are not among them; {@code docs/interop.md} says why.
 */
final class StorageTrouble implements AutoCloseable {
    private static final List<String> FAULTS =
            List.of("eio", "eiow", "enospc", "erofs", "stall", "stallw", "delayw 1300", "delay 30");

    private final FaultyHost host;
    private final String resource;
    private final CountDownLatch over = new CountDownLatch(1);
    private final Map<String, Integer> counts = new TreeMap<>();
    private final Thread thread = new Thread(this::run, "storage-trouble");

    private StorageTrouble(FaultyHost host, String resource) {
        this.host = host;
        this.resource = resource;
    }

    static StorageTrouble begin(FaultyHost host, String resource) {
        StorageTrouble trouble = new StorageTrouble(host, resource);
        trouble.thread.start();
        return trouble;
    }

    private void run() {
        Random random = new Random(7);
        try {
            // Longer than T: what a fault leaves undetermined is looked at again after that, and then we want a turn.
            while (!over.await(random.nextInt(1_000, 4_000), TimeUnit.MILLISECONDS)) {
                String fault = FAULTS.get(random.nextInt(FAULTS.size()));
                host.fault(fault + " " + resource);
                synchronized (counts) {
                    counts.merge(fault, 1, Integer::sum);
                }
                boolean ended = over.await(random.nextInt(50, 1500), TimeUnit.MILLISECONDS);
                host.fault("ok");
                if (ended) {
                    return;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** How often each has come. */
    Map<String, Integer> counts() {
        synchronized (counts) {
            return new TreeMap<>(counts);
        }
    }

    @Override
    public void close() {
        over.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(10));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
