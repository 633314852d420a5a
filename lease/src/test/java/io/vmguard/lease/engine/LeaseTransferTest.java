/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.SOON;
import static io.vmguard.lease.engine.LiveHost.answer;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.State;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** A lease on its way from one live host to another, with a third one that wants it too. */
@Execution(ExecutionMode.CONCURRENT)
class LeaseTransferTest {
    @TempDir(factory = UnderTarget.class)
    Path dir;

    private Path leases;
    private LiveHost giver;
    private LiveHost receiver;
    private LiveHost third;

    @BeforeEach
    void threeHosts() throws IOException {
        leases = Files.createDirectory(dir.resolve("leases"));
        giver = Machine.at(leases, dir.resolve("a")).join();
        receiver = Machine.at(leases, dir.resolve("b")).join();
        third = Machine.at(leases, dir.resolve("c")).join();
        giver.awaitMember();
        receiver.awaitMember();
        third.awaitMember();
        // Each must have seen the others renew.
        Await.until("sight of each other", SOON, () -> giver.sees(receiver) && receiver.sees(giver));
        assertThat(giver.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    @AfterEach
    void end() {
        giver.close();
        receiver.close();
        third.close();
    }

    @Test
    void theReceiverOwnsWhatItWasGiven() {
        assertThat(prepare()).isInstanceOf(ReceiveResult.Prepared.class);
        CompletableFuture<ReceiveResult> waiting = receiver.engine.confirmReceived(R1, SOON);
        refusedTo(third, giver.owner());
        assertThat(give()).isInstanceOf(HandOverResult.Given.class);
        assertThat(answer(waiting)).isInstanceOf(ReceiveResult.Confirmed.class);
        refusedTo(third, receiver.owner());
        refusedTo(giver, receiver.owner());
        assertThat(receiver.engine.view().held()).containsEntry(R1, LeaseUse.exclusive(NOTE));
        assertThat(answer(giver.engine.takeBack(R1))).isNotInstanceOf(AcquireResult.Acquired.class);

        assertThat(receiver.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        assertThat(third.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    @Test
    void betweenGivingAndConfirmingNobodyElseCanHaveIt() {
        prepare();
        assertThat(give()).isInstanceOf(HandOverResult.Given.class);
        refusedTo(third, receiver.owner());
        assertThat(giver.acquire(R1)).isInstanceOfSatisfying(AcquireResult.HeldBy.class, held -> {
            assertThat(held.owner()).isEqualTo(receiver.owner());
            assertThat(held.note())
                    .hasValue(new LeaseNote(
                            NOTE.domainName(), NOTE.domainUuid(), NOTE.disk(), HostName.node(held.hostName()), 0));
        });
        assertThat(answer(giver.engine.takeBack(R1)))
                .isInstanceOfSatisfying(
                        AcquireResult.HeldBy.class,
                        held -> assertThat(held.owner()).isEqualTo(receiver.owner()));
        assertThat(answer(receiver.engine.confirmReceived(R1, Duration.ZERO)))
                .isInstanceOf(ReceiveResult.Confirmed.class);
        Await.until(
                "the giver to know",
                SOON,
                () -> giver.engine.view().undetermined().isEmpty());
    }

    @Test
    void whatTheReceiverDeclinesTheGiverTakesBack() {
        prepare();
        give();
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        refusedTo(third, giver.owner());
        assertThat(answer(giver.engine.takeBack(R1))).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(giver.engine.view().held()).containsEntry(R1, LeaseUse.exclusive(NOTE));
        refusedTo(receiver, giver.owner());
        assertThat(giver.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        assertThat(receiver.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    @Test
    void nothingIsGivenToAHostThatHasNotPreparedOrHasDeclined() {
        receiverHeldItOnce();
        assertThat(give()).isInstanceOf(HandOverResult.Kept.class);
        prepare();
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        assertThat(give()).isInstanceOf(HandOverResult.Kept.class);
        assertThat(giver.engine.view().held()).containsKey(R1);
        refusedTo(third, giver.owner());
        assertThat(giver.release(R1)).isInstanceOf(ReleaseResult.Released.class);
    }

    private void receiverHeldItOnce() {
        giver.release(R1);
        receiver.acquire(R1);
        receiver.release(R1);
        assertThat(giver.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    @Test
    void nothingIsGivenToAHostOfAnEarlierLife() {
        prepare();
        Owner earlier = new Owner(receiver.owner().hostId(), receiver.owner().generation() + 1);
        assertThat(answer(giver.engine.handOver(R1, earlier))).isInstanceOf(HandOverResult.Kept.class);
        assertThat(give()).as("and then it is given all the same").isInstanceOf(HandOverResult.Given.class);
    }

    @Test
    void onlyAnExclusiveHoldIsGiven() {
        assertThat(answer(giver.engine.convert(R1, NOTE, LeaseMode.SHARED))).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(give()).isInstanceOf(HandOverResult.NotOurs.class);
    }

    @Test
    void aReceiverThatNobodyGivesAnythingHasNotGotIt() {
        prepare();
        assertThat(answer(receiver.engine.confirmReceived(R1, Duration.ZERO))).isInstanceOf(ReceiveResult.NotYet.class);
        refusedTo(receiver, receiver.owner()); // by its own table: it is about to be given the lease
        giver.release(R1);
        assertThat(answer(receiver.engine.confirmReceived(R1, Duration.ZERO)))
                .isInstanceOf(ReceiveResult.NotOurs.class);
        assertThat(receiver.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    /** The process that was to be given the lease died. Its user may run: only its successor's caller can find that out. */
    @Test
    void whatAProcessThatDiedHadPreparedForItsSuccessorIsStillGiven() {
        prepare();
        receiver.kill();
        receiver = Machine.at(leases, dir.resolve("b")).member();
        assertThat(receiver.events.get(0)).startsWith("resumed");
        assertThat(receiver.engine.receiving())
                .containsEntry(R1, new LeaseUse(LeaseMode.EXCLUSIVE, List.of(NOTE), Optional.of(giver.owner())));
        assertThat(give()).isInstanceOf(HandOverResult.Given.class);
        assertThat(answer(receiver.engine.confirmReceived(R1, SOON))).isInstanceOf(ReceiveResult.Confirmed.class);
        assertThat(receiver.engine.receiving()).isEmpty();
        assertThat(receiver.engine.view().held()).containsEntry(R1, LeaseUse.exclusive(NOTE));
    }

    @Test
    void whatAProcessThatDiedWasGivenItsSuccessorCanConfirmOrDecline() {
        prepare();
        give();
        receiver.kill();
        receiver = Machine.at(leases, dir.resolve("b")).member();
        refusedTo(third, receiver.owner());
        assertThat(answer(giver.engine.takeBack(R1))).isNotInstanceOf(AcquireResult.Acquired.class);
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        assertThat(answer(giver.engine.takeBack(R1))).isInstanceOf(AcquireResult.Acquired.class);
    }

    /** The process that gave it died, and is away when it comes back. */
    @Test
    void whatComesBackToAProcessThatDiedIsItsSuccessors() {
        prepare();
        give();
        Owner dead = giver.owner();
        giver.kill();
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        refusedTo(third, dead);
        giver = Machine.at(leases, dir.resolve("a")).member();
        assertThat(giver.acquire(R1)).as("for the same user").isInstanceOf(AcquireResult.Acquired.class);
        refusedTo(third, giver.owner());
    }

    @Test
    void whatAProcessThatDiedHasGivenComesBackToItsSuccessorAndToNobodyElse() {
        prepare();
        give();
        giver.kill();
        giver = Machine.at(leases, dir.resolve("a")).member();
        Await.until("the lease", SOON, () -> giver.engine.given().equals(Set.of(R1)));
        assertThat(giver.engine.carriedOver()).isEmpty();
        assertThat(answer(giver.engine.takeBack(R1)))
                .isInstanceOfSatisfying(
                        AcquireResult.HeldBy.class,
                        held -> assertThat(held.owner()).isEqualTo(receiver.owner()));
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        refusedTo(third, giver.owner());
        assertThat(answer(giver.engine.takeBack(R1))).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(giver.engine.given()).isEmpty();
        refusedTo(third, giver.owner());
    }

    @Test
    void whatNobodyWantsBackIsFreeWhenTheReceiverDeclines() {
        prepare();
        give();
        giver.kill();
        giver = Machine.at(leases, dir.resolve("a")).member();
        Await.until("the lease", SOON, () -> giver.engine.given().equals(Set.of(R1)));
        assertThat(giver.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        refusedTo(third, receiver.owner());
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        assertThat(third.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    /** Nobody there would take it back otherwise: declined, it would be held for a host that does not know, as long as that one lives. */
    @Test
    void whatWasGivenIsKnownToASuccessorWhoseRecordIsGoneToo() throws IOException {
        assertThat(answer(giver.engine.writeDown(R1))).isTrue();
        prepare();
        give();
        giver.kill();
        Files.delete(giver.recordFile);
        giver = Machine.at(leases, dir.resolve("a")).member();
        assertThat(giver.rebuilt).containsExactly("1 in " + giver.recordFile);
        Await.until("the lease", SOON, () -> giver.engine.given().equals(Set.of(R1)));
        assertThat(answer(receiver.engine.decline(R1))).isInstanceOf(ReleaseResult.Released.class);
        refusedTo(third, giver.owner());
        assertThat(answer(giver.engine.takeBack(R1))).isInstanceOf(AcquireResult.Acquired.class);
        assertThat(giver.engine.view().held())
                .as("for the domain that it was given for")
                .containsEntry(R1, LeaseUse.exclusive(NOTE));
        assertThat(giver.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        assertThat(third.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
    }

    // ---- words

    @Test
    void eachSideReadsWhatTheOtherHasLeft() {
        long attempt = 0x1234_5678_9ABC_DEF0L;
        assertThat(answer(receiver.engine.look(R1)))
                .isEqualTo(new TransferResult.Seen(
                        Optional.of(giver.owner()), 1, true, Optional.empty(), Optional.empty()));
        giver.engine.tell(R1, attempt, State.OFFERED).join();
        TransferWord offer = new TransferWord(giver.owner(), attempt, 1, State.OFFERED);
        assertThat(seen(receiver).offer()).contains(offer);
        assertThat(seen(receiver).answer(attempt)).isEmpty();

        prepare();
        assertThat(answer(receiver.engine.tell(R1, attempt, State.PREPARED)))
                .as("who tells sees what stands there then")
                .isEqualTo(seen(giver));
        assertThat(seen(giver).answer(attempt))
                .contains(new TransferWord(receiver.owner(), attempt, 1, State.PREPARED));
        assertThat(seen(giver).answer(attempt + 1)).as("of another attempt").isEmpty();

        give();
        assertThat(seen(receiver).owner()).contains(receiver.owner());
        assertThat(seen(giver).confirmed()).isFalse();
        answer(receiver.engine.confirmReceived(R1, SOON));
        assertThat(seen(giver).confirmed()).isTrue();
        assertThat(seen(receiver).offer()).as("it is not the owner's any more").isEmpty();
        assertThat(seen(receiver).giver()).contains(offer);
    }

    @Test
    void anOfferOfAnEarlierHoldIsNone() {
        giver.engine.tell(R1, 1, State.OFFERED).join();
        assertThat(seen(receiver).offer()).isPresent();
        giver.release(R1);
        assertThat(seen(receiver).offer()).isEmpty();
        giver.acquire(R1);
        assertThat(seen(receiver).offer()).isEmpty();
    }

    @Test
    void wordsChangeNothingThatSanlockReads() throws IOException {
        Path file = leases.resolve(R1.value());
        byte[] before = Files.readAllBytes(file);
        giver.engine.tell(R1, 1, State.OFFERED).join();
        giver.engine.tell(R1, 1, State.WITHDRAWN).join();
        receiver.engine.tell(R1, 1, State.ENDED).join();
        byte[] after = Files.readAllBytes(file);
        int from = (int) LeaseLayout.SECTOR_512.wordOffset(TransferWord.Side.GIVER);
        int to = (int) LeaseLayout.SECTOR_512.noteOffset();
        assertThat(from).isGreaterThan(2003 * 512);
        assertThat(Arrays.mismatch(before, 0, from, after, 0, from)).isEqualTo(-1);
        assertThat(after).hasSameSizeAs(before);
        assertThat(Arrays.equals(before, from, to, after, from, to)).isFalse();
        assertThat(third.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
    }

    @Test
    void noFileIsMadeForAWord() {
        LeaseName other = new LeaseName("never-seen");
        assertThat(answer(giver.engine.tell(other, 1, State.OFFERED))).isInstanceOf(TransferResult.CannotTell.class);
        assertThat(leases.resolve(other.value())).doesNotExist();
    }

    private static TransferResult.Seen seen(LiveHost by) {
        return (TransferResult.Seen) answer(by.engine.look(R1));
    }

    /** The process that confirmed died: its successor has what it had. */
    @Test
    void aConfirmedLeaseIsCarriedOver() {
        prepare();
        give();
        answer(receiver.engine.confirmReceived(R1, SOON));
        receiver.kill();
        receiver = Machine.at(leases, dir.resolve("b")).member();
        assertThat(receiver.engine.carriedOver()).containsExactly(R1);
        refusedTo(third, receiver.owner());
    }

    // ---- requests and removal

    @Test
    void aHolderHearsThatAnotherHostAsksForItsLease() {
        assertThat(answer(third.engine.request(R1, RequestMode.GRACEFUL)))
                .isInstanceOfSatisfying(
                        RequestResult.Asked.class,
                        asked -> assertThat(asked.holder()).isEqualTo(giver.owner()));
        giver.awaitEvent("requested " + R1 + " GRACEFUL");
        assertThat(receiver.events).noneMatch(event -> event.startsWith("requested"));
    }

    @Test
    void nobodyIsAskedForWhatIsFreeOrShared() throws IOException {
        giver.engine.convert(R1, NOTE, LeaseMode.SHARED).join();
        byte[] before = Files.readAllBytes(leases.resolve(R1.value()));
        assertThat(answer(third.engine.request(R1, RequestMode.FORCE))).isInstanceOf(RequestResult.Free.class);
        assertThat(leases.resolve(R1.value())).hasBinaryContent(before);
        assertThat(answer(giver.engine.request(R1, RequestMode.FORCE))).isInstanceOf(RequestResult.Free.class);
    }

    @Test
    void aLeaseThatIsHeldIsNotRemovedAndAFreeOneIs() {
        assertThat(answer(third.engine.remove(R1))).isInstanceOf(RemoveResult.Refused.class);
        assertThat(answer(giver.engine.remove(R1))).isInstanceOf(RemoveResult.Refused.class);
        assertThat(leases.resolve(R1.value())).exists();
        giver.release(R1);
        assertThat(answer(third.engine.remove(R1))).isInstanceOf(RemoveResult.Removed.class);
        assertThat(leases.resolve(R1.value())).doesNotExist();
        assertThat(answer(third.engine.remove(R1))).isInstanceOf(RemoveResult.Refused.class);
        assertThat(receiver.acquire(R1)).as("a new one takes its place").isInstanceOf(AcquireResult.Acquired.class);
    }

    private ReceiveResult prepare() {
        return answer(receiver.engine.prepareToReceive(R1, NOTE, giver.owner()));
    }

    private HandOverResult give() {
        return answer(giver.engine.handOver(R1, receiver.owner()));
    }

    private static void refusedTo(LiveHost host, Owner holder) {
        assertThat(host.acquire(R1))
                .isInstanceOfSatisfying(
                        AcquireResult.HeldBy.class,
                        held -> assertThat(held.owner()).isEqualTo(holder));
    }
}
