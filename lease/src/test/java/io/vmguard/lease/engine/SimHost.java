/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One simulated host: joins, renews, takes and gives leases at random, loses them, crashes, freezes, and comes back. */
final class SimHost {
    /** From a boot to a crash. What a dead life left behind is never resumed. */
    final class Life {
        private boolean over;

        boolean crashed() {
            return over;
        }

        /** Runs when the host is not frozen, and only if it still lives. */
        void resume(Runnable action) {
            if (over) {
                return;
            }
            if (sim.nowNanos < frozenUntilNanos) {
                sim.after(frozenUntilNanos - sim.nowNanos, () -> resume(action));
                return;
            }
            action.run();
        }
    }

    private final Simulation sim;
    private final int number;
    private final double rate;
    private final long offsetNanos;
    private final LeaseClock clock = new HostClock();
    private Life life = new Life();
    private int boots;
    private long frozenUntilNanos;
    private @Nullable Membership membership;
    private final Map<LeaseName, HeldRecord> holds = new HashMap<>();
    private final Set<LeaseName> using = new HashSet<>();
    private final Set<LeaseName> busy = new HashSet<>();
    private int underWay;

    SimHost(Simulation sim, int number) {
        this.sim = sim;
        this.number = number;
        this.rate = 1 + (sim.random.nextDouble() - 0.5) * 0.002;
        this.offsetNanos = Simulation.millis(sim.random.nextInt(1, 100_000_000));
    }

    private final class HostClock implements LeaseClock {
        @Override
        public long monotonicSeconds() {
            return bootNanos() / 1_000_000_000;
        }

        @Override
        public long monotonicNanos() {
            return bootNanos();
        }

        @Override
        public long bootNanos() {
            return offsetNanos + (long) (sim.nowNanos * rate);
        }

        @Override
        public long wallSeconds() {
            return sim.nowNanos / 1_000_000_000;
        }
    }

    @Override
    public String toString() {
        return "host" + number + "." + boots;
    }

    boolean member() {
        Membership now = membership;
        return now != null && now.inTime();
    }

    // ---- life and death

    void boot() {
        life = new Life();
        boots++;
        membership = null;
        sim.say(this + " boots");
        scheduleFault(sim.faults.crashesPerHour(), this::crash);
        scheduleFault(sim.faults.freezesPerHour(), this::freeze);
        join();
    }

    private void scheduleFault(double perHour, Runnable fault) {
        if (perHour > 0) {
            Life current = life;
            long inNanos = (long) (-Math.log(1 - sim.random.nextDouble()) / perHour * 3600e9);
            sim.after(inNanos, () -> {
                if (!current.over && sim.faults.crashesPerHour() > 0) {
                    fault.run();
                    if (!current.over) {
                        scheduleFault(perHour, fault);
                    }
                }
            });
        }
    }

    private void crash() {
        sim.say(this + " crashes");
        life.over = true;
        List.copyOf(using).forEach(this::stopUsing);
        holds.clear();
        busy.clear();
        underWay = 0;
        frozenUntilNanos = 0;
        sim.after(Simulation.millis(sim.random.nextInt(1000, 240_000)), this::boot);
    }

    private void freeze() {
        long length = Simulation.millis(sim.random.nextInt(10, 150_000));
        sim.say(this + " freezes for " + length / 1_000_000 + " ms");
        frozenUntilNanos = Math.max(frozenUntilNanos, sim.nowNanos + length);
    }

    // ---- machines

    private <R> void run(Life current, Step<R> step, LeaseName resource, Consumer<R> end) {
        // Anything may happen between the decision for a step and the step.
        sim.after(sim.random.nextInt(1_000_000), () -> current.resume(() -> runNow(current, step, resource, end)));
    }

    private <R> void runNow(Life current, Step<R> step, LeaseName resource, Consumer<R> end) {
        if (step instanceof Step.End<R> ended) {
            end.accept(ended.result());
        } else if (step instanceof Step.Pause<R> pause) {
            sim.after(
                    (long) (pause.length().toNanos() / rate),
                    () -> current.resume(() -> run(current, pause.then().get(), resource, end)));
        } else {
            sim.io(current, step, resource, next -> run(current, next, resource, end));
        }
    }

    // ---- membership

    private void join() {
        Life current = life;
        Optional<JoinPlan> plan = JoinPlan.choose(
                sim.lockspaceNow(),
                Simulation.LAYOUT,
                16,
                Simulation.LOCKSPACE,
                sim.random.nextInt(4) == 0 ? Optional.of(number + 1L) : Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                idsBeyondTheDiskBlocks(),
                sim.random);
        if (plan.isEmpty()) {
            sim.after(Simulation.millis(5000), () -> current.resume(this::join));
            return;
        }
        DeltaJoin machine = new DeltaJoin(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                sim.timeouts,
                clock,
                plan.get().hostId(),
                "host-" + number + "-boot-" + boots,
                plan.get().entry());
        run(current, machine.start(), sim.resources.get(0), result -> {
            if (result instanceof DeltaJoin.Result.Joined joined) {
                enter(joined);
            } else {
                sim.after(Simulation.millis(2000), () -> current.resume(this::join));
            }
        });
    }

    private static Set<Long> idsBeyondTheDiskBlocks() {
        Set<Long> ids = new HashSet<>();
        for (long id = 17; id <= 2000; id++) {
            ids.add(id);
        }
        return ids;
    }

    private void enter(DeltaJoin.Result.Joined joined) {
        Membership entered = new Membership(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                16,
                sim.timeouts,
                NoFile.INSTANCE,
                clock,
                joined.record(),
                joined.startedNanos());
        membership = entered;
        sim.say(this + " is member " + entered.owner);
        watchdog(life, entered);
        deadline(life, entered);
        renew(life, entered);
        live(life, entered);
    }

    private void renew(Life current, Membership in) {
        if (in.isLost()) {
            return;
        }
        DeltaRenewal machine = new DeltaRenewal(
                Simulation.LOCKSPACE,
                Simulation.LAYOUT,
                sim.timeouts,
                clock,
                in.record(),
                in.recordCertain(),
                in.deadlineNanos());
        underWay++;
        run(current, machine.start(), sim.resources.get(0), result -> {
            underWay--;
            result.area().ifPresent(area -> in.hosts.update(area, clock.bootNanos(), clock.bootNanos()));
            if (result instanceof DeltaRenewal.Result.Renewed renewed
                    && in.renewed(renewed.record(), renewed.startedNanos())) {
                long dueNanos = sim.timeouts.renewalInterval().toNanos() - in.ageNanos();
                sim.after(Math.max(0, (long) (dueNanos / rate)), () -> current.resume(() -> renew(current, in)));
            } else if (result instanceof DeltaRenewal.Result.Late) {
                in.renewalFailed();
                sim.after(Simulation.millis(1000), () -> current.resume(() -> renew(current, in)));
            } else {
                lose(current, in);
            }
        });
    }

    private void deadline(Life current, Membership in) {
        if (!in.inTime()) {
            lose(current, in);
            return;
        }
        sim.after(Simulation.millis(100), () -> current.resume(() -> deadline(current, in)));
    }

    /** Users die at some time before the bound, and not at all while the host is frozen: that is what the watchdog is for. */
    private void lose(Life current, Membership in) {
        if (!in.lose()) {
            return;
        }
        sim.say(this + " loses membership " + in.owner);
        long boundNanos = in.deadlineNanos() + io.vmguard.lease.Timeouts.STOCK_WATCHDOG.toNanos() - clock.bootNanos();
        long killNanos = boundNanos <= 0 ? 0 : (long) (boundNanos * sim.random.nextDouble());
        sim.after((long) (killNanos / rate), () -> current.resume(() -> usersGone(current, in)));
    }

    private void usersGone(Life current, Membership in) {
        List.copyOf(using).forEach(this::stopUsing);
        if (underWay > 0) {
            // As in the engine: no new membership while an I/O of the old one may still land.
            sim.after(Simulation.millis(500), () -> current.resume(() -> usersGone(current, in)));
            return;
        }
        holds.clear();
        busy.clear();
        join();
    }

    private void watchdog(Life current, Membership in) {
        if (current.over || membership != in) {
            return;
        }
        long leftNanos = in.deadlineNanos() + io.vmguard.lease.Timeouts.STOCK_WATCHDOG.toNanos() - clock.bootNanos();
        if (leftNanos <= 0 && !using.isEmpty()) {
            sim.say(this + " is reset by its watchdog");
            crash();
            return;
        }
        sim.after(
                Math.max(1, (long) (Math.max(leftNanos, Simulation.millis(100)) / rate)), () -> watchdog(current, in));
    }

    // ---- leases

    private void live(Life current, Membership in) {
        if (in.isLost() || membership != in) {
            return;
        }
        LeaseName resource = sim.resources.get(sim.random.nextInt(sim.resources.size()));
        if (in.inTime() && in.hosts.checked() && busy.add(resource)) {
            if (using.contains(resource)) {
                stopUsing(resource);
                release(current, in, resource);
            } else if (!holds.containsKey(resource)) {
                acquire(current, in, resource);
            } else {
                busy.remove(resource);
            }
        }
        sim.after(Simulation.millis(sim.random.nextInt(50, 4000)), () -> current.resume(() -> live(current, in)));
    }

    private ResourceContext context(Membership in, LeaseName resource) {
        return new ResourceContext(
                Simulation.LOCKSPACE,
                resource,
                Simulation.LAYOUT,
                16,
                sim.timeouts,
                in.owner,
                in.hosts,
                in::inTime,
                clock,
                sim.random);
    }

    private void acquire(Life current, Membership in, LeaseName resource) {
        underWay++;
        run(current, new PaxosAcquire(context(in, resource)).start(), resource, result -> {
            underWay--;
            if (result instanceof PaxosAcquire.Result.Acquired acquired && in.inTime()) {
                sim.acquires++;
                sim.say(this + " holds " + resource + " v"
                        + acquired.held().leader().lver());
                holds.put(resource, acquired.held());
                using.add(resource);
                sim.use(this, resource);
                busy.remove(resource);
            } else if (result instanceof PaxosAcquire.Result.Failed failed && failed.mayHaveWon()) {
                sim.cannotTells++;
                retry(current, in, () -> resolve(current, in, resource));
            } else {
                sim.refusals++;
                busy.remove(resource);
            }
        });
    }

    /** Acquire again and release, until the outcome is known. */
    private void resolve(Life current, Membership in, LeaseName resource) {
        underWay++;
        run(current, new PaxosAcquire(context(in, resource)).start(), resource, result -> {
            underWay--;
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                holds.put(resource, acquired.held());
                release(current, in, resource);
            } else if (result instanceof PaxosAcquire.Result.Held) {
                busy.remove(resource);
            } else {
                retry(current, in, () -> resolve(current, in, resource));
            }
        });
    }

    private void release(Life current, Membership in, LeaseName resource) {
        underWay++;
        run(current, new PaxosRelease(context(in, resource), holds.get(resource)).start(), resource, result -> {
            underWay--;
            if (result instanceof PaxosRelease.Result.Failed) {
                retry(current, in, () -> release(current, in, resource));
            } else {
                sim.say(this + " released " + resource);
                holds.remove(resource);
                busy.remove(resource);
            }
        });
    }

    private void retry(Life current, Membership in, Runnable operation) {
        if (in.inTime()) {
            sim.after(
                    sim.timeouts.ioTimeout().toNanos(),
                    () -> current.resume(() -> {
                        if (in.inTime()) {
                            operation.run();
                        }
                    }));
        }
    }

    private void stopUsing(LeaseName resource) {
        using.remove(resource);
        sim.stopUse(this, resource);
    }

    List<LeaseName> uses() {
        return new ArrayList<>(using);
    }
}
