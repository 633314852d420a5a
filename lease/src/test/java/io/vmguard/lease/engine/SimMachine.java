/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A machine: power, clocks, a watchdog, and the users of leases, who do not die with the agent.
 *
 * <p>The watchdog resets the machine, also a frozen or sleeping one, when users run 8 T + W after the renewal that it was told of last.
 */
abstract class SimMachine {
    /** A user of a resource, e.g. a domain with its disk. */
    record Use(LeaseMode mode, Owner owner) {}

    /** From power-on to the end, however that comes. */
    static final class Boot {
        final String id;
        final long startedNanos;
        final long uptimeNanos;
        final Map<LeaseName, Use> uses = new TreeMap<>(Comparator.comparing(LeaseName::value));
        boolean over;
        /** Happens in the middle of the next write. */
        @Nullable
        Runnable inNextWrite;

        /** It has done I/O. */
        boolean talked;

        long frozenUntilNanos;
        long sleptNanos;
        /** I/Os of any process of this boot that have not ended. */
        int inFlight;
        /** Boot clock: when the watchdog bites if anybody still uses anything. */
        long fuseNanos;
        /** As in the runtime directory. */
        @Nullable
        LocalRecord record;

        Boot(String id, long startedNanos, long uptimeNanos) {
            this.id = id;
            this.startedNanos = startedNanos;
            this.uptimeNanos = uptimeNanos;
        }
    }

    /** A running program on the machine: what it began goes on only while it lives. */
    final class Process {
        final Boot of = boot;
        boolean dead;

        boolean alive() {
            return !dead && !of.over;
        }

        SimMachine machine() {
            return SimMachine.this;
        }

        /** Now or, if the machine is frozen, when it thaws. */
        void resume(Runnable action) {
            if (!alive()) {
                return;
            }
            if (sim.nowNanos < of.frozenUntilNanos) {
                sim.after(of.frozenUntilNanos - sim.nowNanos, () -> resume(action));
                return;
            }
            action.run();
        }

        /** By the machine's own clock. */
        void later(long delayNanos, Runnable action) {
            sim.after((long) (delayNanos / rate), () -> resume(action));
        }
    }

    final Simulation sim;
    final int number;
    final double rate;
    final LeaseClock clock = new HostClock();
    Boot boot;
    private int boots;
    private boolean watched;

    SimMachine(Simulation sim, int number) {
        this.sim = sim;
        this.number = number;
        this.rate = 1 + (sim.random.nextDouble() - 0.5) * 0.002;
        this.boot = new Boot("", 0, 0);
        this.boot.over = true;
    }

    private final class HostClock implements LeaseClock {
        @Override
        public long monotonicSeconds() {
            return monotonicNanos() / 1_000_000_000;
        }

        @Override
        public long monotonicNanos() {
            return bootNanos() - boot.sleptNanos;
        }

        @Override
        public long bootNanos() {
            return boot.uptimeNanos + (long) ((sim.nowNanos - boot.startedNanos) * rate);
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

    // ---- power

    /** The agent starts. */
    abstract void onPower();

    abstract void onCrash();

    /** The agent's process ends, and a successor may start. */
    abstract void onKill();

    boolean mayBeSuspended() {
        return true;
    }

    /** Whether the watchdog resets the machine if it is not fed. */
    boolean isGuarded() {
        return !boot.uses.isEmpty();
    }

    // ---- programs

    /** Runs a machine to its end, in a process. */
    final <R> void run(Process process, Owner writer, Step<R> step, LeaseName resource, Consumer<R> end) {
        // Anything may happen between the decision for a step and the step.
        sim.after(
                sim.random.nextInt(1_000_000),
                () -> process.resume(() -> runNow(process, writer, step, resource, end)));
    }

    private <R> void runNow(Process process, Owner writer, Step<R> step, LeaseName resource, Consumer<R> end) {
        if (step instanceof Step.End<R> ended) {
            end.accept(ended.result());
        } else if (step instanceof Step.Pause<R> pause) {
            process.later(
                    pause.length().toNanos(),
                    () -> run(process, writer, pause.then().get(), resource, end));
        } else {
            sim.disk.io(process, writer, step, resource, next -> run(process, writer, next, resource, end));
        }
    }

    final void powerOn() {
        boots++;
        boot = new Boot(
                "boot-" + number + "-" + boots,
                sim.nowNanos,
                Simulation.millis(sim.random.nextInt(1000, sim.random.nextBoolean() ? 30_000 : 100_000_000)));
        sim.say(() -> this + " powers on");
        scheduleFault(sim.faults.crash(), this::crash);
        scheduleFault(sim.faults.kill(), this::onKill);
        scheduleFault(sim.faults.freeze(), this::freeze);
        if (mayBeSuspended()) {
            scheduleFault(sim.faults.suspend(), this::suspend);
        }
        onPower();
    }

    private void scheduleFault(Duration mean, Runnable fault) {
        if (mean.isZero()) {
            return;
        }
        Boot current = boot;
        sim.after((long) (-Math.log(1 - sim.random.nextDouble()) * mean.toNanos()), () -> {
            if (current.over || sim.calm) {
                return;
            }
            if (sim.random.nextBoolean()) {
                fault.run();
            } else {
                current.inNextWrite = fault; // where it hurts
            }
            scheduleFault(mean, fault);
        });
    }

    /** A write was issued that takes so long. */
    final void onWrite(long tookNanos) {
        Boot current = boot;
        Runnable fault = current.inNextWrite;
        if (fault != null) {
            current.inNextWrite = null;
            sim.after((long) (tookNanos * sim.random.nextDouble()), () -> {
                if (!current.over && !sim.calm) {
                    fault.run();
                }
            });
        }
    }

    final void crash() {
        sim.counts.crashes++;
        sim.say(() -> this + " crashes");
        boot.over = true;
        List.copyOf(boot.uses.keySet()).forEach(this::stopUse);
        onCrash();
        long offNanos = 1_000_000_000 + (sim.calm ? 0 : sim.soon(sim.longestOutageNanos));
        sim.underWay(offNanos);
        sim.after(offNanos, this::powerOn);
    }

    private void freeze() {
        long length = sim.soon(sim.longestOutageNanos);
        sim.underWay(length);
        sim.say(() -> this + " freezes for " + length / 1_000_000 + " ms");
        boot.frozenUntilNanos = Math.max(boot.frozenUntilNanos, sim.nowNanos + length);
    }

    private void suspend() {
        if (sim.nowNanos < boot.frozenUntilNanos) {
            return;
        }
        long length = sim.soon(sim.longestOutageNanos);
        sim.underWay(length);
        sim.say(() -> this + " sleeps for " + length / 1_000_000 + " ms");
        boot.frozenUntilNanos = sim.nowNanos + length;
        // Nobody reads a clock of a machine that sleeps.
        boot.sleptNanos += (long) (length * rate);
    }

    /** Faults have ended; what was under way ends by itself. */
    void heal() {}

    // ---- users and their watchdog

    final void use(LeaseName resource, LeaseMode mode, Owner owner) {
        Use before = boot.uses.put(resource, new Use(mode, owner));
        sim.stamp(owner.hashCode());
        if (before == null || before.mode() != mode) {
            sim.say(() -> this + " uses " + resource + " " + mode + " as " + owner);
        }
        sim.ledger.used(this, resource, mode);
        watchFuse();
    }

    final void stopUse(LeaseName resource) {
        if (boot.uses.remove(resource) != null) {
            sim.say(() -> this + " stops using " + resource);
        }
    }

    final Optional<Use> useOf(LeaseName resource) {
        return Optional.ofNullable(boot.uses.get(resource));
    }

    /** The watchdog is fed: it bites at this moment of the boot clock at the latest. */
    final void feed(long deadlineNanos) {
        boot.fuseNanos = deadlineNanos + sim.timeouts.watchdog().toNanos();
    }

    final void watchFuse() {
        if (!watched) {
            watched = true;
            Boot current = boot;
            sim.after((long) ((boot.fuseNanos - clock.bootNanos()) / rate), () -> onFuse(current));
        }
    }

    private void onFuse(Boot current) {
        watched = false;
        if (current != boot || current.over) {
            if (!boot.over && isGuarded()) {
                watchFuse();
            }
            return;
        }
        if (!isGuarded()) {
            return;
        }
        // Rounding of the clock's rate.
        if (boot.fuseNanos - clock.bootNanos() <= 1000) {
            sim.counts.resets++;
            sim.say(() -> this + " is reset by its watchdog");
            crash();
        } else {
            watchFuse();
        }
    }
}
