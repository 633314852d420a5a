/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** One random walk: a small model of libvirt and storage around a real guard, and the rules that must hold in every state. */
final class GuardWalk extends RandomWalk {
    /** What happened how often. */
    static final class Tally {
        int launched;
        int refused;
        int released;
        int losses;
        int rejoined;
        int killed;
        int restarts;
        int lateWakeups;
        int pausesProved;
        int wentOn;
        int plugged;
        int givenBack;
        int expelled;

        void add(Tally other) {
            launched += other.launched;
            refused += other.refused;
            released += other.released;
            losses += other.losses;
            rejoined += other.rejoined;
            killed += other.killed;
            restarts += other.restarts;
            lateWakeups += other.lateWakeups;
            pausesProved += other.pausesProved;
            wentOn += other.wentOn;
            plugged += other.plugged;
            givenBack += other.givenBack;
            expelled += other.expelled;
        }
    }

    private enum Membership {
        MEMBER,
        /** It has run out; the engine has not said so. */
        UNTOLD,
        /** Users must go. */
        LOST,
        /** They have gone, it says. */
        FREE,
        /** The agent has been started again and has not resumed yet. */
        RESTARTED
    }

    /** libvirt's idea of one domain, and the processes there are in truth. */
    private static final class Machine {
        final TestDomain domain;
        final boolean wild;

        @Nullable
        CompletableFuture<StartAnswer> asking;

        boolean launching;
        boolean active;
        boolean halted;
        /** The further disk: libvirt shows it; QEMU has it open. */
        boolean plugged;

        boolean open;
        final List<FakeProcess> processes = new ArrayList<>();

        Machine(TestDomain domain, boolean wild) {
            this.domain = domain;
            this.wild = wild;
        }

        boolean off() {
            return asking == null && !launching && !active;
        }

        boolean alive() {
            return processes.stream().anyMatch(FakeProcess::alive);
        }

        /** A process that is proved stopped writes nothing until somebody lets it go on. */
        boolean mayWrite() {
            return mayRun() && (notYetRunning() || processes.stream().anyMatch(p -> p.alive() && !p.stopped()));
        }

        private boolean notYetRunning() {
            return launching || !alive();
        }

        /** A yes that has been given counts, whether or not anybody has read it. */
        boolean mayRun() {
            CompletableFuture<StartAnswer> answer = asking;
            boolean granted = answer != null
                    && answer.isDone()
                    && !answer.isCancelled()
                    && answer.join() instanceof StartAnswer.Granted;
            return granted || launching || alive();
        }

        boolean needs(LeaseName resource) {
            return domain.resources().contains(resource) || (open && resource.equals(extra()));
        }

        /** The lease of the disk that is plugged in and out while it runs. */
        LeaseName extra() {
            return TestDomain.of(domain.name(), "/x-" + domain.name()).resource();
        }

        String xml() {
            return plugged
                    ? domain.xml()
                            .replace(
                                    "</devices>",
                                    "<disk type='file' device='disk'><source file='/x-" + domain.name()
                                            + "'/><backingStore/><target dev='vdx'/><alias name='dev-vdx'/></disk></devices>")
                    : domain.xml();
        }
    }

    final Tally tally = new Tally();
    private final List<Machine> machines = List.of(
            new Machine(TestDomain.of("one", "/a").onLockFailure("pause"), false),
            new Machine(TestDomain.of("two", "/a", "/b").onLockFailure("pause"), false),
            new Machine(TestDomain.of("three", "/b", "/c").onLockFailure("restart"), false),
            new Machine(TestDomain.of("wild", "/w"), true));
    private final List<TestDomain> lateHooks = new ArrayList<>();
    private final Set<Machine> usersOfTheLost = new HashSet<>();
    /** What no hook announces may come again without a lease at any time; only these processes had one. */
    private final Set<FakeProcess> wildUsersOfTheLost = new HashSet<>();

    private final Map<LeaseName, LeaseUse> lostLeases = new HashMap<>();
    private Membership membership = Membership.MEMBER;
    private boolean libvirtSilent;
    private GuardBench bench = GuardBench.enforcing();

    GuardWalk(long seed) {
        super(seed);
        bench.hypervisor.onDestroy(this::destroy);
        bench.hypervisor.onSuspend(this::suspend);
        bench.hypervisor.devices(new FakeHypervisor.Obedient() {
            @Override
            public ChangeResult unplug(UUID uuid, String alias, Duration limit) {
                return expel(uuid);
            }
        });
        watch();
    }

    // ---- the rules

    private void watch() {
        bench.lockspace.onRelease(resource -> {
            tally.released++;
            tally.givenBack += machines.stream().anyMatch(m -> m.extra().equals(resource)) ? 1 : 0;
            say("  guard releases " + nameOf(resource));
            machines.stream()
                    .filter(machine -> machine.needs(resource) && machine.mayWrite())
                    .findFirst()
                    .ifPresent(machine -> {
                        throw new Violation("a lease of " + machine.domain.name() + " was given back, but it may run");
                    });
        });
        bench.lockspace.onUsersGone(() -> {
            say("  guard says that the users are gone");
            if (membership != Membership.LOST) {
                throw new Violation("users were said to be gone and nothing was lost");
            }
            usersOfTheLost.stream().filter(Machine::mayWrite).findFirst().ifPresent(machine -> {
                throw new Violation(machine.domain.name() + " was said to be gone, but it may run");
            });
            if (wildUsersOfTheLost.stream().anyMatch(FakeProcess::alive)) {
                throw new Violation("wild was said to be gone, but it runs");
            }
            membership = Membership.FREE;
        });
    }

    private void checkDisks() {
        Set<LeaseName> used = new HashSet<>();
        for (Machine machine : machines) {
            if (!machine.mayWrite()) {
                continue;
            }
            for (LeaseName resource : machine.domain.resources()) {
                if (!used.add(resource)) {
                    throw new Violation("two domains may write to " + nameOf(resource));
                }
            }
            if (machine.processes.stream().filter(FakeProcess::alive).count() > 1) {
                throw new Violation("two processes of " + machine.domain.name());
            }
        }
    }

    private String nameOf(LeaseName resource) {
        return machines.stream()
                .flatMap(machine -> machine.domain.derivation().leases().stream())
                .filter(lease -> lease.resource().equals(resource.value()))
                .findFirst()
                .map(DiskLease::identity)
                .orElse("a further disk");
    }

    // ---- walking

    @Override
    void wander(int steps) {
        for (int i = 0; i < steps; i++) {
            act();
            bench.clock.advance(Duration.ofMillis(random.nextInt(40)));
            if (chance(3)) {
                bench.clock.advance(Duration.ofSeconds(random.nextInt(40)));
            }
            if (chance(60)) {
                libvirtAnswersUnlessAHookRuns();
                bench.slowCalls.runOne(random);
            }
            if (chance(70)) {
                bench.guard.drain();
            }
            checkDisks();
            countPauses();
        }
    }

    private void libvirtAnswersUnlessAHookRuns() {
        bench.hypervisor.silent(libvirtSilent);
        bench.hypervisor.listsHang(machines.stream().anyMatch(machine -> machine.asking != null));
        // Silent for want of a daemon: then nobody serves a hook or makes a QEMU.
        bench.processes.daemonGone(
                libvirtSilent && machines.stream().noneMatch(machine -> machine.asking != null || machine.launching));
    }

    private void countPauses() {
        for (Machine machine : machines) {
            boolean halted = bench.view(machine.domain)
                    .filter(view -> view.state().equals("paused"))
                    .isPresent();
            boolean stopped = machine.processes.stream().anyMatch(FakeProcess::stopped);
            if (halted && machine.processes.stream().anyMatch(p -> p.alive() && !p.stopped() && p.kills() == 0)) {
                throw new Violation(machine.domain.name() + " is said to be paused, and is not");
            }
            tally.pausesProved += halted && !machine.halted ? 1 : 0;
            tally.wentOn += machine.halted && !halted && !stopped && machine.alive() ? 1 : 0;
            machine.halted = halted;
        }
    }

    private void act() {
        Machine machine = machines.get(random.nextInt(machines.size()));
        int dice = random.nextInt(100);
        if (dice < 44) {
            live(machine);
        } else if (dice < 64) {
            storage(machine);
        } else if (dice < 80) {
            devices(machine);
        } else if (dice < 85) {
            hooksAndEvents(machine);
        } else if (dice < 88) {
            libvirtSilent = chance(30);
        } else if (dice < 91) {
            bench.processes.silent(chance(30));
        } else if (dice < 94) {
            lose();
        } else if (dice < 98) {
            join();
        } else if (chance(30)) {
            restart();
        }
    }

    private void live(Machine machine) {
        if (machine.asking != null) {
            hear(machine, chance(10));
        } else if (machine.launching) {
            if (chance(70)) {
                launch(machine);
            } else {
                say(machine.domain.name() + " fails before it has a QEMU");
                stopped(machine);
            }
        } else if (machine.active) {
            end(machine);
        } else if (machine.wild) {
            // Not while the guard still winds its last run up: nothing but a hook could tell it of the new one in time.
            if (!machine.alive() && bench.view(machine.domain).isEmpty()) {
                say("wild is started behind our back");
                machine.launching = true;
                launch(machine);
            }
        } else if (chance(30)) {
            say("start " + machine.domain.name());
            machine.asking =
                    bench.guard.prepare(machine.domain.spec(), machine.domain.uuid(), machine.domain.derivation());
        }
        for (FakeProcess process : machine.processes) {
            if (!machine.active && process.alive() && chance(30)) {
                say(machine.domain.name() + ": the QEMU that libvirt gave up ends");
                process.end();
            }
        }
        machine.processes.removeIf(process -> !process.alive());
    }

    // ---- devices

    private void devices(Machine machine) {
        if (!machine.active || !machine.alive()) {
            return;
        }
        if (!machine.plugged) {
            if (chance(50) && machine.open) {
                say(machine.domain.name() + ": QEMU closes the further disk");
                machine.open = false;
                opened(machine);
            } else if (!machine.open) {
                say(machine.domain.name() + ": a further disk is plugged in");
                tally.plugged++;
                machine.open = true;
                machine.plugged = true;
                opened(machine);
                shown(machine);
            }
        } else if (chance(60)) {
            say(machine.domain.name() + ": the further disk is unplugged");
            machine.plugged = false;
            shown(machine);
        }
    }

    private void opened(Machine machine) {
        machine.processes.forEach(process -> bench.images.open(
                process.pid(), machine.open ? new String[] {"/x-" + machine.domain.name()} : new String[0]));
    }

    /** libvirt shows it; its event and its status file: now, later with another one, twice or never. */
    private void shown(Machine machine) {
        bench.hypervisor.activate(machine.domain.uuid(), machine.domain.name(), machine.xml());
        tellDevices(machine);
    }

    private void tellDevices(Machine machine) {
        if (chance(60)) {
            String xml = "<domstatus state='running'>" + machine.xml() + "</domstatus>";
            try {
                bench.guard.status(DomainXml.parseStatus(xml.getBytes(StandardCharsets.UTF_8)));
            } catch (DomainXmlException e) {
                throw new IllegalStateException(e);
            }
        }
        if (chance(40)) {
            bench.guard.changed(new DomainChange(
                    machine.domain.uuid(), machine.domain.name(), DomainChange.Kind.DEVICE_ADDED, "dev-vdx"));
        }
    }

    private ChangeResult expel(UUID uuid) {
        Machine machine = machines.stream()
                .filter(m -> m.domain.uuid().equals(uuid))
                .findFirst()
                .orElseThrow();
        if (chance(30) || !machine.active) {
            return new ChangeResult.Failed("busy");
        }
        if (chance(70)) {
            say("  libvirt unplugs the further disk of " + machine.domain.name());
            tally.expelled++;
            machine.plugged = false;
            machine.open = chance(30);
            opened(machine);
            shown(machine);
        }
        return new ChangeResult.Done();
    }

    private void hear(Machine machine, boolean giveUp) {
        CompletableFuture<StartAnswer> answer = machine.asking;
        if (answer == null || !giveUp && !answer.isDone()) {
            return;
        }
        answer.cancel(false);
        machine.asking = null;
        if (!answer.isCancelled() && answer.join() instanceof StartAnswer.Granted) {
            say(machine.domain.name() + " is granted");
            machine.launching = true;
            bench.hypervisor.activate(machine.domain.uuid(), machine.domain.name(), machine.domain.xml());
        } else {
            say(machine.domain.name() + (answer.isCancelled() ? " gives up" : " is refused"));
            tally.refused++;
            hook(machine.domain);
        }
    }

    private void launch(Machine machine) {
        say(machine.domain.name() + " runs");
        tally.launched++;
        machine.launching = false;
        machine.active = true;
        machine.plugged = false;
        machine.open = false;
        FakeProcess process = bench.launch(machine.domain);
        if (chance(15)) {
            process.stick();
        }
        machine.processes.add(process);
        if (machine.wild || chance(50)) {
            event(machine.domain, DomainEvent.Kind.STARTED);
        }
    }

    private void end(Machine machine) {
        if (chance(60)) {
            return;
        }
        boolean givenUp = chance(25);
        say(machine.domain.name() + (givenUp ? " is given up by libvirt" : " ends"));
        if (!givenUp) {
            machine.processes.forEach(FakeProcess::end);
        }
        stopped(machine);
    }

    /** libvirt counts it as inactive from here on. */
    private void stopped(Machine machine) {
        machine.launching = false;
        machine.active = false;
        bench.hypervisor.deactivate(machine.domain.uuid());
        hook(machine.domain);
        if (chance(70)) {
            event(machine.domain, DomainEvent.Kind.STOPPED);
        }
    }

    /** The release hook: now, later, twice or never. */
    private void hook(TestDomain domain) {
        if (chance(50)) {
            bench.guard.released(domain.uuid());
        }
        if (chance(40)) {
            lateHooks.add(domain);
        }
    }

    private void event(TestDomain domain, DomainEvent.Kind kind) {
        bench.guard.lifecycle(DomainEvent.of(domain.uuid(), domain.name(), kind.ordinal(), 0));
    }

    private void hooksAndEvents(Machine machine) {
        if (!lateHooks.isEmpty() && chance(60)) {
            bench.guard.released(
                    lateHooks.remove(random.nextInt(lateHooks.size())).uuid());
        } else if (chance(30)) {
            bench.guard.reconnected();
        } else if (chance(30) && machine.active) {
            tellDevices(machine);
        } else if (chance(30)) {
            bench.guard.connected();
        } else {
            event(machine.domain, DomainEvent.Kind.values()[random.nextInt(DomainEvent.Kind.OTHER.ordinal())]);
        }
    }

    private void storage(Machine machine) {
        List<LeaseName> waiting = bench.lockspace.waiting();
        if (!waiting.isEmpty() && chance(70)) {
            bench.lockspace.complete(waiting.get(random.nextInt(waiting.size())));
            return;
        }
        bench.lockspace.holdBack(chance(60));
        LeaseName resource = machine.domain
                .resources()
                .get(random.nextInt(machine.domain.resources().size()));
        AcquireResult answer = chance(70)
                ? null
                : chance(50)
                        ? FakeLockspace.heldByNodeB("far")
                        : new AcquireResult.CannotTell(LeaseFault.TIMED_OUT, "no answer", false);
        bench.lockspace.answer(resource, machine.wild ? null : answer);
        bench.lockspace.answer(machine.extra(), chance(30) ? FakeLockspace.heldByNodeB("far") : null);
    }

    private KillResult destroy(UUID uuid) {
        Machine machine = machines.stream()
                .filter(m -> m.domain.uuid().equals(uuid))
                .findFirst()
                .orElseThrow();
        if (machine.asking != null || chance(30)) {
            return new KillResult.Unknown("busy");
        }
        if (machine.off()) {
            return new KillResult.AlreadyGone();
        }
        say("  libvirt destroys " + machine.domain.name());
        if (chance(70)) {
            machine.processes.forEach(FakeProcess::end);
        }
        stopped(machine);
        return new KillResult.Destroyed();
    }

    private SuspendResult suspend(UUID uuid) {
        Machine machine = machines.stream()
                .filter(m -> m.domain.uuid().equals(uuid))
                .findFirst()
                .orElseThrow();
        if (machine.asking != null || chance(20)) {
            return new SuspendResult.Unknown("busy");
        }
        if (machine.off()) {
            return new SuspendResult.NotRunning();
        }
        say("  libvirt pauses " + machine.domain.name());
        machine.processes.forEach(process -> process.stopLate(chance(20)));
        return new SuspendResult.Suspended();
    }

    private void lose() {
        if (membership == Membership.UNTOLD) {
            say("the engine says that the membership is lost");
            membership = Membership.LOST;
            bench.guard.lost(LeaseFault.TIMED_OUT, "no renewal");
        }
        if (membership != Membership.MEMBER) {
            return;
        }
        say("membership lost");
        tally.losses++;
        membership = Membership.LOST;
        lostLeases.clear();
        lostLeases.putAll(bench.lockspace.view().held());
        usersOfTheLost.clear();
        wildUsersOfTheLost.clear();
        for (Machine machine : machines) {
            boolean held = lostLeases.keySet().containsAll(machine.domain.resources());
            if (machine.wild && held) {
                machine.processes.stream().filter(FakeProcess::alive).forEach(wildUsersOfTheLost::add);
            } else if (held && machine.mayRun()) {
                usersOfTheLost.add(machine);
            }
        }
        if (chance(40)) {
            sleepThroughIt();
        } else {
            bench.lockspace.lose(Duration.ofSeconds(random.nextInt(82)));
            if (chance(60)) {
                libvirtAnswersUnlessAHookRuns();
                bench.pass(Duration.ofMillis(1500)); // all is quick and well meanwhile
                if (membership == Membership.FREE && chance(70)) {
                    join();
                }
            }
        }
    }

    /** The guard did not run for a while, and is the first to find out what has happened meanwhile. */
    private void sleepThroughIt() {
        Duration away = Duration.ofSeconds(80 + random.nextInt(60));
        say("  and the guard sleeps through it: " + away);
        tally.lateWakeups++;
        membership = Membership.UNTOLD;
        bench.freeze(away);
        bench.lockspace.expire(away);
        bench.guard.drain();
        if (away.compareTo(GuardBench.TIMES.killed()) < 0) {
            return;
        }
        for (Machine machine : usersOfTheLost) {
            boolean spared = machine.processes.stream()
                    .anyMatch(process ->
                            process.alive() && !process.stopped() && process.held() > 0 && process.kills() == 0);
            if (spared && tally.restarts == 0) {
                throw new Violation(machine.domain.name() + " is overdue and the first thing was not to kill it");
            }
        }
    }

    private void join() {
        tally.killed += machines.stream()
                .flatMap(m -> m.processes.stream())
                .mapToInt(FakeProcess::kills)
                .sum();
        if (membership == Membership.FREE) {
            say("member again");
            tally.rejoined++;
            membership = Membership.MEMBER;
            bench.lockspace.becomeMember();
        } else if (membership == Membership.RESTARTED) {
            say("membership resumed");
            membership = Membership.MEMBER;
            bench.lockspace.resume();
        }
    }

    /** The agent dies and is started again. Hooks that waited for it fail; what it had said before counts. */
    private void restart() {
        say("the agent is restarted");
        tally.restarts++;
        for (Machine machine : machines) {
            hear(machine, true);
        }
        bench = bench.afterCrash();
        watch();
        if (membership == Membership.MEMBER) {
            membership = Membership.RESTARTED;
        } else if (membership == Membership.LOST || membership == Membership.UNTOLD) {
            membership = Membership.LOST;
            bench.guard.previousLifeLost(lostLeases);
        }
    }

    // ---- the end

    /** Everything heals and ends. Then nothing may be left. */
    @Override
    void comeHome() {
        say("all is well again");
        libvirtSilent = false;
        bench.processes.silent(false);
        bench.lockspace.holdBack(false);
        List.copyOf(bench.lockspace.waiting()).forEach(bench.lockspace::complete);
        machines.forEach(machine -> {
            machine.domain.resources().forEach(r -> bench.lockspace.answer(r, null));
            bench.lockspace.answer(machine.extra(), null);
        });
        for (int second = 0; second < 70; second++) {
            for (Machine machine : machines) {
                hear(machine, true);
                if (!machine.off()) {
                    stopped(machine);
                }
                machine.processes.forEach(FakeProcess::end);
            }
            if (membership == Membership.UNTOLD) {
                lose();
            }
            join();
            bench.hypervisor.silent(false);
            bench.hypervisor.listsHang(false);
            bench.pass(Duration.ofSeconds(1));
            checkDisks();
        }
        if (membership != Membership.MEMBER) {
            throw new Violation("no membership: " + membership);
        }
        if (!bench.lockspace.held().isEmpty() || !bench.guard.view().domains().isEmpty()) {
            throw new Violation("left behind: " + bench.lockspace.held() + " " + bench.guard.view());
        }
        for (Machine machine : machines) {
            if (!(bench.ask(machine.domain) instanceof StartAnswer.Granted)) {
                throw new Violation(machine.domain.name() + " cannot be started any more");
            }
            bench.pass(Duration.ofSeconds(35));
        }
        if (tally.restarts == 0
                && machines.stream().flatMap(m -> m.processes.stream()).anyMatch(process -> process.held() > 0)) {
            throw new Violation("a handle on a process is left open");
        }
    }
}
