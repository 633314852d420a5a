/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.hypervisor.StartResult;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.SilentListener;
import io.vmguard.agent.testing.TestDomain;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a domain wants done about a lost lease, and what is done when somebody notices late. */
class DomainGuardFenceTest {
    private static final TestDomain PLAIN = TestDomain.of("plain", "/images/plain");
    private static final TestDomain PAUSED =
            TestDomain.of("paused", "/images/paused").onLockFailure("pause");
    private static final TestDomain AGAIN =
            TestDomain.of("again", "/images/again").onLockFailure("restart");
    private static final TestDomain CARELESS =
            TestDomain.of("careless", "/images/careless").onLockFailure("ignore");
    private static final Duration AWAY = Duration.ofSeconds(90);

    private final GuardBench bench = GuardBench.enforcing();

    // ---- noticed late

    @Test
    void theFirstThingAfterALongPauseIsSigkillForWhatIsOverdue() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.freeze(AWAY);
        bench.lockspace.expire(AWAY); // and the engine has not said so yet
        CompletableFuture<StartAnswer> answer = bench.guard.prepare(PAUSED.spec(), PAUSED.uuid(), PAUSED.derivation());
        bench.guard.drain();
        assertThat(qemu.kills()).isEqualTo(1);
        assertThat(bench.hypervisor.destroys()).as("nobody was waited for").isEmpty();
        assertThat(answer).as("nothing was granted").isNotDone();
    }

    @Test
    void aLossThatIsNoticedLateLeavesLessTimeForAnOrderlyEnd() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.lockspace.lose(Duration.ofSeconds(83)); // killed() is 85 s
        bench.guard.drain();
        assertThat(qemu.kills()).isZero();
        bench.clock.advance(Duration.ofMillis(1900));
        bench.guard.drain();
        assertThat(qemu.kills()).isZero();
        bench.clock.advance(Duration.ofMillis(200));
        bench.guard.drain();
        assertThat(qemu.kills()).isEqualTo(1);
    }

    @Test
    void usersAreNotSaidToBeGoneBeforeTheEngineHasNoticedTheLossItself() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.freeze(AWAY);
        bench.lockspace.expire(AWAY);
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isZero();
        bench.guard.lost(io.vmguard.lease.LeaseFault.TIMED_OUT, "no renewal has succeeded for 80 s");
        bench.settle();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        bench.inactive(PLAIN);
        bench.joined();
        assertThat(bench.ask(PLAIN)).isInstanceOf(StartAnswer.Granted.class);
    }

    @Test
    void aPauseThatCostsNoLeaseCostsNothing() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.freeze(Duration.ofSeconds(60));
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.kills()).isZero();
        assertThat(bench.hypervisor.destroys()).isEmpty();
    }

    @Test
    void aGuardThatStopsTakesTheEndOfTheMembershipForNoLoss() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.guard.close();
        bench.lockspace.listener(new SilentListener());
        bench.lockspace.expire(Duration.ZERO); // the engine leaves after the guard
        bench.guard.drain();
        bench.freeze(AWAY);
        bench.guard.drain();
        assertThat(qemu.kills()).isZero();
    }

    @Test
    void aDestroyThatCouldNotBeSentInTimeIsNeverSent() {
        FakeProcess qemu = bench.run(PLAIN);
        bench.lockspace.lose();
        bench.guard.drain();
        bench.clock.advance(GuardBench.DESTROY_LIMIT.plusMillis(1)); // every thread hangs in libvirt
        bench.guard.drain();
        assertThat(qemu.kills()).isEqualTo(1);
        bench.inactive(PLAIN);
        bench.settle(); // a thread comes back: the next run of the domain has the same UUID
        assertThat(bench.hypervisor.destroys()).isEmpty();
    }

    // ---- pause

    @Test
    void aPausedDomainIsSuspendedStoppedAndSeenToBe() {
        FakeProcess qemu = bench.run(PAUSED);
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.hypervisor.suspends()).containsExactly(PAUSED.uuid());
        assertThat(qemu.stopped()).isTrue();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
        bench.pass(Duration.ofMinutes(3));
        assertThat(qemu.alive()).isTrue();
        assertThat(qemu.kills()).isZero();
        assertThat(bench.hypervisor.destroys()).isEmpty();
        DomainView view = bench.view(PAUSED).orElseThrow();
        assertThat(view.state()).isEqualTo("paused");
        assertThat(view.onLockFailure()).isEqualTo("pause");
        assertThat(view.problems()).anyMatch(problem -> problem.contains("paused has lost its leases"));
    }

    @Test
    void aDomainThatLibvirtDoesNotPauseIsPoweredOff() {
        FakeProcess qemu = bench.run(PAUSED);
        bench.hypervisor.onSuspend(uuid -> new SuspendResult.Unknown("libvirt hangs"));
        bench.hypervisor.onDestroy(uuid -> {
            qemu.end();
            bench.inactive(PAUSED);
            return new KillResult.Destroyed();
        });
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.alive()).isFalse();
        assertThat(qemu.kills()).isZero();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void aSuspendThatDoesNotReturnIsFollowedByDestroyAtHalfOfTheTimeAndSigkillAtItsEnd() {
        FakeProcess qemu = bench.run(PAUSED);
        bench.lockspace.lose();
        bench.guard.drain(); // the suspend stays under way
        bench.clock.advance(Duration.ofMillis(2600));
        bench.guard.drain();
        assertThat(qemu.kills()).isZero();
        bench.clock.advance(Duration.ofMillis(2500));
        bench.guard.drain();
        assertThat(qemu.kills()).isEqualTo(1);
    }

    @Test
    void aProcessThatIsNotSeenStoppedInTimeIsKilled() {
        FakeProcess qemu = bench.run(PAUSED);
        qemu.stopLate(true); // a thread of it waits for storage
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(2300));
        assertThat(qemu.alive()).isTrue();
        bench.pass(Duration.ofMillis(400));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.usersGoneCalls()).isEqualTo(1);
    }

    @Test
    void aProofThatComesTooLateSparesNobody() {
        FakeProcess qemu = bench.run(PAUSED);
        qemu.stick();
        qemu.stopLate(true);
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(3));
        assertThat(qemu.kills()).isPositive();
        qemu.stopLate(false);
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.usersGoneCalls()).as("killed is not gone").isZero();
        assertThat(qemu.kills()).isGreaterThan(3);
    }

    @Test
    void leasesThatNobodyHadMeanwhileLetThePausedDomainGoOn() {
        FakeProcess qemu = pausedForCertain();
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.held()).containsExactly(PAUSED.resource());
        assertThat(qemu.stopped()).isFalse();
        assertThat(qemu.alive()).isTrue();
        DomainView view = bench.view(PAUSED).orElseThrow();
        assertThat(view.state()).isEqualTo("running");
        assertThat(view.problems()).isEmpty();
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void aPausedDomainWhoseDiskHadAnotherOwnerNeverRunsAgain() {
        FakeProcess qemu = pausedForCertain();
        bench.lockspace.overtake(PAUSED.resource());
        bench.inactive(PAUSED);
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.lockspace.held()).as("free for others").isEmpty();
    }

    @Test
    void aPausedDomainWhoseDiskIsSomebodyElsesStaysPaused() {
        FakeProcess qemu = pausedForCertain();
        bench.lockspace.answer(PAUSED.resource(), FakeLockspace.heldByNodeB("paused"));
        bench.joined();
        bench.pass(Duration.ofMinutes(2));
        assertThat(qemu.stopped()).isTrue();
        assertThat(bench.view(PAUSED).orElseThrow().problems())
                .anyMatch(problem -> problem.contains("is in use by domain paused on host node-b"));
    }

    @Test
    void whoeverLetsAPausedDomainGoOnWithoutItsLeasesHasItKilled() {
        FakeProcess qemu = pausedForCertain();
        qemu.proceedByOthers();
        bench.pass(Duration.ofMillis(1100));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void aWordThatAPausedDomainGoesOnIsLookedInto() {
        FakeProcess qemu = pausedForCertain();
        bench.event(PAUSED, DomainEvent.Kind.RESUMED); // of long ago
        assertThat(qemu.alive()).isTrue();
        qemu.proceedByOthers();
        bench.event(PAUSED, DomainEvent.Kind.RESUMED);
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void aPausedDomainSurvivesALossOfTheNextMembershipToo() {
        FakeProcess qemu = pausedForCertain();
        bench.lockspace.holdBack(true);
        bench.joined();
        bench.lockspace.complete(PAUSED.resource());
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.stopped()).isTrue();
        bench.lockspace.holdBack(false);
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).isFalse();
        assertThat(qemu.alive()).isTrue();
    }

    @Test
    void aNewAgentLetsNobodyGoOnWhomAnEarlierOneHasPaused() {
        FakeProcess qemu = pausedForCertain();
        GuardBench next = bench.afterCrash();
        next.joined();
        next.guard.connected();
        next.pass(Duration.ofMinutes(2));
        assertThat(qemu.alive()).isTrue();
        assertThat(next.view(PAUSED).orElseThrow().problems())
                .anyMatch(problem -> problem.contains("was stopped (SIGSTOP) before this agent began"));
        qemu.proceedByOthers();
        next.pass(Duration.ofSeconds(2));
        assertThat(qemu.alive()).isFalse();
        next.inactive(PAUSED);
        next.pass(Duration.ofSeconds(2));
        assertThat(next.lockspace.held()).isEmpty();
    }

    private FakeProcess pausedForCertain() {
        FakeProcess qemu = bench.run(PAUSED);
        bench.lockspace.lose();
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.stopped()).isTrue();
        return qemu;
    }

    // ---- restart

    @Test
    void aDomainThatWantsToIsStartedAgainWhenLeasesCanBeHad() {
        FakeProcess qemu = bench.run(AGAIN);
        bench.guard.connected(); // lists it, with its XML
        bench.pass(Duration.ofSeconds(1));
        List<String> startedFrom = new ArrayList<>();
        bench.hypervisor.onStart((uuid, xml) -> {
            startedFrom.add(new String(xml.orElseThrow(), StandardCharsets.UTF_8));
            return new StartResult.Started();
        });
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
        bench.inactive(AGAIN);
        bench.pass(Duration.ofMinutes(5));
        assertThat(bench.hypervisor.starts()).as("no leases, no start").isEmpty();
        bench.joined();
        bench.pass(Duration.ofMinutes(5));
        assertThat(bench.hypervisor.starts()).containsExactly(AGAIN.uuid());
        assertThat(startedFrom).containsExactly(AGAIN.xml());
    }

    @Test
    void aDomainThatDoesNotStartAgainIsGivenUpAfterSomeAttempts() {
        lostAndEnded(AGAIN);
        bench.joined();
        bench.pass(Duration.ofSeconds(4));
        assertThat(bench.hypervisor.starts()).hasSize(1);
        bench.pass(Duration.ofMinutes(20));
        assertThat(bench.hypervisor.starts()).hasSize(6);
    }

    @Test
    void aDomainThatSomebodyElseStartedIsNotStartedAgain() {
        lostAndEnded(AGAIN);
        bench.joined();
        assertThat(bench.hypervisor.starts()).hasSize(1); // it fails
        bench.run(AGAIN);
        bench.pass(Duration.ofMinutes(5));
        assertThat(bench.hypervisor.starts()).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "poweroff", "explode"})
    void otherDomainsStayOff(String wish) {
        TestDomain domain = TestDomain.of("off", "/images/off").onLockFailure(wish);
        lostAndEnded(domain);
        bench.joined();
        bench.pass(Duration.ofMinutes(5));
        assertThat(bench.hypervisor.starts()).isEmpty();
    }

    private void lostAndEnded(TestDomain domain) {
        FakeProcess qemu = bench.run(domain);
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
        bench.inactive(domain);
    }

    // ---- ignore, and words that nobody knows

    @Test
    void ignoreThatIsNotAllowedIsPoweroffAndSaidFromTheStartOn() {
        FakeProcess qemu = bench.run(CARELESS);
        assertThat(bench.view(CARELESS).orElseThrow().problems())
                .anyMatch(problem -> problem.contains("allow_ignore_lockfailure does not allow: treated as poweroff"));
        assertThat(bench.view(CARELESS).orElseThrow().onLockFailure()).isEqualTo("poweroff");
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void ignoreThatIsAllowedRunsOnUnderAStandingWarning() {
        GuardBench lax = GuardBench.of(GuardBench.settings(false, OnUnprotected.REPORT, true, GuardBench.ANSWER_LIMIT))
                .joined();
        FakeProcess careless = lax.run(CARELESS);
        FakeProcess plain = lax.run(PLAIN);
        assertThat(lax.view(CARELESS).orElseThrow().problems())
                .anyMatch(problem -> problem.contains("two hosts may write to its disks"));
        lax.lockspace.lose();
        lax.pass(Duration.ofSeconds(6));
        assertThat(careless.alive()).isTrue();
        assertThat(plain.alive()).isFalse();
        assertThat(lax.lockspace.usersGoneCalls()).isEqualTo(1);
        assertThat(lax.view(CARELESS).orElseThrow().leases()).noneMatch(DomainView.LeaseView::held);
        lax.inactive(PLAIN);
        lax.joined();
        lax.pass(Duration.ofSeconds(31));
        assertThat(lax.lockspace.held()).containsExactly(CARELESS.resource());
    }

    @Test
    void aWordThatNobodyKnowsIsPoweroffAndSaid() {
        TestDomain odd = TestDomain.of("odd", "/images/odd").onLockFailure("explode");
        FakeProcess qemu = bench.run(odd);
        assertThat(bench.view(odd).orElseThrow().problems())
                .anyMatch(problem -> problem.contains("on_lockfailure explode, which is not known"));
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
    }

    // ---- a domain on somebody else's disk

    @Test
    void aDomainFoundOnAForeignDiskIsPausedEachTimeItRuns() {
        GuardBench guarded = conflict(OnUnprotected.AUTO, 20_000);
        assertThat(guarded.hypervisor.suspends()).containsOnly(PLAIN.uuid());
        int before = guarded.hypervisor.suspends().size();
        guarded.event(PLAIN, DomainEvent.Kind.RESUMED);
        assertThat(guarded.hypervisor.suspends()).hasSizeGreaterThan(before);
        assertThat(guarded.hypervisor.destroys()).isEmpty();
    }

    @Test
    void aDomainThatRanBeforeAnybodyGuardedThisHostIsOnlyReported() {
        GuardBench guarded = conflict(OnUnprotected.AUTO, 9_000);
        assertThat(guarded.hypervisor.suspends()).isEmpty();
        assertThat(guarded.view(PLAIN).orElseThrow().problems()).isNotEmpty();
    }

    @Test
    void pauseIsForEveryoneAndReportForNobody() {
        assertThat(conflict(OnUnprotected.PAUSE, 9_000).hypervisor.suspends()).isNotEmpty();
        assertThat(conflict(OnUnprotected.REPORT, 20_000).hypervisor.suspends()).isEmpty();
    }

    /** Guarded since tick 10,000. */
    private static GuardBench conflict(OnUnprotected onUnprotected, long startTicks) {
        GuardBench guarded = GuardBench.of(GuardBench.settings(false, onUnprotected, false, GuardBench.ANSWER_LIMIT))
                .joined();
        guarded.lockspace.answer(PLAIN.resource(), FakeLockspace.heldByNodeB("far"));
        guarded.processes.startTicks(startTicks);
        guarded.launch(PLAIN);
        guarded.guard.connected();
        guarded.pass(Duration.ofSeconds(5));
        return guarded;
    }

    @Test
    void whoseXmlIsNotKnownIsStartedFromWhatLibvirtKnows() {
        List<Optional<byte[]>> xmls = new ArrayList<>();
        bench.hypervisor.onStart((uuid, xml) -> {
            xmls.add(xml);
            return new StartResult.AlreadyActive();
        });
        bench.hypervisor.silent(true);
        lostAndEnded(AGAIN);
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(xmls).containsExactly(Optional.empty());
    }
}
