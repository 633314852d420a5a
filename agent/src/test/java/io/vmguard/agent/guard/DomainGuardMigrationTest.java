/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.LeaseMode;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.State;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Live migration as the guards of both hosts see it; the other host is played by the test. */
class DomainGuardMigrationTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2", "shared:/images/base");
    private static final LeaseName DOMAIN = new LeaseName("dom-" + DEMO1.uuid());
    private static final LeaseName DISK = DEMO1.resource();
    private static final LeaseName BASE = DEMO1.resources().get(1);
    private static final Owner NODE_B = new Owner(2, 7);
    private static final long ATTEMPT = 42;

    private GuardBench bench = GuardBench.enforcing();

    DomainGuardMigrationTest() {
        bench.lockspace.sees(nodeB(HostStatus.LIVE));
    }

    // ---- the host that it comes to

    @Test
    void anIncomingStartIsGrantedOnTheOffersOfItsHost() {
        heldByNodeB(DEMO1.uuid().toString());
        offer();
        assertThat(arrive()).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(bench.transfer.steps())
                .containsExactlyInAnyOrder("prepare " + DISK, "prepare " + DOMAIN, "tell PREPARED");
        assertThat(bench.transfer.steps().get(2))
                .as("all is prepared before that is said")
                .isEqualTo("tell PREPARED");
        assertThat(bench.lockspace.held()).as("what is shared is taken as ever").containsExactly(BASE);
    }

    @Test
    void anOfferIsWaitedForAndItsLackIsTold() {
        heldByNodeB(DEMO1.uuid().toString());
        CompletableFuture<StartAnswer> early = arrive();
        bench.pass(Duration.ofSeconds(1));
        assertThat(early).isNotDone();
        offer();
        bench.pass(Duration.ofSeconds(1));
        assertThat(early).isCompletedWithValue(new StartAnswer.Granted(""));

        GuardBench other = GuardBench.enforcing();
        other.lockspace.sees(nodeB(HostStatus.LIVE));
        heldByNodeB(other, DEMO1.uuid().toString());
        CompletableFuture<StartAnswer> never = arrive(other);
        other.pass(Duration.ofSeconds(6));
        assertThat(never)
                .isCompletedWithValueMatching(answer -> answer.message().contains("does not offer them"));
        assertThat(other.lockspace.held()).isEmpty();
    }

    @Test
    void aGiverThatHasBeenSeenOnlyOnceIsWaitedForUntilItIsSeenAlive() {
        bench.lockspace.sees(nodeB(HostStatus.UNKNOWN));
        heldByNodeB(bench, DEMO1.uuid().toString(), HostStatus.UNKNOWN);
        offer();
        CompletableFuture<StartAnswer> early = arrive();
        bench.pass(Duration.ofSeconds(20));
        assertThat(early).as("a giver that may be dead is not counted on").isNotDone();
        assertThat(bench.transfer.steps()).isEmpty();
        bench.lockspace.sees(nodeB(HostStatus.LIVE));
        bench.pass(Duration.ofSeconds(1));
        assertThat(early).isCompletedWithValue(new StartAnswer.Granted(""));

        GuardBench other = GuardBench.enforcing();
        other.lockspace.sees(nodeB(HostStatus.UNKNOWN));
        heldByNodeB(other, DEMO1.uuid().toString(), HostStatus.UNKNOWN);
        other.transfer.giver = new TransferWord(NODE_B, ATTEMPT, 7, State.OFFERED);
        CompletableFuture<StartAnswer> never = arrive(other);
        other.pass(Duration.ofSeconds(26));
        assertThat(never)
                .isCompletedWithValueMatching(answer -> answer.message().contains("has not been seen to renew"));
        assertThat(other.lockspace.held()).isEmpty();
    }

    @Test
    void anIncomingStartIsNotRefusedForALeaseThatAnotherStartHoldsOnlyUntilItIsRefused() {
        heldByNodeB(DEMO1.uuid().toString());
        offer();
        TestDomain other = TestDomain.of("other", "/images/far", "/images/base");
        bench.lockspace.answer(other.resource(), FakeLockspace.heldByNodeB("far"));
        bench.lockspace.holdBack(true);
        CompletableFuture<StartAnswer> refused = bench.prepare(other);
        bench.lockspace.complete(BASE);
        bench.lockspace.holdBack(false);
        CompletableFuture<StartAnswer> arriving = arrive();
        bench.pass(Duration.ofSeconds(1));
        assertThat(arriving).isNotDone();
        bench.lockspace.complete(other.resource());
        bench.pass(Duration.ofSeconds(1));
        assertThat(refused).isCompletedWithValueMatching(StartAnswer.Refused.class::isInstance);
        assertThat(arriving).isCompletedWithValue(new StartAnswer.Granted(""));
    }

    @Test
    void leasesOfAnotherDomainAreNotReceived() {
        heldByNodeB("00000000-0000-0000-0000-0000000000bb");
        offer();
        assertThat(arrive())
                .isCompletedWithValueMatching(answer -> answer.message().contains("is in use by"));
        assertThat(bench.transfer.steps()).isEmpty();
    }

    @Test
    void anOrdinaryStartIsRefusedWhileItsDomainRunsElsewhere() {
        heldByNodeB(DEMO1.uuid().toString());
        offer();
        CompletableFuture<StartAnswer> answer = bench.guard.prepare(DEMO1.spec(), DEMO1.uuid(), derivation());
        bench.settle();
        assertThat(answer).isCompletedWithValueMatching(StartAnswer.Refused.class::isInstance);
        assertThat(bench.transfer.steps()).isEmpty();
    }

    @Test
    void whoComesFromAnUnguardedHostIsRefused() {
        assertThat(arrive())
                .isCompletedWithValueMatching(answer -> answer.message().contains("allow_unguarded_migration"));
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void theLeasesAreConfirmedWhenTheGuestRunsHere() {
        arrived();
        status("paused", "migration", "migration in", "prepare");
        bench.pass(Duration.ofMillis(300));
        assertThat(bench.transfer.steps()).doesNotContain("tell RUNNING", "confirm " + DISK);
        assertThat(bench.view(DEMO1).orElseThrow().state()).isEqualTo("migrating");

        status("running", "migrated", "migration in", "finish3");
        bench.pass(Duration.ofMillis(300));
        assertThat(bench.transfer.steps()).contains("tell RUNNING", "confirm " + DISK, "confirm " + DOMAIN);
        bench.transfer.given = true;
        bench.pass(Duration.ofMillis(300));
        DomainView view = bench.view(DEMO1).orElseThrow();
        assertThat(view.state()).isEqualTo("running");
        assertThat(view.leases()).allMatch(DomainView.LeaseView::held);
    }

    /** libvirt ends the job of a migration that has failed a moment before it ends QEMU; the source would end the only copy of the guest. */
    @Test
    void aGuestThatWillNotComeIsNotSaidToRun() {
        FakeProcess qemu = arrived();
        status("paused", "migration", "migration in", "prepare");
        bench.pass(Duration.ofMillis(300));
        status("paused", "migration", "", "");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.transfer.steps()).doesNotContain("tell RUNNING", "confirm " + DISK);
        qemu.end();
        bench.settle();
        assertThat(bench.transfer.steps()).last().isEqualTo("tell ENDED");
    }

    @Test
    void aGuestThatWasPausedByItsUserOwnsWhenItHasCome() {
        arrived();
        status("paused", "user", "", "");
        bench.pass(Duration.ofMillis(300));
        assertThat(bench.transfer.steps()).contains("tell RUNNING", "confirm " + DISK, "confirm " + DOMAIN);
    }

    @Test
    void whatIsNeverGivenIsDeclinedWhenItsQemuIsGone() {
        FakeProcess qemu = arrived();
        bench.pass(Duration.ofMillis(300));
        qemu.end();
        bench.settle();
        assertThat(bench.transfer.steps())
                .contains("decline " + DISK, "decline " + DOMAIN)
                .last()
                .isEqualTo("tell ENDED");
        assertThat(bench.lockspace.held()).isEmpty();
    }

    /** Declining it came too late, for it was this host's already; and its source waits for it to be free. */
    @Test
    void whatIsConfirmedWhileItsQemuEndsIsGivenBack() {
        FakeProcess qemu = arrived();
        bench.transfer.holdBack = true;
        status("running", "migrated", "migration in", "finish3");
        bench.pass(Duration.ofMillis(300));
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.releases()).doesNotContain(DISK, DOMAIN);
        bench.transfer.confirmLate();
        bench.settle();
        assertThat(bench.lockspace.releases()).contains(DISK, DOMAIN);
    }

    @Test
    void whoRunsHereWithoutLeasesIsStoppedBeforeOthersCanTakeThem() {
        FakeProcess qemu = arrived();
        status("running", "migrated", "", "");
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isTrue();
        bench.lockspace.sees(nodeB(HostStatus.FAIL));
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void aRestartedAgentReceivesWhatItsPredecessorHadPreparedFor() {
        arrived();
        bench.pass(Duration.ofMillis(300));
        GuardBench after = bench.afterCrash();
        status(after, "running", "migrated", "", "");
        after.lockspace.resume();
        after.transfer.given = true;
        after.pass(Duration.ofSeconds(1));
        assertThat(after.transfer.steps()).contains("tell RUNNING", "confirm " + DISK, "confirm " + DOMAIN);
        assertThat(after.view(DEMO1).orElseThrow().leases()).allMatch(DomainView.LeaseView::held);
        assertThat(after.hypervisor.suspends()).isEmpty();
    }

    // ---- the host that it goes from

    @Test
    void theLeasesAreGivenWhenTheGuestHasBeenSent() {
        FakeProcess qemu = runHere();
        status("running", "booted", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.steps()).containsExactly("tell OFFERED");
        answer(State.PREPARED);
        bench.pass(Duration.ofMillis(200));
        status("paused", "migration", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.steps()).as("a user may have paused it").hasSize(1);

        status("paused", "migration", "migration out", "perform3_done");
        bench.settle();
        assertThat(qemu.stopped()).as("libvirt can resume it at any time").isTrue();
        assertThat(bench.transfer.steps())
                .contains("hand over " + DISK, "hand over " + DOMAIN)
                .hasSize(3);
        assertThat(bench.view(DEMO1).orElseThrow().state()).isEqualTo("migrating");
        answer(State.RUNNING);
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).isTrue();
        status("paused", "migration", "migration out", "confirm3");
        bench.settle();
        assertThat(qemu.stopped()).as("so that libvirt can end it").isFalse();
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).isFalse();
        qemu.end();
        bench.settle();
        assertThat(bench.lockspace.releases())
                .as("what is shared, and what the engine still had")
                .contains(BASE);
        assertThat(bench.hypervisor.destroys()).isEmpty();
        assertThat(bench.view(DEMO1)).isEmpty();
    }

    /** It has given nothing yet when it is stopped: who gives first leaves a moment in which it could be resumed without its leases. */
    @Test
    void itIsStoppedBeforeAnythingIsGiven() {
        bench.transfer.handOver = new HandOverResult.Kept(LeaseFault.NOT_OWNER, "not prepared");
        FakeProcess qemu = preparedThere();
        status("paused", "migration", "migration out", "perform3_done");
        bench.settle();
        assertThat(qemu.stopped()).isTrue();
        assertThat(bench.lockspace.held()).contains(DISK, DOMAIN);

        answer(State.ENDED);
        bench.pass(Duration.ofMillis(500));
        assertThat(qemu.stopped())
                .as("it has come to nothing, and nothing was given")
                .isFalse();
    }

    /** The answer to the last step of the migration is lost: libvirt would resume the guest here after 25 s, or at once. */
    @Test
    void whatIsLeftHereIsEndedOnceTheGuestIsKnownToRunThere() {
        FakeProcess qemu = givenAway();
        answer(State.RUNNING);
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isTrue();
        assertThat(qemu.stopped()).isTrue();
        bench.pass(Duration.ofSeconds(2));
        assertThat(qemu.alive()).isFalse();
        assertThat(bench.hypervisor.destroys())
                .as("it could not end in order, and must not be let go on")
                .isEmpty();
    }

    @Test
    void whatLibvirtDoesNotEndInTimeIsDestroyed() {
        FakeProcess qemu = givenAway();
        status("paused", "migration", "migration out", "confirm3");
        answer(State.RUNNING);
        bench.hypervisor.onDestroy(uuid -> {
            qemu.end();
            return new io.vmguard.agent.hypervisor.KillResult.Destroyed();
        });
        bench.pass(Duration.ofSeconds(3));
        assertThat(bench.hypervisor.destroys()).containsExactly(DEMO1.uuid());
        assertThat(qemu.kills()).isZero();
    }

    /** The exclusive lock of an RBD image passes only if its client, in QEMU, answers. */
    @Test
    void whoseImageIsLockedByItsClientIsHeldWithoutSilencingThat() {
        FakeProcess qemu = preparedThere();
        sentOnRbd("perform3_done");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.transfer.steps()).contains("hand over " + DISK);
        assertThat(qemu.guestHeld()).isTrue();
        assertThat(qemu.stopped()).isFalse();

        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        assertThat(qemu.stopped()).as("it has no leases").isTrue();
        assertThat(qemu.guestHeld()).isTrue();
    }

    @Test
    void whoIsHeldIsLetGoForLibvirtToEndIt() {
        FakeProcess qemu = preparedThere();
        sentOnRbd("perform3_done");
        bench.pass(Duration.ofSeconds(1));
        answer(State.RUNNING);
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.guestHeld()).isTrue();
        sentOnRbd("confirm3");
        bench.pass(Duration.ofMillis(200));
        assertThat(qemu.guestHeld()).isFalse();
        assertThat(qemu.alive()).isTrue();
    }

    @Test
    void whoIsHeldGoesOnWhenNothingCameOfIt() {
        FakeProcess qemu = preparedThere();
        sentOnRbd("perform3_done");
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.guestHeld()).isTrue();
        bench.transfer.declined = true;
        answer(State.ENDED);
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.transfer.steps()).contains("take back " + DISK);
        assertThat(qemu.guestHeld() || qemu.stopped()).isFalse();
        assertThat(qemu.alive()).isTrue();
    }

    /** As before it could be: it is stopped when it is resumed. */
    @Test
    void whoCannotBeHeldIsGivenAwayAllTheSame() {
        FakeProcess qemu = preparedThere();
        qemu.unholdable();
        sentOnRbd("perform3_done");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.transfer.steps()).contains("hand over " + DISK);
        assertThat(qemu.guestHeld() || qemu.stopped()).isFalse();
        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        assertThat(qemu.stopped()).as("it has no leases").isTrue();
    }

    /** Another host may run it already: what libvirt says must not make it run here until it is gone. */
    @Test
    void whoIsHeldWhenTheMembershipIsLostStaysSoUntilItIsGone() {
        bench.transfer.handOver = new HandOverResult.Kept(LeaseFault.NOT_OWNER, "not prepared");
        FakeProcess qemu = preparedThere();
        sentOnRbd("perform3_done");
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.guestHeld()).isTrue();
        bench.lockspace.lose();
        bench.settle();
        assertThat(qemu.guestHeld() || !qemu.alive()).isTrue();
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.alive()).isFalse();
    }

    private void sentOnRbd(String phase) {
        DiskSource image = new DiskSource.Network("rbd", "pool/image", List.of(), "", "");
        DomainSpec onRbd = new DomainSpec(
                DEMO1.name(), DEMO1.uuid(), List.of(new DiskSpec("vda", "disk", false, false, false, image)));
        bench.guard.status(new DomainStatus("paused", "migration", 1, "migration out", phase, onRbd));
    }

    /** libvirt has lost the other side and resumes the guest; what it says to a QEMU that is stopped is not heard. */
    @Test
    void whoIsResumedHereAfterItRunsThereDoesNotRun() {
        FakeProcess qemu = givenAway();
        answer(State.RUNNING);
        bench.pass(Duration.ofMillis(100));
        status("running", "migration canceled", "", "");
        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        assertThat(qemu.stopped() || !qemu.alive()).isTrue();
        bench.pass(Duration.ofSeconds(3));
        assertThat(qemu.alive()).isFalse();
        assertThat(qemu.proceeds()).isZero();
    }

    /** An agent that was killed between the stop and the hand-over. */
    @Test
    void whoWasStoppedByAnEarlierAgentGoesOnWhenNothingCameOfIt() {
        bench.transfer.handOver = new HandOverResult.Kept(LeaseFault.NOT_OWNER, "not prepared");
        FakeProcess qemu = preparedThere();
        status("paused", "migration", "migration out", "perform3_done");
        bench.settle();
        assertThat(qemu.stopped()).isTrue();
        GuardBench after = bench.afterCrash();
        after.lockspace.resume();
        status(after, "paused", "migration", "migration out", "confirm3_cancelled");
        after.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).as("the guest may run there").isTrue();
        after.transfer.receiver = new TransferWord(
                NODE_B, java.util.Objects.requireNonNull(after.transfer.giver).attempt(), 7, State.ENDED);
        after.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).isFalse();
        assertThat(qemu.alive()).isTrue();
    }

    @Test
    void whoIsResumedHereWithoutItsLeasesStandsStillUntilTheyAreBack() {
        FakeProcess qemu = givenAway();
        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        assertThat(qemu.stopped()).isTrue();
        bench.pass(Duration.ofSeconds(10));
        assertThat(qemu.stopped()).isTrue();
        assertThat(bench.transfer.steps()).contains("take back " + DISK);

        bench.transfer.declined = true;
        answer(State.ENDED);
        status("running", "migration canceled", "", "");
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.stopped()).isFalse();
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.view(DEMO1).orElseThrow().leases()).allMatch(DomainView.LeaseView::held);
        assertThat(bench.transfer.steps()).last().isEqualTo("tell WITHDRAWN");
    }

    /** The guest remembers a disk that somebody else has written to since. */
    @Test
    void whoseDiskAThirdHostHasTakenNeverGoesOn() {
        FakeProcess qemu = givenAway();
        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        bench.pass(Duration.ofSeconds(3));
        assertThat(qemu.alive()).isTrue();
        bench.transfer.holder = new AcquireResult.HeldBy(
                new Owner(3, 1),
                "33333333-44444444.node-c",
                HostStatus.LIVE,
                Optional.of(Duration.ofSeconds(1)),
                Optional.empty(),
                Optional.empty(),
                false);
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isFalse();
    }

    @Test
    void whoStandsStillForLongIsStoppedBeforeLibvirtResumesIt() {
        FakeProcess qemu = givenAway();
        bench.pass(Duration.ofSeconds(4));
        assertThat(qemu.stopped())
                .as("the other agent may be dead, and the guest run there")
                .isTrue();
        assertThat(bench.transfer.steps()).contains("take back " + DISK);
        answer(State.RUNNING);
        bench.pass(Duration.ofSeconds(3));
        assertThat(qemu.alive()).isFalse();
    }

    /** It has gone to another host, was stopped there and started here again, and now it is migrated once more. */
    @Test
    void wordsOfAnEarlierMigrationCountForNothing() {
        bench.transfer.giver = new TransferWord(GuardBench.SELF, ATTEMPT, 5, State.OFFERED);
        bench.transfer.receiver = new TransferWord(NODE_B, ATTEMPT, 6, State.RUNNING);
        FakeProcess qemu = runHere();
        status("running", "booted", "migration out", "perform3");
        bench.pass(Duration.ofSeconds(1));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.transfer.giver.attempt()).isNotEqualTo(ATTEMPT);
    }

    @Test
    void inPostCopyItIsLeftToSendItsMemory() {
        FakeProcess qemu = preparedThere();
        status("paused", "post-copy", "migration out", "perform3");
        bench.settle();
        assertThat(bench.transfer.steps()).contains("hand over " + DISK);
        answer(State.RUNNING);
        bench.pass(Duration.ofSeconds(60));
        assertThat(qemu.alive()).isTrue();
        assertThat(qemu.stopped()).isFalse();
        assertThat(bench.hypervisor.destroys()).isEmpty();
    }

    @Test
    void anAbortedMigrationChangesNothing() {
        FakeProcess qemu = preparedThere();
        status("running", "booted", "", "");
        answer(State.ENDED);
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.steps()).containsExactly("tell OFFERED", "tell WITHDRAWN");
        assertThat(bench.lockspace.held()).contains(DISK, DOMAIN, BASE);
        assertThat(qemu.stopped()).isFalse();
        assertThat(bench.view(DEMO1).orElseThrow().state()).isEqualTo("running");
    }

    @Test
    void aMigrationThatIsOverBeforeItIsSeenStillGivesTheLeases() {
        FakeProcess qemu = preparedThere();
        qemu.end();
        bench.settle();
        assertThat(bench.transfer.steps()).contains("hand over " + DISK, "hand over " + DOMAIN);
        assertThat(bench.lockspace.held()).doesNotContain(BASE);
    }

    @Test
    void aHandOverThatIsNotTakenIsTriedAgain() {
        bench.transfer.handOver = new HandOverResult.Kept(LeaseFault.NOT_OWNER, "not prepared");
        preparedThere();
        status("paused", "migration", "migration out", "perform3_done");
        bench.pass(Duration.ofMillis(500));
        bench.transfer.handOver = null;
        bench.pass(Duration.ofMillis(500));
        assertThat(bench.transfer.steps().stream().filter(("hand over " + DISK)::equals))
                .hasSizeBetween(2, 4);
    }

    /** A disk that was plugged in just before: whichever of the two hosts asks first gets its lease. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatTheTargetHasTakenAheadIsNobodyElses(boolean forThisDomain) {
        bench = GuardBench.destroying();
        bench.lockspace.sees(nodeB(HostStatus.LIVE));
        runHere();
        status("running", "booted", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        answer(State.PREPARED);
        TestDomain plugged = TestDomain.of("demo1", "/images/one.qcow2", "shared:/images/base", "/images/plugged");
        LeaseName ahead = plugged.resources().get(2);
        bench.lockspace.answer(
                ahead,
                heldBy(
                        forThisDomain ? DEMO1.uuid().toString() : "00000000-0000-0000-0000-0000000000bb",
                        HostStatus.LIVE));
        bench.guard.status(new DomainStatus("running", "booted", 1, "migration out", "perform3", plugged.spec()));
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.hypervisor.destroys()).hasSize(forThisDomain ? 0 : 1);
        if (forThisDomain) {
            assertThat(bench.view(DEMO1).orElseThrow().problems()).hasSize(1);
            bench.lockspace.answer(ahead, null);
            answer(State.ENDED);
            bench.guard.status(new DomainStatus("running", "booted", 1, "", "", plugged.spec()));
            bench.pass(Duration.ofMillis(200));
            assertThat(bench.lockspace.held()).contains(ahead);
            assertThat(bench.view(DEMO1).orElseThrow().problems()).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatAnEarlierAgentHasGivenComesBackOnlyForADomainThatIsThere(boolean there) {
        bench = GuardBench.of(GuardBench.settings(false, false));
        bench.transfer.givenBefore.add(DISK);
        if (there) {
            bench.lockspace.answer(DISK, heldBy(DEMO1.uuid().toString(), HostStatus.LIVE));
            bench.launch(DEMO1);
        }
        bench.joined();
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.lockspace.releases().contains(DISK)).isNotEqualTo(there);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aLostMembershipEndsWhatIsBetweenTwoHosts(boolean given) {
        FakeProcess qemu = given ? givenAway() : runHere();
        bench.lockspace.lose();
        bench.pass(Duration.ofSeconds(6));
        assertThat(qemu.alive()).isFalse();
    }

    // ---- mode observe

    @Test
    void observeStopsNobodyOnItsWay() {
        bench = GuardBench.observing();
        bench.lockspace.sees(nodeB(HostStatus.LIVE));
        FakeProcess qemu = givenAway();
        assertThat(qemu.stopped()).isFalse();
        bench.event(DEMO1, DomainEvent.Kind.RESUMED);
        bench.pass(Duration.ofSeconds(5));
        assertThat(qemu.stopped()).isFalse();
        answer(State.RUNNING);
        bench.pass(Duration.ofSeconds(5));
        assertThat(qemu.alive()).isTrue();
        assertThat(bench.hypervisor.destroys()).isEmpty();

        bench.transfer.declined = true;
        answer(State.ENDED);
        status("running", "migration canceled", "", "");
        bench.pass(Duration.ofSeconds(1));
        assertThat(bench.view(DEMO1).orElseThrow().leases()).allMatch(DomainView.LeaseView::held);
    }

    @Test
    void observeStopsNobodyWhoHasCome() {
        bench = GuardBench.observing();
        bench.lockspace.sees(nodeB(HostStatus.LIVE));
        FakeProcess qemu = arrived();
        status("running", "migrated", "", "");
        bench.lockspace.sees(nodeB(HostStatus.FAIL));
        bench.pass(Duration.ofSeconds(20));
        assertThat(qemu.alive()).isTrue();
    }

    // ----

    private FakeProcess runHere() {
        CompletableFuture<StartAnswer> answer = bench.guard.prepare(DEMO1.spec(), DEMO1.uuid(), derivation());
        bench.settle();
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
        FakeProcess qemu = bench.launch(DEMO1);
        bench.pass(Duration.ofMillis(200));
        bench.transfer.owner = GuardBench.SELF;
        return qemu;
    }

    /** It is being migrated away, and the other host is prepared for its leases. */
    private FakeProcess preparedThere() {
        FakeProcess qemu = runHere();
        status("running", "booted", "migration out", "perform3");
        bench.pass(Duration.ofMillis(200));
        answer(State.PREPARED);
        bench.pass(Duration.ofMillis(200));
        return qemu;
    }

    /** The same, and it has been sent. */
    private FakeProcess givenAway() {
        FakeProcess qemu = preparedThere();
        status("paused", "migration", "migration out", "perform3_done");
        bench.pass(Duration.ofMillis(200));
        assertThat(bench.transfer.steps()).contains("hand over " + DISK);
        return qemu;
    }

    private void answer(State state) {
        TransferWord offer = bench.transfer.giver;
        assertThat(offer).isNotNull();
        bench.transfer.receiver = new TransferWord(NODE_B, offer.attempt(), 7, state);
    }

    private CompletableFuture<StartAnswer> arrive() {
        return arrive(bench);
    }

    /** It is coming from the other host, which offers its leases, and its QEMU is there. */
    private FakeProcess arrived() {
        heldByNodeB(DEMO1.uuid().toString());
        offer();
        arrive();
        return bench.launch(DEMO1);
    }

    private static CompletableFuture<StartAnswer> arrive(GuardBench at) {
        CompletableFuture<StartAnswer> announced = at.guard.migrate(DEMO1.uuid(), DEMO1.name());
        at.settle();
        assertThat(announced).isCompletedWithValue(new StartAnswer.Granted(""));
        CompletableFuture<StartAnswer> answer = at.guard.prepare(DEMO1.spec(), DEMO1.uuid(), derivation());
        at.settle();
        return answer;
    }

    private void heldByNodeB(String uuid) {
        heldByNodeB(bench, uuid);
    }

    private static void heldByNodeB(GuardBench at, String uuid) {
        heldByNodeB(at, uuid, HostStatus.LIVE);
    }

    private static void heldByNodeB(GuardBench at, String uuid, HostStatus status) {
        at.transfer.owner = NODE_B;
        Stream.of(DISK, DOMAIN).forEach(resource -> at.lockspace.answer(resource, heldBy(uuid, status)));
    }

    private static AcquireResult heldBy(String uuid, HostStatus status) {
        return new AcquireResult.HeldBy(
                NODE_B,
                "33333333-44444444.node-b",
                status,
                Optional.of(Duration.ofSeconds(3)),
                Optional.empty(),
                Optional.of(new LeaseNote("demo1", uuid, "vda", "node-b", 1_767_000_000L)),
                false);
    }

    private void offer() {
        bench.transfer.giver = new TransferWord(NODE_B, ATTEMPT, 7, State.OFFERED);
    }

    private static HostView nodeB(HostStatus status) {
        return new HostView(
                NODE_B,
                "33333333-44444444.node-b",
                status,
                Optional.of(Duration.ofSeconds(3)),
                Optional.empty(),
                false);
    }

    private void status(String state, String reason, String job, String phase) {
        status(bench, state, reason, job, phase);
    }

    private static void status(GuardBench at, String state, String reason, String job, String phase) {
        at.guard.status(new DomainStatus(state, reason, 1, job, phase, DEMO1.spec()));
    }

    /** With the lease on the domain itself. */
    private static Derivation derivation() {
        List<DiskLease> leases = new ArrayList<>(DEMO1.derivation().leases());
        leases.add(new DiskLease(
                "domain", LeaseMode.EXCLUSIVE, "domain:" + DEMO1.uuid(), DOMAIN.value(), DiskLease.DOMAIN));
        return new Derivation(leases, List.of(), List.of());
    }
}
