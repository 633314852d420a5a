/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Reads what a guest of {@code test-guest} writes to its disk, many times a second. Two copies of a migrated guest have the same run
 * number and count on from where they parted: if both write, the count that is read goes back.
 */
final class Stamps implements AutoCloseable {
    private static final long LOOK_MILLIS = 2;
    private static final long COUNTER_OFFSET = 100 * 512L;

    private final FileChannel disk;
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread thread = new Thread(this::read, "stamps");
    private final Set<Long> earlierRuns = new HashSet<>();
    private final List<String> problems = new ArrayList<>();
    private long run;
    private long count;
    private long stamps;
    private long changedNanos;
    private long longestNanos;

    private Stamps(FileChannel disk) {
        this.disk = disk;
        thread.setDaemon(true);
        thread.start();
    }

    /** @param disk as this machine sees it */
    static Stamps watch(Path disk) {
        try {
            return new Stamps(FileChannel.open(disk, StandardOpenOption.READ));
        } catch (IOException e) {
            throw new AssertionError("cannot open " + disk, e);
        }
    }

    private void read() {
        ByteBuffer sector = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        try {
            while (!closed.await(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                sector.clear();
                if (disk.read(sector, COUNTER_OFFSET) == 8) {
                    take(Integer.toUnsignedLong(sector.getInt(4)), Integer.toUnsignedLong(sector.getInt(0)));
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new AssertionError("cannot read stamps", e);
        }
    }

    private synchronized void take(long readRun, long readCount) {
        if (readRun == run && readCount == count) {
            return;
        }
        long nowNanos = System.nanoTime();
        if (readRun == run) {
            longestNanos = Math.max(longestNanos, nowNanos - changedNanos);
            if (readCount < count) {
                problems.add("run %08x went back from %d to %d".formatted(run, count, readCount));
            }
        } else if (!earlierRuns.add(readRun)) {
            problems.add("run %08x wrote again after %08x".formatted(readRun, run));
        }
        changedNanos = nowNanos;
        run = readRun;
        count = readCount;
        stamps++;
    }

    /** How often the guest has written. */
    synchronized long count() {
        return count;
    }

    /** Forgets the longest time between two stamps. */
    synchronized void forget() {
        longestNanos = 0;
    }

    /** The longest time between two stamps since then. */
    synchronized double longestMillis() {
        return longestNanos / 1e6;
    }

    /** What must be empty. */
    synchronized List<String> problems() {
        return List.copyOf(problems);
    }

    @Override
    public synchronized String toString() {
        return stamps + " stamps, the longest time between two " + longestNanos / 1_000_000 + " ms";
    }

    @Override
    public void close() {
        closed.countDown();
        try {
            thread.join(TimeUnit.SECONDS.toMillis(10));
            disk.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
