/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.device.linux.ProcessLife;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;

/** The engine on real files as a host of its own, for tests. T is 1 s. */
final class LiveHost implements AutoCloseable {
    static final LeaseName LS = new LeaseName("LS");
    static final LeaseName R1 = new LeaseName("R1");
    static final LeaseNote NOTE =
            new LeaseNote("demo1", "7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e", "vda (file:/x)", "node-a", 1_700_000_000);
    static final int T = 1;
    /** A join, or an answer; far above what it takes, below what a hang takes. */
    static final Duration SOON = Duration.ofSeconds(20);

    final List<String> events = new CopyOnWriteArrayList<>();
    final List<String> rebuilt = new CopyOnWriteArrayList<>();
    final List<String> hostEvents = new CopyOnWriteArrayList<>();
    final List<Renewal> renewals = new CopyOnWriteArrayList<>();
    final LeaseEngine engine;
    final Path recordFile;
    final Path lockFile;

    private LiveHost(Machine machine) throws IOException {
        SecureRandom random = new SecureRandom();
        Path runtimeDir = machine.home.resolve("run-" + machine.bootId);
        recordFile = runtimeDir.resolve(LS + ".membership");
        lockFile = runtimeDir.resolve(LS + ".lock");
        engine = LeaseEngine.open(
                new EngineSettings(
                        LS,
                        machine.rules.timeouts,
                        machine.hostId,
                        new HostIdentity("node-a", machine.bootId, machine.instance),
                        runtimeDir,
                        machine.home.resolve("state"),
                        machine.rules.layout,
                        machine.rules.maxHosts),
                machine.storage.apply(new LeaseLocation(machine.leases, machine.clock, random)),
                machine.clock,
                random,
                new Recorder(),
                machine.looks);
    }

    /** What a host is like before its engine runs: values, changed by copying. */
    record Machine(
            Path leases,
            Path home,
            String instance,
            String bootId,
            OptionalInt hostId,
            LeaseClock clock,
            UnaryOperator<LeaseStore> storage,
            Rules rules,
            LockHolder.Looks looks) {
        /** What a lockspace that it makes is like. */
        record Rules(LeaseLayout layout, int maxHosts, Timeouts timeouts) {
            static final Rules USUAL =
                    new Rules(LeaseLayout.SECTOR_512, LockspaceRules.USUAL_MAX_HOSTS, Timeouts.ofSeconds(T));

            Rules layout(LeaseLayout other) {
                return new Rules(other, maxHosts, timeouts);
            }

            Rules watchdog(Duration other) {
                return new Rules(layout, maxHosts, new Timeouts(timeouts.ioTimeout(), other));
            }
        }

        static Machine at(Path leases, Path home) {
            return new Machine(
                    leases,
                    home,
                    home.toString(),
                    "boot-1",
                    OptionalInt.empty(),
                    new LinuxClock(),
                    store -> store,
                    Rules.USUAL,
                    LockHolder::look);
        }

        Machine with(Rules other) {
            return new Machine(leases, home, instance, bootId, hostId, clock, storage, other, looks);
        }

        /** The machine was switched off and on. */
        Machine rebooted() {
            return new Machine(leases, home, instance, bootId + "x", hostId, clock, storage, rules, looks);
        }

        /** The same identity on another disk. */
        Machine clonedTo(Path otherHome) {
            return new Machine(leases, otherHome, instance, bootId + "-clone", hostId, clock, storage, rules, looks);
        }

        /** As much later, by clocks that run on or stand still while the machine sleeps. */
        Machine later(Duration awake, Duration asleep) {
            return new Machine(
                    leases,
                    home,
                    instance,
                    bootId,
                    hostId,
                    new LaterClock(clock, awake, asleep),
                    storage,
                    rules,
                    looks);
        }

        /** With clocks of its own. */
        Machine by(LeaseClock other) {
            return new Machine(leases, home, instance, bootId, hostId, other, storage, rules, looks);
        }

        Machine forced(int id) {
            return new Machine(leases, home, instance, bootId, OptionalInt.of(id), clock, storage, rules, looks);
        }

        /** Its lease directory is reached through something. */
        Machine through(UnaryOperator<LeaseStore> other) {
            return new Machine(leases, home, instance, bootId, hostId, clock, other, rules, looks);
        }

        /** It sees whoever keeps a lock from it as this. */
        Machine seeing(ProcessLife life) {
            return new Machine(
                    leases,
                    home,
                    instance,
                    bootId,
                    hostId,
                    clock,
                    storage,
                    rules,
                    (file, boot) -> new LockHolder.Verdict(life, "process 1234"));
        }

        LiveHost join() {
            try {
                LiveHost host = new LiveHost(this);
                host.engine.join();
                return host;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        LiveHost member() {
            LiveHost host = join();
            host.awaitMember();
            return host;
        }
    }

    void awaitMember() {
        await("membership", engine::member);
    }

    void awaitEvent(String beginning) {
        await("event '" + beginning + "'", () -> events.stream().anyMatch(e -> e.startsWith(beginning)));
    }

    private void await(String what, BooleanSupplier condition) {
        try {
            Await.until(what, SOON, condition);
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + "; events " + events, e);
        }
    }

    /** What became of its memberships. That a renewal was late and then was not is no matter: a busy machine does that. */
    List<String> life() {
        return events.stream()
                .filter(event -> !event.startsWith("renewalLate") && !event.startsWith("renewalRecovered"))
                .toList();
    }

    Owner owner() {
        return engine.view().owner().orElseThrow();
    }

    /** Whether it knows the other as alive. */
    boolean sees(LiveHost other) {
        Owner wanted = other.owner();
        return engine.view().hosts().stream()
                .anyMatch(host -> host.owner().equals(wanted) && host.status() == HostStatus.LIVE);
    }

    AcquireResult acquire(LeaseName resource) {
        return answer(engine.acquire(resource, NOTE));
    }

    ReleaseResult release(LeaseName resource) {
        return answer(engine.release(resource));
    }

    static <R> R answer(Future<R> future) {
        return answer(future, SOON);
    }

    static <R> R answer(Future<R> future, Duration limit) {
        try {
            return future.get(limit.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("no answer", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    /** With a lease in use a stop leaves what a kill leaves: nobody has said what becomes of its users. */
    void kill() {
        close();
    }

    /** Stops it with the word that the users run on. */
    void closeKeepingUsers() {
        try {
            engine.keepUsers();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        close();
    }

    @Override
    public void close() {
        engine.close();
    }

    private record LaterClock(LeaseClock now, Duration awake, Duration asleep) implements LeaseClock {
        @Override
        public long monotonicSeconds() {
            return now.monotonicSeconds() + awake.toSeconds();
        }

        @Override
        public long monotonicNanos() {
            return now.monotonicNanos() + awake.toNanos();
        }

        @Override
        public long bootNanos() {
            return now.bootNanos() + awake.toNanos() + asleep.toNanos();
        }

        @Override
        public long wallSeconds() {
            return now.wallSeconds() + awake.toSeconds() + asleep.toSeconds();
        }
    }

    private final class Recorder implements LockspaceListener {
        @Override
        public void joined(Owner owner, boolean resumed) {
            events.add((resumed ? "resumed " : "joined ") + owner);
        }

        @Override
        public void recordRebuilt(String file, int leases) {
            rebuilt.add(leases + " in " + file);
        }

        @Override
        public void joinFailed(LeaseFault fault, String why) {
            events.add("joinFailed " + fault + " " + why);
        }

        @Override
        public void renewed(Renewal renewal) {
            renewals.add(renewal);
        }

        @Override
        public void hostChanged(HostView host) {
            hostEvents.add(host.owner() + " " + host.status());
        }

        @Override
        public void requested(LeaseName resource, RequestMode mode) {
            events.add("requested " + resource + " " + mode);
        }

        @Override
        public void renewalLate(String why) {
            events.add("renewalLate " + why);
        }

        @Override
        public void renewalRecovered() {
            events.add("renewalRecovered");
        }

        @Override
        public void lost(LeaseFault fault, String why) {
            events.add("lost " + fault + " " + why);
        }

        @Override
        public void previousLifeLost(Map<LeaseName, LeaseUse> users) {
            events.add("previousLifeLost " + users);
        }
    }
}
