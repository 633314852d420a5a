/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeImages;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.FakeProcesses;
import io.vmguard.agent.testing.FakeTransfer;
import io.vmguard.agent.testing.FakeWatchdog;
import io.vmguard.agent.testing.StepExecutor;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A guard between fakes, stepped by hand: nothing happens unless {@link #settle} or {@link #pass} is called. */
final class GuardBench {
    static final Duration ANSWER_LIMIT = Duration.ofSeconds(30);
    static final Duration DESTROY_LIMIT = Duration.ofSeconds(5);
    static final FenceTimes TIMES = new FenceTimes(Timeouts.ofSeconds(10), DESTROY_LIMIT);
    /** On the boot clock; the clock of the tests begins later. */
    static final Duration GUARDED_SINCE = Duration.ofSeconds(100);

    /** As the fake lockspace has it after its first join. */
    static final Owner SELF = new Owner(1, 1);

    private static final Duration STEP = Duration.ofMillis(50);

    private final GuardSettings settings;
    final FakeClock clock;
    final FakeLockspace lockspace;
    final FakeTransfer transfer;
    final FakeHypervisor hypervisor;
    final FakeProcesses processes;
    final FakeImages images;
    final FakeWatchdog watchdog = new FakeWatchdog();
    final StepExecutor slowCalls = new StepExecutor();
    final DomainGuard guard;

    private GuardBench(
            GuardSettings settings,
            FakeClock clock,
            FakeLockspace lockspace,
            FakeTransfer transfer,
            FakeHypervisor hypervisor,
            FakeProcesses processes,
            FakeImages images) {
        this.settings = settings;
        this.clock = clock;
        this.lockspace = lockspace;
        this.transfer = transfer;
        this.hypervisor = hypervisor;
        this.processes = processes;
        this.images = images;
        this.guard = new DomainGuard(
                settings,
                lockspace,
                transfer,
                hypervisor,
                processes,
                new ActiveDomains(hypervisor, TestDomain.BY_NAME, clock, images, slowCalls),
                watchdog,
                clock,
                slowCalls,
                slowCalls);
        lockspace.listener(guard);
    }

    /** A host that is not a member yet. */
    static GuardBench of(GuardSettings settings) {
        FakeClock clock = new FakeClock();
        return new GuardBench(
                settings,
                clock,
                new FakeLockspace(clock),
                new FakeTransfer(SELF),
                new FakeHypervisor(),
                new FakeProcesses(),
                new FakeImages());
    }

    static GuardBench enforcing() {
        return of(settings(false, false)).joined();
    }

    static GuardBench observing() {
        return of(settings(true, false)).joined();
    }

    static GuardBench destroying() {
        return of(settings(false, true)).joined();
    }

    static GuardSettings settings(boolean observe, boolean destroyUnprotected) {
        return settings(
                observe, destroyUnprotected ? OnUnprotected.DESTROY : OnUnprotected.REPORT, false, ANSWER_LIMIT);
    }

    static GuardSettings settings(
            boolean observe, OnUnprotected onUnprotected, boolean allowIgnore, Duration answerLimit) {
        return new GuardSettings(
                observe,
                onUnprotected,
                GUARDED_SINCE.toNanos(),
                allowIgnore,
                true,
                false,
                answerLimit,
                TIMES,
                "node-a");
    }

    GuardBench joined() {
        lockspace.becomeMember();
        settle();
        return this;
    }

    /** The same host after the agent has died; what the old one had asked for is lost. */
    GuardBench afterCrash() {
        lockspace.forgetCallers();
        return new GuardBench(settings, clock, lockspace, transfer, hypervisor, processes, images);
    }

    // ---- time

    /** Everything that is due now, and what follows from it. */
    void settle() {
        do {
            clock.advance(Duration.ofMillis(1));
            guard.drain();
        } while (slowCalls.runAll() > 0);
    }

    /** Time passes in small steps, everything being handled in each. */
    void pass(Duration duration) {
        for (Duration left = duration; left.compareTo(Duration.ZERO) > 0; left = left.minus(STEP)) {
            clock.advance(STEP);
            settle();
        }
    }

    // ---- the life of a domain

    /** A prepare hook arrives; handled, but maybe not answered yet. */
    CompletableFuture<StartAnswer> prepare(TestDomain domain) {
        CompletableFuture<StartAnswer> answer = guard.prepare(domain.spec(), domain.uuid(), domain.derivation());
        settle();
        return answer;
    }

    /** The answer to a start that is expected to be answered at once. */
    StartAnswer ask(TestDomain domain) {
        return prepare(domain).getNow(new StartAnswer.CannotTell("(no answer yet)"));
    }

    /** The guard does not run for so long, while the rest of the world does. */
    void freeze(Duration duration) {
        clock.advance(duration);
    }

    /** A whole start: hook, QEMU, its process in the guard's hands. */
    FakeProcess run(TestDomain domain) {
        StartAnswer answer = ask(domain);
        if (!(answer instanceof StartAnswer.Granted)) {
            throw new AssertionError("not granted: " + answer);
        }
        FakeProcess process = launch(domain);
        pass(Duration.ofMillis(100));
        return process;
    }

    /** A QEMU begins to run, whoever has allowed it. */
    FakeProcess launch(TestDomain domain) {
        hypervisor.activate(domain.uuid(), domain.name(), domain.xml());
        return processes.launch(domain.uuid());
    }

    /** A start that was granted fails in libvirt before there is a QEMU, or libvirt says that the domain is off. */
    void inactive(TestDomain domain) {
        hypervisor.deactivate(domain.uuid());
    }

    void releaseHook(TestDomain domain) {
        guard.released(domain.uuid());
        settle();
    }

    void event(TestDomain domain, DomainEvent.Kind kind) {
        guard.lifecycle(DomainEvent.of(domain.uuid(), domain.name(), kind.ordinal(), 0));
        settle();
    }

    Optional<DomainView> view(TestDomain domain) {
        return guard.view().domains().stream()
                .filter(view -> view.uuid().equals(domain.uuid().toString()))
                .findFirst();
    }
}
