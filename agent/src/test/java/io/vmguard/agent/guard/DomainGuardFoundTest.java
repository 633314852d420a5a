/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.LeaseNote;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Domains that run without having asked: found by a list, carried over a restart of the agent, or let through by mode observe. */
class DomainGuardFoundTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2");
    private static final TestDomain DEMO2 = TestDomain.of("demo2", "/images/one.qcow2");

    // ---- found running

    @Test
    void domainFoundRunningGetsItsLeases() {
        GuardBench bench = GuardBench.of(GuardBench.settings(false, false));
        bench.launch(DEMO1);
        bench.joined();
        bench.pass(Duration.ofMillis(100));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        assertThat(bench.view(DEMO1)).hasValueSatisfying(view -> {
            assertThat(view.state()).isEqualTo("running");
            assertThat(view.pid()).contains(1000);
            assertThat(view.problems()).isEmpty();
        });
        assertThat(bench.ask(DEMO2)).isInstanceOf(StartAnswer.Refused.class);
    }

    @Test
    void domainSeenBeforeTheMembershipGetsItsLeasesWithIt() {
        GuardBench bench = GuardBench.of(GuardBench.settings(false, false));
        bench.launch(DEMO1);
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.view(DEMO1)).isPresent();
        bench.joined();
        bench.pass(Duration.ofMillis(100));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @ParameterizedTest
    @ValueSource(strings = {"STARTED", "RESUMED"})
    void domainThatNoHookAnnouncedIsFoundByItsEvent(String kind) {
        GuardBench bench = GuardBench.enforcing();
        bench.pass(Duration.ofSeconds(1));
        bench.launch(DEMO1);
        bench.event(DEMO1, DomainEvent.Kind.valueOf(kind));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void newConnectionAndReconnectHookLookAtOnce() {
        GuardBench bench = GuardBench.enforcing();
        bench.launch(DEMO1);
        bench.guard.connected();
        bench.settle();
        bench.launch(TestDomain.of("other", "/images/two"));
        bench.guard.reconnected();
        bench.settle();
        assertThat(bench.lockspace.held()).hasSize(2);
    }

    @Test
    void endOfADomainFoundRunningFreesItsLeases() {
        GuardBench bench = GuardBench.enforcing();
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(Duration.ofMillis(100));
        bench.inactive(DEMO1);
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void diskAttachedLaterGetsItsLeaseToo() {
        GuardBench bench = GuardBench.enforcing();
        FakeProcess qemu = bench.run(DEMO1);
        TestDomain more = TestDomain.of(DEMO1.name(), "/images/one.qcow2", "/images/two.qcow2");
        bench.hypervisor.activate(more.uuid(), more.name(), more.xml());
        bench.pass(Duration.ofSeconds(31));
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrderElementsOf(more.resources());
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void conflictOfADomainFoundRunningIsReportedAndLeftAlone() {
        GuardBench bench = GuardBench.enforcing();
        bench.lockspace.answer(DEMO1.resource(), FakeLockspace.heldByNodeB("demo9"));
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(Duration.ofSeconds(65));
        assertThat(bench.view(DEMO1).orElseThrow().problems())
                .singleElement()
                .satisfies(problem -> assertThat(problem)
                        .contains("in use by domain demo9 on host node-b")
                        .contains("It runs all the same.")
                        .doesNotContain("Not started"));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.hypervisor.destroys()).isEmpty();

        bench.lockspace.answer(DEMO1.resource(), null); // node-b has let go
        bench.pass(Duration.ofSeconds(31));
        assertThat(bench.view(DEMO1).orElseThrow().problems()).isEmpty();
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void problemsNeitherPileUpNorHideEachOther() {
        GuardBench bench = GuardBench.enforcing();
        TestDomain odd = TestDomain.of("odd", "/images/one.qcow2", "pool:p/v");
        bench.lockspace.answer(odd.resource(), FakeLockspace.heldByNodeB("demo9"));
        bench.launch(odd);
        bench.guard.connected();
        bench.pass(Duration.ofMinutes(3));
        assertThat(bench.view(odd).orElseThrow().problems())
                .hasSize(2)
                .anySatisfy(problem -> assertThat(problem).contains("vda (file:/images/one.qcow2) is in use"))
                .anySatisfy(problem -> assertThat(problem).contains("vdb cannot be protected"));
        bench.lockspace.answer(odd.resource(), null);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.view(odd).orElseThrow().problems())
                .singleElement()
                .satisfies(problem -> assertThat(problem).contains("vdb cannot be protected"));
        bench.lockspace.lose();
        bench.pass(Duration.ofMinutes(3));
        assertThat(bench.guard.view().domains())
                .allSatisfy(view -> assertThat(view.problems()).hasSizeLessThan(3));
    }

    @Test
    void domainWhoseXmlCannotBeReadIsReported() {
        GuardBench bench = GuardBench.enforcing();
        bench.processes.launch(DEMO1.uuid());
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), "<domain>");
        bench.guard.connected();
        bench.settle();
        assertThat(bench.view(DEMO1).orElseThrow().problems())
                .singleElement()
                .satisfies(problem -> assertThat(problem).contains("its XML cannot be read"));
    }

    @Test
    void policyDestroyStopsADomainWhoseDiskSomebodyElseHolds() {
        GuardBench bench = GuardBench.destroying();
        bench.lockspace.answer(DEMO1.resource(), FakeLockspace.heldByNodeB("demo9"));
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(bench.hypervisor.destroys()).containsExactly(DEMO1.uuid());
        assertThat(qemu.kills()).isPositive(); // libvirt has said that it is done, and it was not
        bench.inactive(DEMO1);
        bench.pass(Duration.ofSeconds(31));
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void policyDestroyStopsNobodyWhenStorageDoesNotSay() {
        GuardBench bench = GuardBench.destroying();
        bench.lockspace.answer(
                DEMO1.resource(),
                new io.vmguard.lease.AcquireResult.CannotTell(io.vmguard.lease.LeaseFault.IO, "error", false));
        FakeProcess qemu = bench.launch(DEMO1);
        bench.guard.connected();
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(qemu.kills()).isZero();
    }

    @Test
    void listThatIsOutOfDateDoesNotBringAnEndedRunBack() {
        GuardBench bench = GuardBench.enforcing();
        FakeProcess qemu = bench.run(DEMO1);
        bench.guard.reconnected();
        bench.guard.drain();
        bench.slowCalls.runAll(); // it has been listed
        qemu.end();
        bench.inactive(DEMO1);
        // The news of the end is handled after the list, or before it: neither may keep the lease for half a minute.
        bench.settle();
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).isEmpty();

        FakeProcess again = bench.run(DEMO1);
        bench.guard.reconnected();
        bench.guard.drain();
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml());
        again.end();
        bench.guard.drain();
        bench.slowCalls.runAll();
        bench.inactive(DEMO1);
        bench.guard.drain();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.view(DEMO1)).isEmpty();
    }

    @Test
    void domainThatIsListedButHasNoProcessIsLookedAtAgainSoon() {
        GuardBench bench = GuardBench.enforcing();
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml());
        bench.guard.connected();
        bench.settle();
        bench.inactive(DEMO1);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    // ---- carried over a restart of the agent

    @Test
    void leasesOfRunningDomainsAreClaimedByTheirNotesAfterARestart() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        bench.hypervisor.silent(true); // libvirt is not there yet
        bench.lockspace.resume();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.carriedOver()).isEmpty();
        assertThat(bench.view(DEMO1)).map(DomainView::state).contains("running");
        assertThat(bench.ask(DEMO2)).isInstanceOf(StartAnswer.Refused.class);
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.releases()).isEmpty();
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void leaseOfADomainThatEndedWhileTheAgentWasDeadGoesBackOnlyOnLibvirtsWord() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        qemu.end();
        bench.inactive(DEMO1);
        bench.hypervisor.silent(true);
        bench.lockspace.resume();
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofSeconds(32));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void leaseOfAQemuThatLibvirtHasGivenUpStaysAfterARestart() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        qemu.stick();
        GuardBench bench = before.afterCrash();
        bench.inactive(DEMO1);
        bench.lockspace.resume();
        bench.pass(Duration.ofMinutes(2));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void startThatWaitsForTheMembershipDoesNotGetALeaseThatIsCarriedOver() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        bench.inactive(DEMO1); // libvirt has given up a QEMU that hangs, so both starts are possible
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        CompletableFuture<StartAnswer> other = bench.prepare(DEMO2);
        bench.lockspace.carryOver(DEMO1.resource(), DEMO1.note());
        var owner = bench.lockspace.becomeMemberSilently(true);
        bench.pass(Duration.ofSeconds(1)); // a member already, but the guard has not been told
        assertThat(again).isNotDone();
        assertThat(other).isNotDone();
        bench.guard.joined(owner, true);
        bench.pass(Duration.ofSeconds(1));
        assertThat(other.join()).isInstanceOf(StartAnswer.Refused.class);
        assertThat(again).isNotDone();
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.lockspace.releases()).isEmpty();
    }

    /** libvirt lists a domain from the beginning of its start on, so also while the hook of the start waits for the agent. */
    @Test
    void startThatIsOnTheListItselfIsNotTakenForItsOwnPreviousRun() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        qemu.end(); // saved, say, while no agent ran; it stays on the list because it is being restored
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        bench.lockspace.carryOver(DEMO1.resource(), DEMO1.note());
        bench.lockspace.resume();
        bench.guard.connected();
        bench.pass(Duration.ofSeconds(3));
        assertThat(again).isDone();
        assertThat(again.join()).isInstanceOf(StartAnswer.Granted.class);
    }

    @Test
    void listThatArrivesBeforeTheNewsOfTheMembershipFreesNothingCarriedOver() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        bench.inactive(DEMO1); // given up by libvirt, not gone
        bench.lockspace.carryOver(DEMO1.resource(), DEMO1.note());
        bench.lockspace.becomeMemberSilently(true);
        bench.guard.connected();
        bench.pass(Duration.ofSeconds(2));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.lockspace.releases()).isEmpty();
    }

    @Test
    void leaseThatTurnsOutToBeCarriedOverLaterIsClaimedToo() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        bench.inactive(DEMO1);
        bench.lockspace.becomeMember(); // the disk with this lease did not answer in the moment of joining
        bench.settle();
        bench.lockspace.carryOver(DEMO1.resource(), DEMO1.note());
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        bench.pass(Duration.ofMinutes(2));
        assertThat(qemu.alive()).isTrue();
        assertThat(again.join()).isNotInstanceOf(StartAnswer.Granted.class);
        assertThat(bench.lockspace.releases()).isEmpty();
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void lossBeforeACarriedOverLeaseIsClaimedStopsItsUser() {
        GuardBench before = GuardBench.enforcing();
        FakeProcess qemu = before.run(DEMO1);
        GuardBench bench = before.afterCrash();
        bench.lockspace.resume();
        bench.lockspace.lose(); // both in the queue, and nothing can be claimed any more
        bench.pass(GuardBench.DESTROY_LIMIT.plusSeconds(1));
        assertThat(bench.hypervisor.destroys()).containsExactly(DEMO1.uuid());
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void carriedOverLeaseWithAnUnreadableNoteGoesBackOnceNoDomainNeedsIt() {
        GuardBench bench = GuardBench.of(GuardBench.settings(false, false));
        bench.hypervisor.silent(true);
        bench.lockspace.carryOver(DEMO1.resource(), new LeaseNote("?", "no uuid", "?", "?", 0));
        bench.lockspace.resume();
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofSeconds(31));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void carriedOverLeaseWithAnUnreadableNoteIsClaimedByTheDomainThatNeedsIt() {
        GuardBench bench = GuardBench.of(GuardBench.settings(false, false));
        bench.launch(DEMO1);
        bench.lockspace.carryOver(DEMO1.resource(), new LeaseNote("?", "no uuid", "?", "?", 0));
        bench.lockspace.resume();
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.lockspace.releases()).isEmpty();
        assertThat(bench.view(DEMO1).orElseThrow().problems()).isEmpty();
        assertThat(bench.lockspace.carriedOver()).isEmpty();
    }

    // ---- mode observe

    @Test
    void observeLetsATakenDiskThroughWithAWarningAndCountsIt() {
        GuardBench bench = GuardBench.observing();
        bench.lockspace.answer(DEMO1.resource(), FakeLockspace.heldByNodeB("demo9"));
        assertThat(bench.ask(DEMO1))
                .isInstanceOfSatisfying(
                        StartAnswer.Granted.class,
                        yes -> assertThat(yes.message()).contains("in use by domain demo9"));
        assertThat(bench.guard.view().refused()).isEqualTo(1);
        assertThat(bench.guard.view().granted()).isEqualTo(1);
        assertThat(bench.view(DEMO1).orElseThrow().problems()).hasSize(1);
    }

    @Test
    void observeLetsEveryKindOfRefusalThrough() {
        GuardBench bench = GuardBench.observing();
        assertThat(bench.ask(TestDomain.of("odd", "pool:p/v"))).isInstanceOf(StartAnswer.Granted.class);
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> silent = bench.prepare(DEMO2);
        bench.prepare(DEMO2);
        CompletableFuture<StartAnswer> busy = bench.prepare(DEMO2);
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(silent.join())
                .isInstanceOfSatisfying(
                        StartAnswer.Granted.class,
                        yes -> assertThat(yes.message()).contains("does not answer"));
        assertThat(busy.join()).isInstanceOf(StartAnswer.Granted.class);
        bench.lockspace.complete(DEMO2.resource());
        assertThat(bench.lockspace.held()).isEmpty();
        bench.lockspace.holdBack(false);

        bench.run(DEMO1);
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(again.join())
                .isInstanceOfSatisfying(
                        StartAnswer.Granted.class,
                        yes -> assertThat(yes.message()).contains("has not ended"));
    }

    @Test
    void observeLetsAStartThroughAtOnceWithoutAMembership() {
        GuardBench bench = GuardBench.of(GuardBench.settings(true, false));
        assertThat(bench.ask(DEMO1))
                .isInstanceOfSatisfying(
                        StartAnswer.Granted.class,
                        yes -> assertThat(yes.message()).contains("not a member"));
    }

    @Test
    void observeStopsNobodyWhenTheMembershipIsLostAndLeasesComeBackWithTheNext() {
        GuardBench bench = GuardBench.observing();
        FakeProcess qemu = bench.run(DEMO1);
        bench.lockspace.lose();
        bench.settle();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        bench.pass(Duration.ofMinutes(1));
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(qemu.kills()).isZero();
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        assertThat(bench.view(DEMO1).orElseThrow().problems()).isEmpty();
    }
}
