/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.LeaseMode;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeImages;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.FakeProcesses;
import io.vmguard.agent.testing.FakeWatchdog;
import io.vmguard.agent.testing.StepExecutor;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random walks of one domain between two hosts with a small model of libvirt: migrations that succeed, are aborted, fail at the last step,
 * or lose the answer to it; QEMUs that die; status files that are read late, events that are lost, doubled and late, answers of the engine in any
 * order, and agents that die and come back within two seconds, between any two steps. An agent that is away for as long as libvirt waits
 * for a lost answer (25 s) is out of scope: then nobody is there to hold the guest back.
 *
 * <p>After every step: the guest runs on one host at most, and no third host could get its disk while it runs. In the end the host that it
 * runs on has its leases and the other one nothing; without a guest all leases are free.
 *
 * <p>Replay one: {@code mvn -pl agent test -Dtest=MigrationWalkTest -Dmigration.walk.seed=N}.
 */
class MigrationWalkTest {
    private static final int WALKS = 100;
    private static final TestDomain DOMAIN = TestDomain.of("mover", "/images/one");
    private static final LeaseName DISK = DOMAIN.resource();
    private static final LeaseName SELF = new LeaseName("dom-" + DOMAIN.uuid());
    private static final long TICK_MILLIS = 50;
    private static final int LIBVIRT_WAITS_TICKS = 500;
    /** An agent that was started again has heard by then what the other side says. */
    private static final int SEES_TICKS = 40;

    private static final int KILLED_TICKS = 200;
    /** A QEMU that waits for a guest is not there sooner. */
    private static final int STARTS_TICKS = 4;

    /** From the end of the job to that of QEMU. */
    private static final int FAILS_TICKS = 4;

    static LongStream seeds() {
        Long only = Long.getLong("migration.walk.seed");
        return only != null ? LongStream.of(only) : LongStream.range(0, WALKS);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void theGuestRunsOnceAndItsHostOwnsItsLeases(long seed) {
        Walk walk = new Walk(seed);
        try {
            walk.wander();
            walk.comeHome();
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError("seed " + seed + ": " + e + "\n" + String.join("\n", walk.trace), e);
        }
    }

    @Test
    void theWalksGoWhereTheyShould() {
        int[] ends = new int[4];
        int restarts = 0;
        int arrived = 0;
        for (long seed = 0; seed < 60; seed++) {
            Walk walk = new Walk(seed);
            walk.wander();
            for (int i = 0; i < ends.length; i++) {
                ends[i] += walk.ends[i];
            }
            restarts += walk.restarts;
            arrived += walk.arrived;
        }
        assertThat(java.util.Arrays.stream(ends).min().orElse(0))
                .as("ended well, answer lost, failed, aborted: %s", java.util.Arrays.toString(ends))
                .isGreaterThan(15);
        assertThat(restarts).isGreaterThan(100);
        assertThat(arrived).isGreaterThan(60);
    }

    private enum Phase {
        IDLE,
        PREPARING,
        SENDING,
        SENT,
        /** It has come to nothing: the target has no job any more, and its QEMU is about to be ended. */
        FAILED,
        /** It runs on the target, and libvirt ends what is left on the source. */
        CONFIRMED,
        /** It runs on the target, and the source has not heard of that. */
        UNANSWERED
    }

    private static final class Host {
        final WalkLeases leases;
        final FakeHypervisor hypervisor = new FakeHypervisor();
        final FakeProcesses processes = new FakeProcesses();
        final StepExecutor slow = new StepExecutor();

        @Nullable
        DomainGuard guard;

        int downTicks;
        int upTicks;

        @Nullable
        FakeProcess qemu;

        boolean executes;
        /** Its QEMU has been ended from outside. */
        boolean killed;

        @Nullable
        DomainStatus status;

        boolean statusUnread;
        final List<DomainEvent> events = new ArrayList<>();

        Host(WalkLeases leases) {
            this.leases = leases;
        }

        boolean alive() {
            return qemu != null && qemu.alive();
        }

        /** The hypervisor has resumed what only the agent holds: one that dies just then lets it run (RBD). */
        boolean aloneHolds() {
            return executes && qemu != null && qemu.guestHeld();
        }

        boolean runs() {
            return executes && qemu != null && qemu.alive() && !qemu.stopped() && !qemu.guestHeld();
        }
    }

    private static final class Walk {
        private final Random random;
        private final FakeClock clock = new FakeClock();
        private final WalkLeases.Disk disk = new WalkLeases.Disk();
        private final Host[] hosts = new Host[2];
        final List<String> trace = new ArrayList<>();
        private int from;
        private Phase phase = Phase.IDLE;
        private int phaseTicks;
        private int waitsTicks;
        private @Nullable CompletableFuture<StartAnswer> asked;
        private boolean faults = true;
        final int[] ends = new int[4];
        int restarts;
        int arrived;
        private int ticks;

        /** Its QEMU has to answer the other one: only its virtual processors are held, and no longer than its agent lives. */
        private final boolean onRbd;

        Walk(long seed) {
            random = new Random(seed);
            onRbd = seed % 2 == 1;
            for (int i = 0; i < 2; i++) {
                Host host = new Host(new WalkLeases(disk, new Owner(i + 1, 1), random));
                hosts[i] = host;
                host.processes.startTicks(1_000_000); // after the first agent of its host
                host.hypervisor.onDestroy(uuid -> {
                    if (host.qemu != null) {
                        host.qemu.end();
                    }
                    return new KillResult.Destroyed();
                });
                host.hypervisor.onSuspend(uuid -> {
                    host.executes = false;
                    return new SuspendResult.Suspended();
                });
                boot(host);
            }
            settle(20);
            CompletableFuture<StartAnswer> answer = guard(hosts[0]).prepare(DOMAIN.spec(), DOMAIN.uuid(), derivation());
            settle(20);
            assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
            launch(hosts[0], true);
            status(hosts[0], "running", "booted", "", "");
            settle(20);
        }

        private static DomainGuard guard(Host host) {
            return java.util.Objects.requireNonNull(host.guard);
        }

        // ---- agents

        private void boot(Host host) {
            DomainLeases leases = spec -> derivation();
            DomainGuard guard = new DomainGuard(
                    GuardBench.settings(false, GuardSettings.OnUnprotected.AUTO, false, GuardBench.ANSWER_LIMIT),
                    host.leases,
                    host.leases,
                    host.hypervisor,
                    host.processes,
                    new ActiveDomains(host.hypervisor, leases, clock, new FakeImages(), host.slow),
                    new FakeWatchdog(),
                    clock,
                    host.slow,
                    host.slow);
            host.guard = guard;
            host.upTicks = 0;
            host.leases.resume();
            guard.joined(host.leases.self, true);
            host.statusUnread = true;
        }

        private void crash(Host host) {
            say("agent of " + host.leases.self + " dies");
            restarts++;
            host.guard = null;
            host.leases.die();
            host.events.clear();
            host.slow.runAll(); // whatever it had under way comes to nothing
            if (host.qemu != null) {
                host.qemu.holderDies();
            }
            host.downTicks = 1 + random.nextInt(40);
        }

        // ---- time

        private void settle(int count) {
            for (int i = 0; i < count; i++) {
                tick();
            }
        }

        private void tick() {
            ticks++;
            clock.advance(Duration.ofMillis(TICK_MILLIS));
            for (Host host : hosts) {
                if (host.guard == null) {
                    if (--host.downTicks <= 0) {
                        say("agent of " + host.leases.self + " is back");
                        boot(host);
                    }
                    continue;
                }
                host.upTicks++;
                host.leases.tick();
                if (host.statusUnread && random.nextInt(3) > 0) {
                    host.statusUnread = false;
                    if (host.status == null) {
                        host.guard.noStatus(DOMAIN.name());
                    } else {
                        host.guard.status(host.status);
                    }
                }
                for (DomainEvent event : List.copyOf(host.events)) {
                    int fate = random.nextInt(4);
                    if (fate == 0) {
                        host.events.remove(event); // lost
                    } else if (fate > 1) {
                        host.guard.lifecycle(event);
                        if (fate == 2) {
                            host.events.remove(event);
                        }
                    }
                }
                host.guard.drain();
                host.slow.runAll();
                check();
            }
            if (hosts[0].guard != null && hosts[1].guard != null) {
                check();
            }
        }

        /** Before any agent has seen what libvirt has done: it asks nobody. */
        private void checkStill() {
            if (!onRbd || sees(hosts[from])) {
                checkTwice();
            }
        }

        private static boolean sees(Host host) {
            return host.guard != null && !host.statusUnread && host.upTicks > SEES_TICKS;
        }

        private void checkTwice() {
            assertThat(hosts[0].runs() && hosts[1].runs())
                    .as("the guest runs twice at tick %d", ticks)
                    .isFalse();
        }

        private void check() {
            checkTwice();
            for (Host host : hosts) {
                // Also while the only copy of the guest waits to go on.
                if (host.runs() || (phase == Phase.FAILED && hosts[from].alive())) {
                    assertThat(disk.owners)
                            .as("somebody else could take a lease at tick %d", ticks)
                            .containsKeys(DISK, SELF);
                }
            }
        }

        // ---- libvirt

        private void launch(Host host, boolean executes) {
            host.qemu = host.processes.launch(DOMAIN.uuid());
            host.executes = executes;
            host.killed = false;
            host.hypervisor.activate(DOMAIN.uuid(), DOMAIN.name(), DOMAIN.xml());
        }

        private void status(Host host, String state, String reason, String job, String phaseName) {
            say(host.leases.self + " is " + state + "/" + reason + " " + job + " " + phaseName);
            host.status = new DomainStatus(state, reason, 1, job, phaseName, onRbd ? rbd() : DOMAIN.spec());
            host.statusUnread = true;
        }

        private void event(Host host, DomainEvent.Kind kind) {
            host.events.add(DomainEvent.of(DOMAIN.uuid(), DOMAIN.name(), kind.ordinal(), 1));
        }

        /** libvirt notices that a QEMU has gone. */
        private void gone(Host host) {
            if (host.qemu != null) {
                host.qemu.end();
            }
            host.executes = false;
            host.hypervisor.deactivate(DOMAIN.uuid());
            host.status = null;
            host.statusUnread = true;
            event(host, DomainEvent.Kind.STOPPED);
            say(host.leases.self + " has no QEMU");
        }

        private void resumeSource() {
            Host source = hosts[from];
            if (source.alive()) {
                source.executes = true;
                status(source, "running", "migration canceled", "", "");
                event(source, DomainEvent.Kind.RESUMED);
            } else {
                gone(source);
            }
        }

        private void to(Phase next) {
            phase = next;
            phaseTicks = 0;
        }

        private void libvirt() {
            Host source = hosts[from];
            Host target = hosts[1 - from];
            phaseTicks++;
            for (Host host : hosts) {
                if (host.status != null && !host.alive()) {
                    gone(host);
                }
            }
            switch (phase) {
                case IDLE -> {
                    if (source.runs() && faults && random.nextInt(20) == 0) {
                        status(source, "running", "booted", "migration out", "begin3");
                        to(Phase.PREPARING);
                    }
                }
                case PREPARING -> prepare(source, target);
                case SENDING -> {
                    if (!source.alive() || !target.alive() || random.nextInt(200) == 0) {
                        say("aborted");
                        ends[3]++;
                        fail(target);
                    } else if (phaseTicks > STARTS_TICKS && random.nextInt(40) == 0) {
                        source.executes = false;
                        status(source, "paused", "migration", "migration out", "perform3_done");
                        event(source, DomainEvent.Kind.SUSPENDED);
                        to(Phase.SENT);
                    }
                }
                case SENT -> {
                    if (random.nextInt(3) == 0) {
                        finish(source, target);
                    }
                }
                case FAILED -> {
                    assertThat(source.alive() || source.killed)
                            .as("the only copy of the guest lives")
                            .isTrue();
                    if (phaseTicks > FAILS_TICKS) {
                        gone(target);
                        resumeSource();
                        to(Phase.IDLE);
                    }
                }
                case CONFIRMED -> {
                    // It is told to end, and is killed if it does not.
                    if (!source.qemu.stopped() || phaseTicks > KILLED_TICKS) {
                        gone(source);
                        from = 1 - from;
                        to(Phase.IDLE);
                    }
                }
                case UNANSWERED -> {
                    // An agent that dies lets the virtual processors go: a connection that breaks before the next
                    // one has looked is more than can be promised on RBD.
                    boolean waits = onRbd && !sees(source) && phaseTicks <= LIBVIRT_WAITS_TICKS;
                    if (!source.alive() || (phaseTicks > waitsTicks && !waits)) {
                        resumeSource();
                        to(Phase.IDLE);
                        if (!source.alive() && target.alive()) {
                            from = 1 - from;
                        }
                    }
                }
            }
        }

        private void prepare(Host source, Host target) {
            DomainGuard guard = target.guard;
            if (asked == null && guard != null) {
                guard.migrate(DOMAIN.uuid(), DOMAIN.name());
                asked = guard.prepare(DOMAIN.spec(), DOMAIN.uuid(), derivation());
            }
            CompletableFuture<StartAnswer> answer = asked;
            if (answer == null || guard == null || (phaseTicks > 700 && !answer.isDone())) {
                failPrepare(answer);
            } else if (answer.isDone()) {
                asked = null;
                if (answer.join() instanceof StartAnswer.Granted && source.alive()) {
                    launch(target, false);
                    status(target, "paused", "migration", "migration in", "prepare");
                    status(source, "running", "booted", "migration out", "perform3");
                    to(Phase.SENDING);
                } else {
                    say("refused: " + answer.join().message());
                    failPrepare(answer);
                }
            }
        }

        private void failPrepare(@Nullable CompletableFuture<StartAnswer> answer) {
            if (answer != null) {
                answer.cancel(false);
            }
            asked = null;
            say("not begun");
            Host target = hosts[1 - from];
            if (target.guard != null) {
                target.guard.released(DOMAIN.uuid());
            }
            if (hosts[from].alive()) {
                status(hosts[from], "running", "booted", "", "");
            }
            to(Phase.IDLE);
        }

        private void fail(Host target) {
            if (target.alive()) {
                status(target, "paused", "migration", "", "");
            }
            to(Phase.FAILED);
        }

        private void finish(Host source, Host target) {
            boolean fails = !target.alive() || !source.alive() || random.nextInt(4) == 0;
            if (fails) {
                say("fails at the end");
                ends[2]++;
                fail(target);
                return;
            }
            target.executes = true;
            status(target, "running", "migrated", "", "");
            event(target, DomainEvent.Kind.RESUMED);
            if (random.nextInt(3) == 0) {
                // Told that there is no connection any more, libvirt does not wait, and resumes the guest at once. In
                // the moment in which its agent cannot have seen yet that it has been sent, nobody could keep it from
                // that.
                waitsTicks = sees(source) && random.nextBoolean() ? random.nextInt(3) : LIBVIRT_WAITS_TICKS;
                say("the answer is lost, for " + waitsTicks);
                ends[1]++;
                to(Phase.UNANSWERED);
                return;
            }
            ends[0]++;
            arrived++;
            status(source, "paused", "migration", "migration out", "confirm3");
            to(Phase.CONFIRMED);
        }

        // ---- the walk

        void wander() {
            for (int i = 0; i < 1500; i++) {
                libvirt();
                checkStill();
                for (Host host : hosts) {
                    if (host.guard != null && random.nextInt(120) == 0 && !host.aloneHolds()) {
                        crash(host);
                    }
                    if (host.alive() && random.nextInt(2500) == 0) {
                        say("QEMU on " + host.leases.self + " is killed");
                        host.killed = true;
                        host.qemu.end();
                    }
                }
                tick();
            }
        }

        void comeHome() {
            faults = false;
            for (int i = 0; i < 5000 || phase != Phase.IDLE; i++) {
                libvirt();
                checkStill();
                tick();
                assertThat(i).as("it never ends, in phase %s", phase).isLessThan(20_000);
            }
            int alive = 0;
            for (int i = 0; i < 2; i++) {
                if (hosts[i].alive()) {
                    alive++;
                    assertThat(hosts[i].leases.owns(DISK) && hosts[i].leases.owns(SELF))
                            .as("%s has the domain and its leases", hosts[i].leases.self)
                            .isTrue();
                    assertThat(hosts[i].qemu.stopped() || hosts[i].qemu.guestHeld())
                            .isFalse();
                    assertThat(hosts[1 - i].leases.holdsNothing()).isTrue();
                }
            }
            assertThat(alive).isLessThanOrEqualTo(1);
            if (alive == 0) {
                assertThat(disk.owners).isEmpty();
                assertThat(hosts[0].leases.holdsNothing() && hosts[1].leases.holdsNothing())
                        .isTrue();
            }
        }

        private void say(String what) {
            trace.add(ticks + " " + what);
        }

        private static DomainSpec rbd() {
            DiskSource image = new DiskSource.Network("rbd", "pool/image", List.of(), "", "");
            return new DomainSpec(
                    DOMAIN.name(), DOMAIN.uuid(), List.of(new DiskSpec("vda", "disk", false, false, false, image)));
        }

        private static Derivation derivation() {
            List<DiskLease> leases = new ArrayList<>(DOMAIN.derivation().leases());
            leases.add(new DiskLease(
                    "domain", LeaseMode.EXCLUSIVE, "domain:" + DOMAIN.uuid(), SELF.value(), DiskLease.DOMAIN));
            return new Derivation(leases, List.of(), List.of());
        }
    }
}
