/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.device.linux.LinuxClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Hosts of both kinds take one resource and give it back as fast as they can.
 *
 * <p>The referee knows nothing of leases. Each racer notes when it held the resource, by the clock that all processes of this machine
 * share: from after the grant until before the release. An exclusive hold that overlaps any other hold is a violation.
 */
final class Race {
    /** A host of ours, wherever its engine runs. */
    interface Racer {
        /** @return 0 or sanlock's number for the answer */
        int acquire(boolean shared);

        void release();
    }

    /** A hold, by readings of CLOCK_MONOTONIC. */
    record Hold(String host, boolean shared, long fromNanos, long untilNanos) {}

    /** One attempt of a racer that was not granted, or was. */
    private record Attempt(String host, String mode, int code) {}

    /**
     * What came of it.
     *
     * @param granted by host
     * @param codes how often each code was the answer, by kind of host and mode: {@code "we SH" -> {0=120, -243=7}}
     * @param violations empty, if the protocol is worth anything
     */
    record Result(
            Map<String, Integer> granted,
            Map<String, Map<Integer, Integer>> codes,
            List<String> violations,
            double seconds) {
        int acquires() {
            return granted.values().stream().mapToInt(Integer::intValue).sum();
        }

        /** All answers that were given. */
        List<Integer> answers() {
            return codes.values().stream()
                    .flatMap(c -> c.keySet().stream())
                    .distinct()
                    .toList();
        }

        int attempts() {
            return codes.values().stream()
                    .flatMap(c -> c.values().stream())
                    .mapToInt(Integer::intValue)
                    .sum();
        }

        /** How often that was the answer. */
        int count(int code) {
            return codes.values().stream()
                    .mapToInt(c -> c.getOrDefault(code, 0))
                    .sum();
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "%d acquires in %.1f s, by host %s, answers %s, violations %s",
                    acquires(),
                    seconds,
                    granted,
                    codes,
                    violations);
        }
    }

    private static final int MAX_HOLD_MILLIS = 3;
    private static final int MAX_PAUSE_MILLIS = 10;

    private final Site site;
    private final int percentShared;
    private final LinuxClock clock = new LinuxClock();
    private final CountDownLatch stop = new CountDownLatch(1);
    private final AtomicInteger ourGrants = new AtomicInteger();
    private final List<Hold> holds = new ArrayList<>();
    private final List<Attempt> attempts = new ArrayList<>();

    Race(Site site, int percentShared) {
        this.site = site;
        this.percentShared = percentShared;
    }

    /**
     * Lets them race until so many acquires were granted.
     *
     * @param ourShare how many of them to hosts of ours, at the least
     */
    Result run(List<? extends Racer> ours, List<SanlockHost> stocks, int acquires, int ourShare, Duration limit)
            throws IOException {
        long startedNanos = clock.bootNanos();
        Path stopFile = site.leases().resolve("stop");
        ExecutorService threads = Executors.newCachedThreadPool();
        List<Future<?>> racing = new ArrayList<>();
        for (int i = 0; i < ours.size(); i++) {
            Racer host = ours.get(i);
            String name = "we" + i;
            racing.add(threads.submit(() -> race(name, host)));
        }
        Map<String, Running> theirs = new TreeMap<>();
        stocks.forEach(stock -> theirs.put(stock.name(), stock.spawnRace(Site.R1, percentShared, "stop")));
        AssertionError late = null;
        try {
            Eventually.await(acquires + " acquires", limit, () -> {
                if (racing.stream().anyMatch(Future::isDone)) {
                    return true; // it has failed, and the others may wait for it for ever
                }
                int granted = ourGrants.get();
                for (Running racer : theirs.values()) {
                    racer.ended().ifPresent(Ran::mustSucceed);
                    granted +=
                            (int) racer.stdout().lines().filter(Race::isGrant).count();
                }
                if (granted < acquires || ourGrants.get() < ourShare) {
                    throw new AssertionError("only " + granted + ", " + ourGrants + " of them ours");
                }
                return true;
            });
        } catch (AssertionError e) {
            late = e;
        } finally {
            Files.createFile(stopFile);
            stop.countDown();
        }
        racing.forEach(Race::join);
        threads.shutdown();
        theirs.forEach((host, racer) ->
                racer.awaitEnd(Site.SOON).mustSucceed().stdout().lines().forEach(line -> note(host, line)));
        Result result = result((clock.bootNanos() - startedNanos) / 1e9);
        if (late != null) {
            throw new AssertionError(result + "\n" + stocks.get(0).dump(Site.R1).stdout(), late);
        }
        return result;
    }

    private static void join(Future<?> racer) {
        try {
            racer.get(60, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("a racer of ours", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    // ---- our racers

    private Void race(String name, Racer host) throws InterruptedException {
        Random random = new Random(name.hashCode());
        boolean over = false;
        while (!over) {
            boolean shared = random.nextInt(100) < percentShared;
            int code = host.acquire(shared);
            if (code == SanlockHost.HELD) {
                long fromNanos = clock.monotonicNanos();
                over = stop.await(random.nextInt(MAX_HOLD_MILLIS + 1), TimeUnit.MILLISECONDS);
                hold(new Hold(name, shared, fromNanos, clock.monotonicNanos()));
                ourGrants.incrementAndGet();
                host.release();
            }
            attempt(new Attempt("we", shared ? "SH" : "EX", code));
            over |= stop.await(random.nextInt(MAX_PAUSE_MILLIS + 1), TimeUnit.MILLISECONDS);
        }
        return null;
    }

    // ---- theirs: lines of sanlock-race

    private static boolean isGrant(String line) {
        return line.startsWith("0", "EX ".length());
    }

    private void note(String host, String line) {
        String[] words = line.split(" ");
        attempt(new Attempt("stock", words[0], Integer.parseInt(words[1])));
        if (isGrant(line)) {
            hold(new Hold(host, words[0].equals("SH"), Long.parseLong(words[2]), Long.parseLong(words[3])));
        }
    }

    // ---- the referee

    private void hold(Hold hold) {
        synchronized (holds) {
            holds.add(hold);
        }
    }

    private void attempt(Attempt attempt) {
        synchronized (attempts) {
            attempts.add(attempt);
        }
    }

    private Result result(double seconds) {
        Map<String, Integer> granted = new TreeMap<>();
        holds.forEach(hold -> granted.merge(hold.host(), 1, Integer::sum));
        Map<String, Map<Integer, Integer>> codes = new TreeMap<>();
        attempts.forEach(attempt -> codes.computeIfAbsent(
                        attempt.host() + " " + attempt.mode(), kind -> new TreeMap<>(Comparator.reverseOrder()))
                .merge(attempt.code(), 1, Integer::sum));
        return new Result(granted, codes, violations(holds), seconds);
    }

    /** In the order in which they began, each hold is compared with the latest end of those that it must not meet. */
    static List<String> violations(List<Hold> holds) {
        List<String> violations = new ArrayList<>();
        Hold none = new Hold("", false, 0, 0);
        Hold lastExclusive = none;
        Hold lastShared = none;
        List<Hold> inOrder =
                holds.stream().sorted(Comparator.comparingLong(Hold::fromNanos)).toList();
        for (Hold hold : inOrder) {
            if (hold.fromNanos() < lastExclusive.untilNanos()) {
                violations.add(lastExclusive + " meets " + hold);
            }
            if (!hold.shared() && hold.fromNanos() < lastShared.untilNanos()) {
                violations.add(lastShared + " meets " + hold);
            }
            if (hold.shared()) {
                lastShared = hold.untilNanos() > lastShared.untilNanos() ? hold : lastShared;
            } else {
                lastExclusive = hold.untilNanos() > lastExclusive.untilNanos() ? hold : lastExclusive;
            }
        }
        return violations;
    }
}
