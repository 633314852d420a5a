/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.SilentListener;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** A lost membership: every user of a lease is stopped, libvirt first, and nobody is said to be gone who is not. */
class DomainGuardLossTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2");
    private static final TestDomain DEMO2 = TestDomain.of("demo2", "/images/two.qcow2");

    private final GuardBench bench = GuardBench.enforcing();

    @Test
    void everyDomainWithALeaseIsDestroyedThroughLibvirt() {
        FakeProcess one = bench.run(DEMO1);
        FakeProcess two = bench.run(DEMO2);
        bench.hypervisor.onDestroy(uuid -> {
            bench.hypervisor.deactivate(uuid);
            (uuid.equals(DEMO1.uuid()) ? one : two).end();
            return new KillResult.Destroyed();
        });
        bench.lockspace.lose();
        bench.settle();
        assertThat(bench.hypervisor.destroys()).containsExactlyInAnyOrder(DEMO1.uuid(), DEMO2.uuid());
        assertThat(one.kills() + two.kills()).isZero();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        assertThat(bench.lockspace.releases()).isEmpty(); // nothing is ours any more
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void sigkillComesAtOnceWhenLibvirtCannotTell() {
        FakeProcess qemu = bench.run(DEMO1);
        bench.hypervisor.onDestroy(uuid -> new KillResult.Unknown("libvirt hangs"));
        bench.lockspace.lose();
        bench.settle();
        bench.pass(Duration.ofMillis(100));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void sigkillComesWhenLibvirtTakesLongerThanItsLimit() {
        FakeProcess qemu = bench.run(DEMO1);
        bench.lockspace.lose();
        for (Duration passed = Duration.ZERO;
                passed.compareTo(GuardBench.DESTROY_LIMIT) < 0;
                passed = passed.plusSeconds(1)) {
            assertThat(qemu.kills()).isZero();
            bench.guard.drain(); // the destroy stays under way
            bench.clock.advance(Duration.ofSeconds(1));
        }
        bench.guard.drain();
        assertThat(qemu.kills()).isEqualTo(1);
    }

    @Test
    void sigkillComesWhenLibvirtSaysDoneAndTheProcessLives() {
        FakeProcess qemu = bench.run(DEMO1);
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusMillis(100));
        assertThat(bench.hypervisor.destroys()).containsExactly(DEMO1.uuid());
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void usersAreGoneOnlyWhenTheLastProcessIs() {
        FakeProcess one = bench.run(DEMO1);
        FakeProcess two = bench.run(DEMO2);
        two.stick();
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(2));
        assertThat(one.alive()).isFalse();
        assertThat(two.kills()).isGreaterThan(10);
        assertThat(bench.lockspace.usersGoneCalls()).isZero();
        assertThat(bench.view(DEMO2)).map(DomainView::state).contains("stopping");
        bench.inactive(DEMO1);
        bench.inactive(DEMO2);
        two.end();
        bench.settle();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void grantedStartWithoutAProcessIsKilledAsSoonAsItHasOne() {
        bench.ask(DEMO1);
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml());
        bench.hypervisor.onDestroy(uuid -> new KillResult.Unknown("busy with its start"));
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(3));
        assertThat(bench.lockspace.usersGoneCalls()).isZero();
        FakeProcess qemu = bench.launch(DEMO1);
        bench.pass(Duration.ofMillis(150));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void grantedStartThatNeverHasAProcessIsGoneOnLibvirtsWord() {
        bench.ask(DEMO1);
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void grantedStartIsNotGoneWhileLibvirtDoesNotAnswer() {
        bench.ask(DEMO1);
        bench.hypervisor.silent(true);
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.usersGoneCalls()).isZero();
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void domainsWithoutLeasesAreNotTouched() {
        TestDomain free = TestDomain.of("free");
        TestDomain conflict = TestDomain.of("conflict", "/images/three");
        bench.lockspace.answer(conflict.resource(), FakeLockspace.heldByNodeB("demo9"));
        FakeProcess freeQemu = bench.launch(free);
        FakeProcess conflictQemu = bench.launch(conflict);
        bench.guard.connected();
        bench.pass(Duration.ofSeconds(1));
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(freeQemu.kills() + conflictQemu.kills()).isZero();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void startThatWaitsForItsLeasesIsAnsweredAtOnce() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.lockspace.lose();
        bench.settle();
        assertThat(answer.join())
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message()).contains("no renewal has succeeded"));
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void nothingIsGrantedBetweenTheLossAndItsNews() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.lockspace.complete(DEMO1.resource());
        bench.lockspace.listener(new SilentListener()); // the news is still on its way
        bench.lockspace.lose();
        bench.settle();
        assertThat(answer.join()).isInstanceOf(StartAnswer.CannotTell.class);
    }

    @Test
    void leaseOfAFoundDomainThatIsWonAfterTheLossDoesNotCount() {
        bench.lockspace.holdBack(true);
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(Duration.ofMillis(100));
        bench.guard.lost(io.vmguard.lease.LeaseFault.TIMED_OUT, "no renewal");
        bench.settle();
        bench.lockspace.complete(DEMO1.resource()); // the engine has not noticed yet
        bench.lockspace.listener(new SilentListener());
        bench.lockspace.lose();
        bench.settle();
        assertThat(bench.view(DEMO1).orElseThrow().leases()).noneMatch(DomainView.LeaseView::held);
        assertThat(qemu.alive()).isTrue(); // it never counted as a user
        bench.lockspace.listener(bench.guard);
        bench.lockspace.holdBack(false);
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void leaseOfAFoundDomainThatWasWonJustBeforeTheLossIsAUserToBeStopped() {
        bench.lockspace.holdBack(true);
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(Duration.ofMillis(100));
        bench.lockspace.complete(DEMO1.resource());
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void runsGoOnUnderTheNextMembership() {
        bench.run(DEMO1);
        bench.hypervisor.onDestroy(uuid -> new KillResult.Unknown("hangs"));
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(1));
        bench.inactive(DEMO1);
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.pass(Duration.ofSeconds(1));
        assertThat(answer).isNotDone();
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    @Test
    void lossIsHandledEvenIfNoThreadCanBeHad() {
        FakeProcess one = bench.run(DEMO1);
        FakeProcess two = bench.run(DEMO2);
        bench.slowCalls.refuse(true);
        bench.lockspace.lose();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(one.alive()).isFalse();
        assertThat(two.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    // ---- an earlier agent of this boot

    @Test
    void usersOfALostEarlierLifeAreStoppedBeforeTheNextMembership() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(false, false));
        FakeProcess qemu = fresh.launch(DEMO1);
        qemu.stick();
        fresh.guard.previousLifeLost(Map.of(
                DEMO1.resource(),
                LeaseUse.exclusive(DEMO1.note()),
                DEMO2.resource(),
                LeaseUse.exclusive(DEMO2.note())));
        fresh.settle();
        assertThat(fresh.hypervisor.destroys()).containsExactlyInAnyOrder(DEMO1.uuid(), DEMO2.uuid());
        assertThat(qemu.kills()).as("without waiting for libvirt").isPositive();
        fresh.pass(GuardBench.DESTROY_LIMIT.plusSeconds(2));
        assertThat(fresh.lockspace.usersGoneCalls()).isZero();
        fresh.inactive(DEMO1);
        qemu.end();
        fresh.pass(Duration.ofSeconds(2));
        assertThat(fresh.lockspace.usersGoneCalls()).isEqualTo(1);
        assertThat(fresh.guard.view().domains()).isEmpty();
    }

    /** libvirt is ordered after the agent at boot: its word on what has long ended would be waited for until the agent gave up waiting. */
    @Test
    void usersOfALostEarlierLifeAreGoneWithoutLibvirtWhenItsDaemonIsNotThere() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(false, false));
        fresh.hypervisor.silent(true);
        fresh.processes.daemonGone(true);
        fresh.guard.previousLifeLost(Map.of(DEMO1.resource(), LeaseUse.exclusive(DEMO1.note())));
        fresh.pass(Duration.ofSeconds(2));
        assertThat(fresh.lockspace.usersGoneCalls()).isEqualTo(1);
        assertThat(fresh.guard.view().domains()).isEmpty();
    }

    @Test
    void processOfALostEarlierLifeIsAwaitedAlsoWhenLibvirtsDaemonIsNotThere() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(false, false));
        FakeProcess qemu = fresh.launch(DEMO1);
        qemu.stick();
        fresh.hypervisor.silent(true);
        fresh.processes.daemonGone(true);
        fresh.guard.previousLifeLost(Map.of(DEMO1.resource(), LeaseUse.exclusive(DEMO1.note())));
        fresh.pass(Duration.ofMinutes(1));
        assertThat(fresh.lockspace.usersGoneCalls()).isZero();
        qemu.end();
        fresh.settle();
        assertThat(fresh.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    /** A QEMU that its daemon left behind half made is not seen by a search that had begun before. */
    @Test
    void aSearchFromBeforeTheDaemonsAbsenceProvesNothing() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(false, false));
        fresh.hypervisor.silent(true);
        fresh.guard.previousLifeLost(Map.of(DEMO1.resource(), LeaseUse.exclusive(DEMO1.note())));
        fresh.pass(Duration.ofSeconds(1));
        fresh.processes.duringNextFind(() -> {
            fresh.processes.daemonGone(true);
            fresh.launch(DEMO1).stick();
        });
        fresh.pass(Duration.ofSeconds(10));
        assertThat(fresh.lockspace.usersGoneCalls()).isZero();
        assertThat(fresh.view(DEMO1)).map(DomainView::state).contains("stopping");
    }

    @Test
    void earlierLifeWithoutUsersIsOverAtOnce() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(false, false));
        fresh.guard.previousLifeLost(Map.of());
        fresh.settle();
        assertThat(fresh.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void observeStopsNoUserOfALostEarlierLife() {
        GuardBench fresh = GuardBench.of(GuardBench.settings(true, false));
        FakeProcess qemu = fresh.launch(DEMO1);
        fresh.guard.previousLifeLost(Map.of(DEMO1.resource(), LeaseUse.exclusive(DEMO1.note())));
        fresh.pass(Duration.ofMinutes(1));
        assertThat(fresh.hypervisor.destroys()).isEmpty();
        assertThat(qemu.alive()).isTrue();
        assertThat(fresh.lockspace.usersGoneCalls()).isEqualTo(1);
    }
}
