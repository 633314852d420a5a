/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;

/**
 * Several hosts, one disk, one seeded scheduler that owns time and order: the shipping protocol machines without threads and without
 * real time. docs/simulation.md says what is simulated, what is not, and what must hold.
 *
 * <p>A run has two parts: hosts work while everything goes wrong that the scenario wants; then all faults end, and every host must be
 * able to take every resource within the bounds of the protocol. A violation is an {@link AssertionError}.
 */
public final class Simulation {
    /** A format with few host ids: the same code as for 2000 of them, a hundred times faster. */
    static final LeaseLayout LAYOUT = new LeaseLayout(512, 16_384, 28, 0x10);

    static final int MAX_HOSTS = 28;
    static final LeaseName LOCKSPACE = new LeaseName("sim");

    private record Event(long atNanos, long order, Runnable action) {}

    final SplittableRandom random;
    final Scenario scenario;
    final Planted planted;
    final Timeouts timeouts;
    final Ledger ledger = new Ledger(this);
    final SimDisk disk;
    final List<LeaseName> resources = new ArrayList<>();
    final List<SimMachine> machines = new ArrayList<>();
    final List<SimHost> hosts = new ArrayList<>();
    final Counts counts = new Counts();
    Scenario.Faults faults;
    /** No host begins anything of its own accord any more. */
    boolean calm;

    long nowNanos;

    /** What was begun before everything healed has ended by then. */
    long quietNanos;

    // Durations are slow to calculate with.
    final long ioTimeoutNanos;
    final long hostDeadNanos;
    final long longestIoNanos;
    final long thinkNanos;
    final long longestOutageNanos;

    private final List<String> trace = new ArrayList<>();
    private final boolean traced;
    private final PriorityQueue<Event> events =
            new PriorityQueue<>(Comparator.comparingLong(Event::atNanos).thenComparingLong(Event::order));
    private long order;
    private long fingerprint;

    Simulation(long seed, Scenario scenario, Planted planted, boolean traced) {
        this.random = new SplittableRandom(seed);
        this.scenario = scenario;
        this.planted = planted;
        this.timeouts = scenario.timeouts();
        this.faults = scenario.faults();
        this.traced = traced;
        this.ioTimeoutNanos = timeouts.ioTimeout().toNanos();
        this.hostDeadNanos = timeouts.hostDead().toNanos();
        this.thinkNanos = scenario.think().toNanos();
        this.longestIoNanos = scenario.longestIo().toNanos();
        this.longestOutageNanos = scenario.longestOutage().toNanos();
        for (int i = 0; i < scenario.resources(); i++) {
            resources.add(new LeaseName("disk-" + i));
        }
        this.disk = new SimDisk(this);
        for (int i = 0; i < scenario.hosts(); i++) {
            int sharedId = scenario.oneIdTwice() && i == 1 ? 1 : i + 1;
            hosts.add(new SimHost(this, i, scenario.forcedIds() ? sharedId : 0));
        }
        machines.addAll(hosts);
        for (int i = 0; i < scenario.stockHosts(); i++) {
            machines.add(new SimStock(this, scenario.hosts() + i, MAX_HOSTS - i));
        }
        for (SimMachine machine : machines) {
            after(millis(random.nextInt(3000)), machine::powerOn);
        }
    }

    /** Runs the schedule of a seed to its end. */
    public static Counts run(long seed) {
        return run(seed, Planted.NONE);
    }

    static Counts run(long seed, Planted planted) {
        Simulation simulation = new Simulation(seed, Scenario.of(seed), planted, false);
        simulation.run();
        return simulation.counts;
    }

    void run() {
        runFor(scenario.length());
        heal();
        new Progress(this).demand();
        counts.schedules++;
        counts.simulatedNanos += nowNanos;
    }

    /** Everything works from now on, what is under way ends, and nobody begins anything. */
    private void heal() {
        say(() -> "everything heals");
        faults = Scenario.Faults.NONE;
        calm = true;
        disk.completeTornAreas();
        machines.forEach(SimMachine::heal);
    }

    void runFor(Duration length) {
        runUntil(() -> false, length);
    }

    /** @return whether it came true in that time */
    boolean runUntil(BooleanSupplier condition, Duration atMost) {
        long endNanos = nowNanos + atMost.toNanos();
        while (!condition.getAsBoolean()) {
            Event next = events.peek();
            if (next == null || next.atNanos() > endNanos) {
                nowNanos = endNanos;
                return condition.getAsBoolean();
            }
            events.poll();
            nowNanos = next.atNanos();
            next.action().run();
            counts.steps++;
            ledger.checkDeadlines();
        }
        return true;
    }

    void after(long delayNanos, Runnable action) {
        events.add(new Event(nowNanos + Math.max(0, delayNanos), order++, action));
    }

    /** At some time within this, mostly early. */
    long soon(long longestNanos) {
        double share = random.nextDouble();
        return (long) (longestNanos * share * share);
    }

    /** Something goes on for so long. */
    void underWay(long lengthNanos) {
        if (!calm) {
            quietNanos = Math.max(quietNanos, nowNanos + lengthNanos);
        }
    }

    static long millis(long millis) {
        return millis * 1_000_000;
    }

    // ---- what is told

    /** What {@link #say} says, made only if somebody listens. */
    interface Saying {
        String text();
    }

    void say(Saying what) {
        if (traced) {
            trace.add(String.format(Locale.ROOT, "%.6f %s", nowNanos / 1e9, what.text()));
        }
    }

    List<String> trace() {
        return trace;
    }

    /** Something happened that must happen again in the same order under the same seed. */
    void stamp(long what) {
        fingerprint = (fingerprint ^ nowNanos) * 0x100000001B3L + what;
    }

    long fingerprint() {
        return fingerprint;
    }

    /** What a run has seen, so that it can be told from an idle one. */
    public static final class Counts {
        public long schedules;
        public long simulatedNanos;
        public long steps;
        public long acquires;
        public long shared;
        public long converted;
        public long refusals;
        public long cannotTells;
        public long handOvers;
        public long takeBacks;
        public long givenBefore;
        public long resumes;
        public long lostMemberships;
        public long crashes;
        public long resets;
        public long lateWrites;
        public long stockAcquires;
        public long requests;
        public long beatenForEver;
        public long freedByHand;

        /** Adds another run's. */
        public void add(Counts more) {
            schedules += more.schedules;
            simulatedNanos += more.simulatedNanos;
            steps += more.steps;
            acquires += more.acquires;
            shared += more.shared;
            converted += more.converted;
            refusals += more.refusals;
            cannotTells += more.cannotTells;
            handOvers += more.handOvers;
            takeBacks += more.takeBacks;
            givenBefore += more.givenBefore;
            resumes += more.resumes;
            lostMemberships += more.lostMemberships;
            crashes += more.crashes;
            resets += more.resets;
            lateWrites += more.lateWrites;
            stockAcquires += more.stockAcquires;
            requests += more.requests;
            beatenForEver += more.beatenForEver;
            freedByHand += more.freedByHand;
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "%d schedules, %.1f simulated hours, %d steps; acquired %d exclusively, %d shared, %d by stock hosts;"
                            + " %d refused, %d undetermined, %d converted, %d handed over, %d of them by a process that died then, %d taken back, %d requests;"
                            + " %d crashes, %d resets by a watchdog, %d memberships lost, %d resumed, %d late writes;"
                            + " %d stock hosts beaten for ever, %d leases freed by hand",
                    schedules,
                    simulatedNanos / 3.6e12,
                    steps,
                    acquires,
                    shared,
                    stockAcquires,
                    refusals,
                    cannotTells,
                    converted,
                    handOvers,
                    givenBefore,
                    takeBacks,
                    requests,
                    crashes,
                    resets,
                    lostMemberships,
                    resumes,
                    lateWrites,
                    beatenForEver,
                    freedByHand);
        }
    }
}
