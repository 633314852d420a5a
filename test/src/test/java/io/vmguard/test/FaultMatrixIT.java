/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.test.Fault.Fate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * A fault befalls a host whose guarded domain writes to a shared disk; a second host tries to start another domain on that disk all the
 * time. What counts is the overlap: the time in which a QEMU of each host existed that could write. It is taken from this machine's
 * process table, and the stamps on the disk must tell the same: no run writes again after another one did.
 *
 * <p>{@code make test} runs the rows of {@link #USUAL}; {@code make chaos} ({@code -Dchaos=all}) each fault alone and all pairs;
 * {@code -Dchaos=storage-stalls+agent-stopped,…} just these. The table goes to {@code target/fault-matrix.txt}.
 */
@NeedsTestImage
class FaultMatrixIT {
    private static final List<Set<Fault>> USUAL = List.of(
            EnumSet.of(Fault.STORAGE_STALLS),
            EnumSet.of(Fault.STORAGE_ERRORS),
            EnumSet.of(Fault.AGENT_KILLED),
            EnumSet.of(Fault.AGENT_STOPPED),
            EnumSet.of(Fault.AGENT_KILLED_FOR_GOOD),
            EnumSet.of(Fault.STORAGE_STALLS, Fault.LIBVIRTD_STOPPED),
            EnumSet.of(Fault.STORAGE_STALLS, Fault.DEADMAN_KILLED),
            EnumSet.of(Fault.STORAGE_STALLS, Fault.RUN_FULL));

    private static final int PAIRS_OF_HOSTS = Integer.getInteger("chaos.hosts", 2);
    private static final Duration TRY_AGAIN = Duration.ofMillis(300);
    /** While a renewal before the fault is good for all. */
    private static final Duration TRY_AGAIN_EARLY = Duration.ofSeconds(1);

    private static final int STARTS = 3;
    private static final Duration LOOK = Duration.ofMillis(20);
    /** Beyond the moment from which the second host may take the disk: renewals before the fault, and a busy machine. */
    private static final Duration SLACK = Duration.ofSeconds(25);
    /** Others look for signs of life as often as they renew; what none of them has then, it will not get. */
    private static final Duration NOT_TAKEN =
            FaultPair.DEAD.plus(FaultPair.IO_TIMEOUT.multipliedBy(2)).plusSeconds(3);
    /** From SIGKILL to the end of the process, on a busy machine. */
    private static final Duration KILL_SLACK = Duration.ofSeconds(4);

    private record Row(int number, Set<Fault> faults) {}

    /**
     * @param diedMillis after the last fault was in place; -1 if it lived
     * @param takenMillis the same; -1 if the second host did not get the disk
     */
    private record Outcome(
            int number,
            String row,
            Fate expected,
            boolean promised,
            long diedMillis,
            long takenMillis,
            long overlapMillis,
            String error) {
        boolean fails() {
            return !error.isEmpty();
        }

        /** It did not end for want of a renewal: the last one is at most two io_timeouts older than the fault. */
        boolean endedEarly() {
            return diedMillis > 0
                    && diedMillis
                            < FaultPair.LOST
                                    .minus(FaultPair.IO_TIMEOUT.multipliedBy(3))
                                    .toMillis();
        }

        String line() {
            return String.format(
                    Locale.ROOT,
                    "%-72s %9s %9s %9s %9s  %s%s",
                    row,
                    diedMillis < 0 ? "lives" : String.format(Locale.ROOT, "%.1f", diedMillis / 1000.0),
                    expected == Fate.LIVES ? "lives" : "< " + FaultPair.DEAD.toSeconds() + ".0",
                    takenMillis < 0 ? "-" : String.format(Locale.ROOT, "%.1f", takenMillis / 1000.0),
                    String.format(Locale.ROOT, "%.2f", overlapMillis / 1000.0),
                    promised ? "promised" : "not promised without a watchdog",
                    fails() ? "  FAILED: " + error : "");
        }
    }

    @Test
    void noTwoHostsWriteToOneDiskWhateverFails() throws Exception {
        Queue<Row> rows = new ConcurrentLinkedQueue<>();
        rows().forEach(faults -> rows.add(new Row(rows.size(), faults)));
        int count = rows.size();
        List<Outcome> outcomes = Collections.synchronizedList(new ArrayList<>());
        ExecutorService workers = Executors.newFixedThreadPool(Math.min(PAIRS_OF_HOSTS, count));
        Object starting = new Object();
        for (int i = 1; i <= Math.min(PAIRS_OF_HOSTS, count); i++) {
            int number = i;
            workers.execute(() -> work(number, starting, rows, outcomes));
        }
        workers.shutdown();
        assertThat(workers.awaitTermination(count, TimeUnit.HOURS)).isTrue();
        outcomes.sort(Comparator.comparingInt(Outcome::number));
        report(outcomes);
        assertThat(outcomes).hasSize(count).noneMatch(Outcome::fails);
    }

    private static List<Set<Fault>> rows() {
        String chosen = System.getProperty("chaos", "");
        if (chosen.isEmpty()) {
            return USUAL;
        }
        if (!chosen.equals("all")) {
            List<Set<Fault>> named = new ArrayList<>();
            for (String row : chosen.split(",")) {
                Set<Fault> faults = EnumSet.noneOf(Fault.class);
                for (String name : row.split("\\+")) {
                    faults.add(
                            Fault.valueOf(name.strip().toUpperCase(Locale.ROOT).replace('-', '_')));
                }
                named.add(faults);
            }
            return named;
        }
        List<Set<Fault>> all = new ArrayList<>();
        for (Fault one : Fault.values()) {
            all.add(EnumSet.of(one));
        }
        for (Fault one : Fault.values()) {
            for (Fault other : Fault.values()) {
                if (one.compareTo(other) < 0 && one.combinesWith(other)) {
                    all.add(EnumSet.of(one, other));
                }
            }
        }
        return all;
    }

    private static void work(int number, Object starting, Queue<Row> rows, List<Outcome> outcomes) {
        FaultPair pair = null;
        try {
            for (Row row = rows.poll(); row != null; row = rows.poll()) {
                if (pair == null) {
                    pair = start(number, starting);
                }
                Outcome outcome = run(pair, row);
                System.out.println("fault matrix: " + outcome.line());
                if (outcome.fails() || outcome.endedEarly()) {
                    System.out.println(pair.journal());
                }
                outcomes.add(outcome);
                if (!rows.isEmpty() && !pair.settle()) {
                    pair.close();
                    pair = null;
                }
            }
        } finally {
            if (pair != null) {
                pair.close();
            }
        }
    }

    /** One pair after the other: a start is most of what a small machine has to do here. */
    private static FaultPair start(int number, Object starting) {
        synchronized (starting) {
            for (int tries = 1; ; tries++) {
                try {
                    return FaultPair.start(number * 10 + tries);
                } catch (AssertionError | RuntimeException e) {
                    System.out.println("fault matrix: a pair of hosts did not start: " + e.getMessage());
                    if (tries == STARTS) {
                        throw e;
                    }
                }
            }
        }
    }

    private static Outcome run(FaultPair pair, Row row) {
        Set<Fault> faults = row.faults;
        String name = faults.stream().map(f -> f.description).collect(Collectors.joining(" + "));
        Fate expected = expected(faults);
        boolean promised = promised(faults);
        List<Fault> injected = new ArrayList<>();
        try {
            faults.forEach(fault -> fault.prepare(pair));
            QemuProcess first = pair.begin("chaos-" + pair.a.host.name());
            for (Fault fault : faults) {
                injected.add(0, fault);
                fault.inject(pair);
            }
            long faultMillis = QemuProcess.nowMillis();
            Trial trial = new Trial(pair, first, faults);
            trial.watch(faultMillis, () -> {
                if (faults.contains(Fault.HOST_FROZEN)) {
                    injected.remove(Fault.HOST_FROZEN);
                    Fault.HOST_FROZEN.heal(pair);
                }
            });
            return new Outcome(
                    row.number,
                    name,
                    expected,
                    promised,
                    trial.goneMillis < 0 ? -1 : Math.max(0, trial.goneMillis - faultMillis),
                    trial.takenMillis < 0 ? -1 : trial.takenMillis - faultMillis,
                    trial.overlapMillis(),
                    trial.verdict(expected, promised, faultMillis));
        } catch (AssertionError | RuntimeException e) {
            return new Outcome(row.number, name, expected, promised, -1, -1, 0, String.valueOf(e.getMessage()));
        } finally {
            for (Fault fault : injected) {
                try {
                    fault.heal(pair);
                } catch (AssertionError | RuntimeException e) {
                    System.out.println("fault matrix: " + fault + " was not healed: " + e.getMessage());
                    pair.discard();
                }
            }
        }
    }

    private static Fate expected(Set<Fault> faults) {
        if (faults.stream().anyMatch(f -> f.fate == Fate.DIES)) {
            return nobodyKills(faults) ? Fate.EITHER : Fate.DIES;
        }
        // Two faults that a domain survives one by one may take too long together; it may die then, but in time.
        return faults.size() == 1 ? faults.iterator().next().fate : Fate.EITHER;
    }

    private static boolean promised(Set<Fault> faults) {
        boolean unkillable = faults.contains(Fault.IMAGE_STORAGE_STALLS) && expected(faults) != Fate.LIVES;
        return !unkillable && !nobodyKills(faults) && !faults.contains(Fault.HOST_FROZEN);
    }

    /** Neither of the two processes that kill is left. */
    private static boolean nobodyKills(Set<Fault> faults) {
        boolean noAgent = faults.contains(Fault.AGENT_KILLED_FOR_GOOD) || faults.contains(Fault.AGENT_STOPPED);
        return faults.contains(Fault.DEADMAN_KILLED) && noAgent;
    }

    /** The second host's tries, and what the process table and the disk say meanwhile. All times by {@link QemuProcess#nowMillis}. */
    private static final class Trial {
        private final FaultPair pair;
        private final QemuProcess first;
        private final boolean thawsLater;
        private final boolean mayLive;
        private final Duration signsOfLife;
        private final List<Long> runs = new ArrayList<>();
        private long goneMillis = -1;
        private long takenMillis = -1;
        private long thawedMillis = -1;
        private String wrong = "";

        Trial(FaultPair pair, QemuProcess first, Set<Fault> faults) {
            this.pair = pair;
            this.first = first;
            this.thawsLater = faults.contains(Fault.HOST_FROZEN);
            this.mayLive = expected(faults) != Fate.DIES;
            // A renewal that lands so late is still a sign of life to others, who wait on from there.
            this.signsOfLife = faults.contains(Fault.STORAGE_WRITES_MOST_OF_BUDGET)
                    ? FaultPair.LOST.multipliedBy(2)
                    : Duration.ZERO;
        }

        /** Until the second host has the disk and the first one's QEMU is gone, or the second one should have got it by now. */
        void watch(long faultMillis, Runnable thaw) {
            long endMillis =
                    faultMillis + FaultPair.DEAD.plus(SLACK).plus(signsOfLife).toMillis();
            long livesMillis = faultMillis + NOT_TAKEN.toMillis();
            long earlyMillis = faultMillis + FaultPair.LOST.dividedBy(2).toMillis();
            long nextTryMillis = 0;
            while (QemuProcess.nowMillis() < endMillis) {
                look();
                if (takenMillis < 0 && goneMillis < 0 && mayLive && QemuProcess.nowMillis() >= livesMillis) {
                    return;
                }
                boolean over = goneMillis >= 0 && takenMillis >= 0;
                if (over) {
                    return;
                }
                if (takenMillis < 0 && QemuProcess.nowMillis() >= nextTryMillis) {
                    long nowMillis = QemuProcess.nowMillis();
                    nextTryMillis = nowMillis + (nowMillis < earlyMillis ? TRY_AGAIN_EARLY : TRY_AGAIN).toMillis();
                    tryToTake(thaw);
                }
                pair.pause(LOOK);
            }
        }

        private void look() {
            if (goneMillis < 0 && first.isGone()) {
                goneMillis = QemuProcess.nowMillis();
            }
            try {
                long run = pair.stamp()[0];
                if (run != 0 && (runs.isEmpty() || runs.get(runs.size() - 1) != run)) {
                    runs.add(run);
                }
            } catch (IOException e) {
                throw new AssertionError("cannot read the disk", e);
            }
        }

        private void tryToTake(Runnable thaw) {
            Running attempt = pair.b.host.spawn(
                    "bash",
                    "-c",
                    "test-domain " + pair.otherDomain() + " --file " + pair.disk() + " | virsh create /dev/stdin");
            while (attempt.ended().isEmpty()) {
                look();
                pair.pause(LOOK);
            }
            Ran ran = attempt.awaitEnd(Duration.ofSeconds(10));
            if (ran.ok()) {
                QemuProcess second = Eventually.get(
                        "the second QEMU", Duration.ofSeconds(5), () -> QemuProcess.of(pair.otherDomain()));
                takenMillis = second.startMillis();
                if (thawsLater) {
                    thaw.run();
                    thawedMillis = QemuProcess.nowMillis();
                }
            } else if (!ran.output().contains("Not started.") && !ran.output().contains("not started")) {
                wrong = "not refused in vmguard's words: " + ran.output().strip();
            }
        }

        /** While a host is frozen its QEMU writes nothing. */
        long overlapMillis() {
            if (takenMillis < 0) {
                return 0;
            }
            long from = thawedMillis >= 0 ? thawedMillis : takenMillis;
            long until = goneMillis >= 0 ? goneMillis : QemuProcess.nowMillis();
            return Math.max(0, until - from);
        }

        String verdict(Fate expected, boolean promised, long faultMillis) {
            List<String> errors = new ArrayList<>();
            if (!wrong.isEmpty()) {
                errors.add(wrong);
            }
            if (expected == Fate.LIVES && goneMillis >= 0) {
                errors.add("the domain died");
            }
            if (expected == Fate.LIVES && takenMillis >= 0) {
                errors.add("the disk of a living domain was taken");
            }
            if (expected == Fate.DIES && promised && goneMillis < 0) {
                errors.add("the domain did not die");
            }
            if (expected == Fate.DIES && promised && takenMillis < 0) {
                errors.add("the disk of a dead domain could not be taken");
            }
            if (promised && goneMillis >= 0 && !thawsLater) {
                long limit = FaultPair.DEAD.plus(KILL_SLACK).toMillis();
                if (goneMillis - faultMillis > limit) {
                    errors.add("it took more than " + limit + " ms");
                }
            }
            if (promised && overlapMillis() > 0) {
                errors.add("OVERLAP of " + overlapMillis() + " ms");
            }
            if (promised && runs.stream().distinct().count() != runs.size()) {
                errors.add("the stamps alternate: " + runs);
            }
            return String.join("; ", errors);
        }
    }

    private static void report(List<Outcome> outcomes) throws IOException {
        String table = String.format(
                        Locale.ROOT,
                        "%-72s %9s %9s %9s %9s%n",
                        "fault (seconds after the last of them; io_timeout 5 s, watchdog_timeout 10 s)",
                        "died",
                        "bound",
                        "taken",
                        "overlap")
                + outcomes.stream().map(Outcome::line).collect(Collectors.joining("\n"))
                + "\n";
        Files.createDirectories(Path.of("target"));
        Files.writeString(Path.of("target", "fault-matrix.txt"), table);
        System.out.println(table);
    }
}
