/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Many schedules, one after the other on each of several threads, until one fails, all are done or the time is over. */
public final class SimulationRun {
    private static final int TAIL = 60;
    private static final Duration TELL_EVERY = Duration.ofSeconds(10);

    /** A schedule that broke an invariant. */
    record Failure(long seed, Planted planted, Throwable cause) {
        String what() {
            return cause instanceof AssertionError ? String.valueOf(cause.getMessage()) : cause.toString();
        }

        /** With the end of the trace, which is made by running it again. */
        String explain() {
            Simulation again = new Simulation(seed, Scenario.of(seed), planted, true);
            try {
                again.run();
            } catch (AssertionError | RuntimeException e) {
                again.say(() -> "FAILS: " + e);
            }
            List<String> trace = again.trace();
            return String.format(
                    Locale.ROOT,
                    "seed %d: %s%nreplay: make sim SEED=%1$d%n%s%n%s",
                    seed,
                    what(),
                    again.scenario,
                    String.join("\n", trace.subList(Math.max(0, trace.size() - TAIL), trace.size())));
        }
    }

    private final long last;
    private final Planted planted;
    private final AtomicLong next;
    private final long first;
    private final Simulation.Counts counts = new Simulation.Counts();
    private @Nullable Failure firstFailure;

    SimulationRun(long first, long schedules, Planted planted) {
        this.first = first;
        this.last = first + schedules - 1;
        this.next = new AtomicLong(first);
        this.planted = planted;
    }

    static Optional<Failure> failureOf(long seed, Planted planted) {
        try {
            Simulation.run(seed, planted);
            return Optional.empty();
        } catch (AssertionError | RuntimeException e) {
            return Optional.of(new Failure(seed, planted, e));
        }
    }

    /** Blocks until it is done. */
    void go(int threads, Duration atMost, Consumer<String> progress) {
        long startedNanos = System.nanoTime();
        Thread[] workers = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            workers[i] = new Thread(() -> work(startedNanos, atMost), "simulation-" + i);
            workers[i].start();
        }
        for (Thread worker : workers) {
            while (worker.isAlive()) {
                try {
                    worker.join(TELL_EVERY.toMillis());
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
                progress.accept(String.format(
                        Locale.ROOT,
                        "%d of %d after %.0f s",
                        next.get() - first,
                        last - first + 1,
                        seconds(startedNanos)));
            }
        }
    }

    private static double seconds(long sinceNanos) {
        return (System.nanoTime() - sinceNanos) / 1e9;
    }

    private void work(long startedNanos, Duration atMost) {
        while (System.nanoTime() - startedNanos < atMost.toNanos()) {
            long seed = next.getAndIncrement();
            if (seed > last || seed > failedSeed()) {
                return;
            }
            try {
                Simulation.Counts seen = Simulation.run(seed, planted);
                synchronized (counts) {
                    counts.add(seen);
                }
            } catch (AssertionError | RuntimeException e) {
                failed(new Failure(seed, planted, e));
            }
        }
    }

    private long failedSeed() {
        synchronized (counts) {
            return firstFailure == null ? Long.MAX_VALUE : firstFailure.seed();
        }
    }

    /** Smaller seeds that are under way end first, so that the first failure is the same on any number of threads. */
    private void failed(Failure failure) {
        synchronized (counts) {
            if (firstFailure == null || failure.seed() < firstFailure.seed()) {
                firstFailure = failure;
            }
        }
    }

    Optional<Failure> firstFailure() {
        synchronized (counts) {
            return Optional.ofNullable(firstFailure);
        }
    }

    Simulation.Counts counts() {
        synchronized (counts) {
            Simulation.Counts copy = new Simulation.Counts();
            copy.add(counts);
            return copy;
        }
    }

    /**
     * For the command line.
     *
     * @param args number of schedules, first seed, limit in seconds; or "replay" and a seed
     */
    public static void main(String[] args) {
        if (args[0].equals("replay")) {
            Optional<Failure> failure = failureOf(Long.parseLong(args[1]), Planted.NONE);
            System.out.println(failure.map(Failure::explain).orElse("seed " + args[1] + ": nothing is wrong"));
            exit(failure.isPresent());
            return;
        }
        SimulationRun run = new SimulationRun(Long.parseLong(args[1]), Long.parseLong(args[0]), Planted.NONE);
        run.go(
                Runtime.getRuntime().availableProcessors(),
                Duration.ofSeconds(Long.parseLong(args[2])),
                System.out::println);
        System.out.println(run.counts());
        run.firstFailure().ifPresent(failure -> System.out.println(failure.explain()));
        exit(run.firstFailure().isPresent());
    }

    private static void exit(boolean failed) {
        if (failed) {
            System.exit(1);
        }
    }
}
