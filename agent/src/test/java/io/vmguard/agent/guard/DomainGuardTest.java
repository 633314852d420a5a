/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.guard.GuardSettings.OnUnprotected;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Starts and ends on a healthy host: what is granted, what is refused, and what it takes to give a lease back. */
class DomainGuardTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2");
    private static final TestDomain DEMO2 = TestDomain.of("demo2", "/images/one.qcow2");
    private static final TestDomain THREE = TestDomain.of("three", "/images/a", "/images/b", "/images/c");
    private static final AcquireResult SILENT_DISK =
            new AcquireResult.CannotTell(LeaseFault.TIMED_OUT, "storage did not answer in time", false);

    private final GuardBench bench = GuardBench.enforcing();

    // ---- granting

    @Test
    void startIsGrantedOnlyWhenAllLeasesAreHeld() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(THREE);
        for (var resource : List.copyOf(bench.lockspace.waiting())) {
            assertThat(answer).isNotDone();
            bench.lockspace.complete(resource);
            bench.settle();
        }
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrderElementsOf(THREE.resources());
        assertThat(bench.guard.view().granted()).isEqualTo(1);
    }

    @Test
    void severalDisksAreAskedForTogether() {
        bench.lockspace.holdBack(true);
        bench.prepare(THREE);
        assertThat(bench.lockspace.waiting()).containsExactlyInAnyOrderElementsOf(THREE.resources());
    }

    @Test
    void domainWithoutWritableDisksIsGrantedAtOnceAndNotKept() {
        TestDomain diskless = TestDomain.of("diskless");
        assertThat(bench.ask(diskless)).isEqualTo(new StartAnswer.Granted(""));
        assertThat(bench.view(diskless)).isEmpty();
    }

    @Test
    void domainWithoutLeasesStartsWithoutAMembershipToo() {
        GuardBench lonely = GuardBench.of(GuardBench.settings(false, false));
        assertThat(lonely.ask(TestDomain.of("diskless"))).isInstanceOf(StartAnswer.Granted.class);
    }

    @Test
    void whoListensIsToldWhenTheViewHasChangedAndNotAtEveryTick() {
        List<GuardView> told = new ArrayList<>();
        bench.guard.onNews(() -> told.add(bench.guard.view()));
        bench.run(THREE);
        assertThat(told).isNotEmpty();
        assertThat(told.get(told.size() - 1).domains()).singleElement().satisfies(domain -> {
            assertThat(domain.name()).isEqualTo("three");
            assertThat(domain.pid()).isPresent();
        });
        bench.settle();
        int before = told.size();
        GuardView view = bench.guard.view();
        for (int tick = 0; tick < 20; tick++) {
            bench.clock.advance(Duration.ofMillis(100));
            bench.guard.drain();
        }
        assertThat(told).hasSize(before);
        assertThat(bench.guard.view()).as("nothing was made anew").isSameAs(view);
    }

    // ---- sharing

    @Test
    void domainsShareASharedLeaseAndTheLastOneGivesItBack() {
        TestDomain one = TestDomain.of("one", "shared:/images/common", "/images/one");
        TestDomain two = TestDomain.of("two", "shared:/images/common");
        FakeProcess first = bench.run(one);
        FakeProcess second = bench.run(two);
        first.end();
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactly(two.resource());
        assertThat(bench.ask(TestDomain.of("writer", "/images/common")))
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message())
                                .contains("vda (file:/images/common)")
                                .contains("two")
                                .contains("in shared mode"));
        second.end();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void diskInExclusiveUseCannotBeShared() {
        bench.run(TestDomain.of("writer", "/images/common"));
        assertThat(bench.ask(TestDomain.of("one", "shared:/images/common")))
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message()).contains("writer"));
    }

    @Test
    void sharedLeaseIsCarriedOverForEachOfItsUsers() {
        TestDomain one = TestDomain.of("one", "shared:/images/common");
        TestDomain two = TestDomain.of("two", "shared:/images/common");
        FakeProcess first = bench.run(one);
        FakeProcess second = bench.run(two);
        GuardBench after = bench.afterCrash();
        after.lockspace.resume();
        after.settle();
        first.end();
        after.settle();
        assertThat(after.lockspace.held()).containsExactly(one.resource());
        assertThat(after.lockspace.carriedOver()).isEmpty();
        second.end();
        after.settle();
        assertThat(after.lockspace.held()).isEmpty();
    }

    // ---- refusing

    @Test
    void oneTakenDiskRefusesTheStartAndGivesTheOthersBack() {
        bench.lockspace.answer(THREE.resources().get(1), FakeLockspace.heldByNodeB("demo9"));
        assertThat(bench.ask(THREE))
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message())
                                .contains("vdb (file:/images/b)")
                                .contains("demo9")
                                .contains("node-b"));
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.lockspace.releases())
                .containsExactlyInAnyOrder(
                        THREE.resources().get(0), THREE.resources().get(2));
        assertThat(bench.view(THREE)).isEmpty();
        assertThat(bench.guard.view().refused()).isEqualTo(1);
    }

    @Test
    void aTakenDiskIsNamedBeforeOneThatDoesNotAnswer() {
        bench.lockspace.answer(THREE.resources().get(0), SILENT_DISK);
        bench.lockspace.answer(THREE.resources().get(2), FakeLockspace.heldByNodeB("demo9"));
        assertThat(bench.ask(THREE).message()).contains("vdc").contains("in use by");
    }

    @Test
    void silentDiskIsNotARefusalButCannotTell() {
        bench.lockspace.answer(DEMO1.resource(), SILENT_DISK);
        assertThat(bench.ask(DEMO1))
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message())
                                .contains("vda (file:/images/one.qcow2)")
                                .contains("storage did not answer in time"));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void diskThatCannotBeProtectedIsRefusedWithoutTouchingTheOthers() {
        TestDomain odd = TestDomain.of("odd", "/images/a", "pool:p/v");
        assertThat(bench.ask(odd))
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message()).contains("vdb cannot be protected"));
        assertThat(bench.lockspace.releases()).isEmpty();
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void secondDomainOnTheSameDiskIsRefusedByName() {
        bench.run(DEMO1);
        assertThat(bench.ask(DEMO2))
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message()).contains("domain demo1 on host node-a (this host)"));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void secondStartOfTheSameDomainWhileTheFirstWaitsIsNotGranted() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> first = bench.prepare(DEMO1);
        assertThat(bench.ask(DEMO1))
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message()).contains("another start of it waits"));
        bench.lockspace.complete(DEMO1.resource());
        bench.settle();
        assertThat(first).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    // ---- starts at the same moment

    private static final TestDomain TWO_DISKS = TestDomain.of("two-disks", "/images/far", "/images/near");
    private static final TestDomain NEAR = TestDomain.of("near", "/images/near");

    /** The first one holds what the second one needs, and is about to be refused for another disk. */
    private CompletableFuture<StartAnswer> refusedSoon() {
        bench.lockspace.answer(TWO_DISKS.resource(), FakeLockspace.heldByNodeB("far"));
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> first = bench.prepare(TWO_DISKS);
        bench.lockspace.complete(NEAR.resource());
        bench.settle();
        assertThat(bench.lockspace.held()).containsExactly(NEAR.resource());
        assertThat(first).isNotDone();
        return first;
    }

    @Test
    void aStartIsNotRefusedForALeaseThatAnotherStartHoldsOnlyUntilItIsRefused() {
        CompletableFuture<StartAnswer> first = refusedSoon();
        CompletableFuture<StartAnswer> second = bench.prepare(NEAR);
        bench.pass(Duration.ofSeconds(1));
        assertThat(second).isNotDone();
        bench.lockspace.complete(TWO_DISKS.resource());
        bench.lockspace.holdBack(false);
        bench.settle();
        assertThat(first).isCompletedWithValueMatching(StartAnswer.Refused.class::isInstance);
        assertThat(second).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(bench.lockspace.held()).containsExactly(NEAR.resource());
    }

    @Test
    void aStartThatWaitsForTheOutcomeOfAnotherIsRefusedWhenThatOneIsGranted() {
        CompletableFuture<StartAnswer> first = refusedSoon();
        CompletableFuture<StartAnswer> second = bench.prepare(NEAR);
        bench.lockspace.answer(TWO_DISKS.resource(), null);
        bench.lockspace.complete(TWO_DISKS.resource());
        bench.settle();
        assertThat(first).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(second)
                .isCompletedWithValueMatching(
                        no -> no.message().contains("domain two-disks on host node-a (this host)"));
    }

    @Test
    void aStartThatWaitsForTheOutcomeOfAnotherIsAnsweredInTimeAndHoldsNothingIfItsClientGoes() {
        CompletableFuture<StartAnswer> first = refusedSoon();
        CompletableFuture<StartAnswer> second = bench.prepare(NEAR);
        CompletableFuture<StartAnswer> third = bench.prepare(TestDomain.of("third", "/images/near"));
        third.cancel(false);
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(first).isCompletedWithValueMatching(answer -> !(answer instanceof StartAnswer.Granted));
        assertThat(second).isDone();
        assertThat(bench.view(NEAR).isPresent()).isEqualTo(second.join() instanceof StartAnswer.Granted);
        assertThat(bench.lockspace.held())
                .isEqualTo(second.join() instanceof StartAnswer.Granted ? Set.of(NEAR.resource()) : Set.of());
    }

    @Test
    void startsThatShareADiskDoNotWaitForEachOther() {
        TestDomain one = TestDomain.of("one", "/images/far", "shared:/images/base");
        TestDomain other = TestDomain.of("other", "shared:/images/base");
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> first = bench.prepare(one);
        bench.lockspace.complete(other.resource());
        CompletableFuture<StartAnswer> second = bench.prepare(other);
        assertThat(first).isNotDone();
        assertThat(second).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    // ---- what frees nothing

    @Test
    void releaseHookOfARefusedStartOfAnotherDomainFreesNothing() {
        bench.run(DEMO1);
        bench.ask(DEMO2);
        bench.releaseHook(DEMO2);
        bench.pass(Duration.ofSeconds(90));
        assertThat(bench.lockspace.releases()).isEmpty();
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void releaseHookOfARefusedStartOfTheSameDomainFreesNothing() {
        FakeProcess qemu = bench.run(DEMO1);
        CompletableFuture<StartAnswer> second = bench.prepare(DEMO1);
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(second.join())
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message()).contains("pid " + 1000).contains("has not ended"));
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(90));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.lockspace.releases()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(DomainEvent.Kind.class)
    void noEventFreesALeaseWhileQemuLives(DomainEvent.Kind kind) {
        FakeProcess qemu = bench.run(DEMO1);
        bench.event(DEMO1, kind);
        bench.releaseHook(DEMO1);
        bench.inactive(DEMO1);
        bench.pass(Duration.ofSeconds(90));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.lockspace.releases()).isEmpty();
    }

    @Test
    void lateReleaseHookOfTheFirstRunFreesNothingOfTheSecond() {
        FakeProcess first = bench.run(DEMO1);
        first.end();
        bench.inactive(DEMO1);
        bench.settle();
        assertThat(bench.ask(DEMO1)).isInstanceOf(StartAnswer.Granted.class);
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml()); // the start goes on in libvirt
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        bench.launch(DEMO1);
        bench.pass(Duration.ofSeconds(1));
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(90));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
        assertThat(bench.view(DEMO1)).map(DomainView::state).contains("running");
    }

    @Test
    void hintsAboutUnknownDomainsChangeNothing() {
        bench.run(DEMO1);
        bench.releaseHook(TestDomain.of("unknown"));
        bench.event(TestDomain.of("unknown"), DomainEvent.Kind.STOPPED);
        bench.guard.reconnected();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.releases()).isEmpty();
        assertThat(bench.guard.view().domains()).hasSize(1);
    }

    // ---- what frees

    @Test
    void theEndOfTheProcessFreesTheLeasesAtOnce() {
        FakeProcess qemu = bench.run(THREE);
        qemu.end();
        bench.guard.drain();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.view(THREE)).isEmpty();
        assertThat(qemu.held()).isZero();
    }

    @Test
    void diskCanBeStartedElsewhereInTheSameMomentItsProcessEnds() {
        FakeProcess qemu = bench.run(DEMO1);
        CompletableFuture<StartAnswer> next = bench.guard.prepare(DEMO2.spec(), DEMO2.uuid(), DEMO2.derivation());
        qemu.end(); // told after the start was
        bench.settle();
        assertThat(next.join()).isInstanceOf(StartAnswer.Refused.class);
        assertThat(bench.ask(DEMO2)).isInstanceOf(StartAnswer.Granted.class);
    }

    @Test
    void restartWaitsForTheOldProcessAndIsGrantedWhenItEnds() {
        FakeProcess old = bench.run(DEMO1);
        bench.inactive(DEMO1);
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        bench.pass(Duration.ofSeconds(3));
        assertThat(again).isNotDone();
        old.end();
        bench.settle();
        assertThat(again).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void aStartThatCameToNothingCanBeTriedAgainAtOnceEvenWhileLibvirtsListWaits() {
        assertThat(bench.ask(DEMO1)).isInstanceOf(StartAnswer.Granted.class);
        bench.hypervisor.silent(true); // its list waits for the hook that asks now
        CompletableFuture<StartAnswer> again = bench.prepare(DEMO1);
        bench.pass(Duration.ofSeconds(1));
        assertThat(again).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    @ParameterizedTest(name = "libvirt {0}, process table {1}: freed {2}")
    @CsvSource({
        "inactive, empty, true",
        "inactive, silent, false",
        "inactive, qemu, false",
        "active, empty, false",
        "active, qemu, false",
        "silent, empty, false",
        "silent, silent, false"
    })
    void startWithoutAQemuIsOverOnlyIfLibvirtAndTheProcessTableBothSayNo(String libvirt, String table, boolean freed) {
        assertThat(bench.ask(DEMO1)).isInstanceOf(StartAnswer.Granted.class);
        if (libvirt.equals("active")) {
            bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml());
        }
        bench.hypervisor.silent(libvirt.equals("silent"));
        bench.processes.silent(table.equals("silent"));
        if (table.equals("qemu")) {
            bench.processes.launch(DEMO1.uuid());
        }
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(90));
        assertThat(bench.lockspace.held().isEmpty()).isEqualTo(freed);
    }

    @Test
    void listThatWasBegunBeforeTheGrantProvesNothing() {
        bench.guard.reconnected();
        bench.guard.drain(); // a list is under way
        bench.guard.prepare(DEMO1.spec(), DEMO1.uuid(), DEMO1.derivation());
        bench.clock.advance(Duration.ofMillis(1));
        bench.guard.drain();
        bench.slowCalls.runAll(); // it has ended: the domain is inactive in it
        bench.hypervisor.activate(DEMO1.uuid(), DEMO1.name(), DEMO1.xml());
        bench.pass(Duration.ofSeconds(5));
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void lookupThatWasBegunBeforeTheListProvesNothing() {
        bench.ask(DEMO1);
        bench.processes.duringNextFind(() -> {
            bench.processes.launch(DEMO1.uuid()); // comes, and is given up by libvirt at once
            bench.guard.released(DEMO1.uuid());
            bench.guard.drain();
            bench.slowCalls.runAll(); // the list: inactive
        });
        bench.pass(Duration.ofSeconds(90));
        assertThat(bench.lockspace.releases()).isEmpty();
        assertThat(bench.view(DEMO1)).map(DomainView::state).contains("running");
    }

    @Test
    void startThatFailedInLibvirtIsOverSoonAfterItsReleaseHook() {
        bench.ask(DEMO1);
        bench.pass(Duration.ofSeconds(1));
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofMillis(100));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void startThatFailedInLibvirtIsOverWithoutAnyHookToo() {
        bench.ask(DEMO1);
        bench.pass(Duration.ofSeconds(31));
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void libvirtThatDidNotAnswerIsAskedAgainSoonWhileAnEndIsHinted() {
        bench.ask(DEMO1);
        bench.hypervisor.silent(true);
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(5));
        bench.hypervisor.silent(false);
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    // ---- clients that give up, and deadlines

    @Test
    void clientThatGaveUpIsNotGrantedAndItsLeasesGoBack() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(THREE);
        answer.cancel(false);
        THREE.resources().forEach(bench.lockspace::complete);
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.view(THREE)).isEmpty();
        assertThat(bench.guard.view().granted()).isZero();
    }

    @Test
    void clientThatGaveUpWhileWaitingForAMembershipIsForgotten() {
        GuardBench lonely = GuardBench.of(GuardBench.settings(false, false));
        lonely.prepare(DEMO1).cancel(false);
        lonely.joined();
        lonely.pass(Duration.ofSeconds(1));
        assertThat(lonely.lockspace.held()).isEmpty();
        assertThat(lonely.guard.view().granted()).isZero();
    }

    @Test
    void deadlineEndsAStartThatStorageDoesNotAnswerAndNamesTheDisk() {
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(THREE);
        bench.lockspace.complete(THREE.resources().get(0));
        bench.pass(GuardBench.ANSWER_LIMIT.minusSeconds(2));
        assertThat(answer).isNotDone();
        bench.pass(Duration.ofMillis(1200));
        assertThat(answer.join())
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message())
                                .contains("vdb (file:/images/b)")
                                .contains("does not answer"));
        assertThat(bench.lockspace.held()).isEmpty();
        THREE.resources().forEach(bench.lockspace::complete); // too late
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.view(THREE)).isEmpty();
    }

    @Test
    void deadlineNamesTheHolderOfOneDiskEvenIfAnotherDoesNotAnswer() {
        bench.lockspace.answer(THREE.resources().get(0), FakeLockspace.heldByNodeB("demo9"));
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = bench.prepare(THREE);
        bench.lockspace.complete(THREE.resources().get(0));
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(answer.join())
                .isInstanceOfSatisfying(
                        StartAnswer.Refused.class,
                        no -> assertThat(no.message()).contains("vda").contains("demo9"));
    }

    @Test
    void leaseThatArrivesInTheMomentOfTheDeadlineGoesBack() {
        bench.lockspace.holdBack(true);
        bench.prepare(THREE);
        bench.clock.advance(GuardBench.ANSWER_LIMIT);
        THREE.resources().forEach(bench.lockspace::complete); // told, but the guard handles one message at a time
        bench.settle();
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.ask(DEMO1)).isInstanceOf(StartAnswer.CannotTell.class);
    }

    @Test
    void shortestAnswerLimitLeavesTimeForTheDisk() {
        GuardBench hasty = GuardBench.of(GuardBench.settings(false, OnUnprotected.REPORT, false, Duration.ofSeconds(1)))
                .joined();
        hasty.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> answer = hasty.prepare(DEMO1);
        hasty.pass(Duration.ofMillis(300));
        hasty.lockspace.complete(DEMO1.resource());
        hasty.settle();
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    // ---- without a membership

    @Test
    void startWaitsForTheMembershipAndIsGrantedThen() {
        GuardBench lonely = GuardBench.of(GuardBench.settings(false, false));
        CompletableFuture<StartAnswer> answer = lonely.prepare(DEMO1);
        lonely.pass(Duration.ofSeconds(20));
        assertThat(answer).isNotDone();
        lonely.joined();
        lonely.pass(Duration.ofMillis(50));
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    @Test
    void startWithoutAMembershipEndsAtTheDeadlineAndSaysWhy() {
        GuardBench lonely = GuardBench.of(GuardBench.settings(false, false));
        CompletableFuture<StartAnswer> answer = lonely.prepare(DEMO1);
        lonely.pass(GuardBench.ANSWER_LIMIT);
        assertThat(answer.join())
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message())
                                .contains("demo1: this host is not a member of the lease directory now: joining"));
    }

    // ---- robustness

    @Test
    void brokenSlowCallIsTakenAsNoAnswerAndTriedAgain() {
        bench.ask(DEMO1);
        bench.hypervisor.failOnce(new IllegalStateException("list"));
        bench.processes.failOnce(new IllegalStateException("lookup"));
        bench.releaseHook(DEMO1);
        bench.pass(Duration.ofSeconds(62));
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.guard.view().domains()).isEmpty();
    }

    @Test
    void brokenAcquireIsAnsweredAndLeavesNothingBehind() {
        bench.lockspace.failOnce(new IllegalStateException("bug"));
        CompletableFuture<StartAnswer> answer = bench.prepare(THREE);
        assertThat(answer.join()).isInstanceOf(StartAnswer.CannotTell.class);
        bench.settle();
        assertThat(bench.lockspace.held()).isEmpty();
        assertThat(bench.ask(THREE)).isInstanceOf(StartAnswer.Granted.class);
    }

    @Test
    void floodOfHintsIsBoundedAndLosesNoNewsOfTheEngine() {
        FakeProcess qemu = bench.run(DEMO1);
        bench.hypervisor.onDestroy(uuid -> new io.vmguard.agent.hypervisor.KillResult.Unknown("hangs"));
        for (int i = 0; i < 30_000; i++) {
            bench.guard.released(DEMO2.uuid());
        }
        CompletableFuture<StartAnswer> crowded = bench.guard.prepare(DEMO2.spec(), DEMO2.uuid(), DEMO2.derivation());
        assertThat(crowded.join())
                .isInstanceOfSatisfying(
                        StartAnswer.CannotTell.class,
                        no -> assertThat(no.message()).contains("too much to do"));
        bench.lockspace.lose();
        bench.settle();
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void endThatWasHintedInAFloodIsStillNoticed() {
        bench.ask(DEMO1);
        for (int i = 0; i < 30_000; i++) {
            bench.guard.released(DEMO2.uuid());
        }
        bench.guard.released(DEMO1.uuid());
        bench.settle();
        bench.pass(Duration.ofSeconds(2));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void threadSurvivesABugAndAnswersTheNextStart() throws Exception {
        bench.lockspace.failOnce(new IllegalStateException("bug"));
        try (DomainGuard guard = bench.guard) {
            guard.start();
            guard.prepare(DEMO1.spec(), DEMO1.uuid(), DEMO1.derivation())
                    .get(10, java.util.concurrent.TimeUnit.SECONDS);
            assertThat(guard.prepare(DEMO1.spec(), DEMO1.uuid(), DEMO1.derivation())
                            .get(10, java.util.concurrent.TimeUnit.SECONDS))
                    .isInstanceOf(StartAnswer.Granted.class);
        }
    }

    @Test
    void closingAnswersEveryStartAndGivesBackWhatNoQemuUses() throws Exception {
        bench.run(DEMO1);
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> acquiring = bench.prepare(THREE);
        bench.lockspace.complete(THREE.resource());
        CompletableFuture<StartAnswer> waiting = bench.prepare(DEMO1);
        bench.guard.start();
        bench.guard.close();
        CompletableFuture<StartAnswer> late = bench.guard.prepare(DEMO2.spec(), DEMO2.uuid(), DEMO2.derivation());
        for (CompletableFuture<StartAnswer> answer : List.of(acquiring, waiting, late)) {
            assertThat(answer.get(10, java.util.concurrent.TimeUnit.SECONDS))
                    .isInstanceOfSatisfying(
                            StartAnswer.CannotTell.class,
                            no -> assertThat(no.message()).contains("the lease agent is stopping"));
        }
        assertThat(bench.lockspace.held()).containsExactly(DEMO1.resource());
    }
}
