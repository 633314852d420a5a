/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.SOON;
import static io.vmguard.lease.engine.LiveHost.answer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LocalLock;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A membership's life on real files: who a host is after a restart, a crash, a reboot or a clone, and what becomes of its leases. The
 * I/O timeout is 1 s; where a test wants a host to have been silent for longer, its successor's clock is ahead.
 */
@Execution(ExecutionMode.CONCURRENT)
class LeaseEngineTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName R2 = new LeaseName("R2");
    /** Longer than 8 T. */
    private static final Duration EXPIRED = Duration.ofSeconds(9);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private Path leases;
    private Machine a;
    private Machine b;

    @BeforeEach
    void twoMachines() throws IOException {
        leases = Files.createDirectory(dir.resolve("leases"));
        a = Machine.at(leases, dir.resolve("a"));
        b = Machine.at(leases, dir.resolve("b"));
    }

    // ---- several lockspaces

    @Test
    void aLockspaceThatHangsTakesNoOtherOneWithIt() throws IOException {
        AtomicReference<FaultyStore> hanging = new AtomicReference<>();
        Path elsewhere = Files.createDirectory(dir.resolve("elsewhere"));
        try (LiveHost one = a.through(store -> {
                            hanging.set(new FaultyStore(store, LS, LAYOUT.noteOffset()));
                            return hanging.get();
                        })
                        .member();
                LiveHost two = Machine.at(elsewhere, dir.resolve("a2")).member()) {
            one.acquire(R1);
            two.acquire(R1);
            hanging.get().hangLockspace();
            one.awaitEvent("lost TIMED_OUT");
            assertThat(two.life()).containsExactly("joined " + two.owner());
            int renewals = two.renewals.size();
            Await.until("renewals of the other to go on", SOON, () -> two.renewals.size() > renewals);
            assertThat(two.engine.view().held()).containsOnlyKeys(R1);
            hanging.get().release();
        }
    }

    // ---- join and leave

    @Test
    void aHostThatLeavesFreesItsIdAndGetsItBackLater() throws IOException {
        Owner first;
        try (LiveHost host = a.member()) {
            first = host.owner();
            assertThat(first.generation()).isEqualTo(1);
            assertThat(delta(first.hostId()).isFree()).isFalse();
        }
        assertThat(delta(first.hostId()).isFree()).isTrue();
        assertThat(delta(first.hostId()).owner()).isEqualTo(first);

        try (LiveHost host = a.member()) {
            assertThat(host.owner()).isEqualTo(new Owner(first.hostId(), 2));
            assertThat(host.life()).containsExactly("joined " + host.owner());
        }
    }

    @Test
    void afterCloseNoFileOfTheLeaseDirectoryIsOpen() throws IOException {
        try (LiveHost host = a.member()) {
            host.acquire(R1);
            host.release(R1);
            Await.until(
                    "nothing but the lockspace to be open",
                    SOON,
                    () -> openFiles().equals(List.of(leases.resolve("LS"))));
        }
        assertThat(openFiles()).isEmpty();
    }

    private List<Path> openFiles() {
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            return all.flatMap(fd -> {
                        try {
                            return Stream.of(Files.readSymbolicLink(fd));
                        } catch (IOException e) {
                            return Stream.of(); // closed meanwhile
                        }
                    })
                    .filter(file -> file.startsWith(leases))
                    .toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Or a successor would become a member while a write of its predecessor may still land. */
    @Test
    void whileAnOperationIsStuckInStorageCloseKeepsTheLocalLock() {
        CountDownLatch storageAnswers = new CountDownLatch(1);
        LiveHost host =
                a.through(store -> new StuckStore(store, R1, storageAnswers)).member();
        CompletableFuture<AcquireResult> stuck = host.engine.acquire(R1, NOTE);

        host.close();
        assertThat(LocalLock.tryTake(host.lockFile)).isEmpty();
        assertThat(stuck).isNotDone();

        storageAnswers.countDown();
        assertThat(stuck).succeedsWithin(SOON);
    }

    /** One file of a store does not answer. */
    private record StuckStore(LeaseStore store, LeaseName stuck, CountDownLatch answers) implements LeaseStore {
        @Override
        public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
            if (name.equals(stuck)) {
                try {
                    answers.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
            return store.open(name, areaBytes, fresh, mayCreate);
        }

        @Override
        public void remove(LeaseName name, LeaseFile file) throws IOException {
            store.remove(name, file);
        }

        @Override
        public LeaseFiles files() {
            return store.files();
        }

        @Override
        public String where() {
            return store.where();
        }
    }

    @Test
    void afterCloseNothingIsAcquired() {
        LiveHost host = a.member();
        host.close();
        assertThat(host.acquire(R1))
                .isInstanceOfSatisfying(
                        AcquireResult.CannotTell.class,
                        cannot -> assertThat(cannot.fault()).isEqualTo(LeaseFault.NO_MEMBERSHIP));
        assertThat(leases.resolve("R1")).doesNotExist();
    }

    @Test
    void aSecondAgentOnOneMachineIsRefused() {
        try (LiveHost host = a.member()) {
            assertThatThrownBy(() -> a.join())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("LS.lock is locked")
                    .hasMessageContaining("another vmguard agent");
            assertThat(host.engine.member()).isTrue();
        }
    }

    @Test
    void aForcedHostIdIsTaken() {
        try (LiveHost host = a.forced(123).member()) {
            assertThat(host.owner()).isEqualTo(new Owner(123, 1));
        }
    }

    @Test
    void aForcedHostIdBeyondTheHostsThatLeasesAreMadeForIsRefused() {
        try (LiveHost host = a.forced(255).join()) {
            host.awaitEvent("joinFailed HOST_ID");
            assertThat(host.events.get(0)).contains("host_id 255", "254 hosts", "'auto'");
        }
    }

    @Test
    void aDirectoryThatLostItsLockspaceIsTakenForNotMounted() throws IOException {
        a.member().close();
        Files.move(leases, dir.resolve("unmounted"));
        Files.createDirectory(leases);

        try (LiveHost host = a.join()) {
            host.awaitEvent("joinFailed");
            assertThat(host.life())
                    .singleElement()
                    .satisfies(event -> assertThat(event)
                            .startsWith("joinFailed MISSING " + leases.resolve("LS"))
                            .contains("is it mounted?"));
            assertThat(leases).isEmptyDirectory();

            // And it goes on by itself once the real one is there.
            Files.delete(leases);
            Files.move(dir.resolve("unmounted"), leases);
            host.awaitMember();
        }
    }

    // ---- leases

    @Test
    void anotherHostIsToldWhoHoldsAResourceAndWhatFor() {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            AcquireResult.Acquired acquired = (AcquireResult.Acquired) one.acquire(R1);
            assertThat(acquired.lease().owner()).isEqualTo(one.owner());
            Await.until("the holder's note", SOON, () -> held(two).note().isPresent());

            AcquireResult.HeldBy by = held(two);
            assertThat(by.owner()).isEqualTo(one.owner());
            assertThat(by.hostName()).isEqualTo(one.engine.view().hostName());
            assertThat(by.note()).contains(NOTE);
            assertThat(by.shared()).isFalse();
            assertThat(two.engine.view().held()).isEmpty();

            assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            AcquireResult.Acquired next = (AcquireResult.Acquired) two.acquire(R1);
            assertThat(next.lease().lver()).isEqualTo(acquired.lease().lver() + 1);
        }
    }

    private static AcquireResult.HeldBy held(LiveHost host) {
        return (AcquireResult.HeldBy) host.acquire(R1);
    }

    @Test
    void aResourceThatThisHostHoldsAlreadyIsRefusedInItsOwnName() {
        try (LiveHost host = a.member()) {
            host.acquire(R1);
            AcquireResult.HeldBy by = held(host);
            assertThat(by.owner()).isEqualTo(host.owner());
            assertThat(by.status()).isEqualTo(HostStatus.LIVE);
            assertThat(by.note()).contains(NOTE);
        }
    }

    @Test
    void whatIsNotHeldCannotBeReleased() {
        try (LiveHost host = a.member()) {
            assertThat(host.release(R1)).isInstanceOf(ReleaseResult.NotOurs.class);
            assertThat(leases.resolve("R1")).doesNotExist();
        }
    }

    // ---- restart of the process

    @Test
    void aSuccessorInTimeContinuesTheMembershipWithItsLeases() throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        long lver = ((AcquireResult.Acquired) before.acquire(R1)).lease().lver();
        before.close();
        assertThat(delta(owner.hostId()).isFree())
                .as("leases are held: the id stays taken")
                .isFalse();

        try (LiveHost after = a.member()) {
            assertThat(after.life()).containsExactly("resumed " + owner);
            assertThat(after.engine.carriedOver()).isEqualTo(Set.of(R1));
            assertThat(after.engine.view().held()).containsEntry(R1, LeaseUse.exclusive(NOTE));
            assertThat(delta(owner.hostId()).owner()).isEqualTo(owner);

            AcquireResult.Acquired claimed = (AcquireResult.Acquired) after.acquire(R1);
            assertThat(claimed.lease().lver()).as("no ballot was run").isEqualTo(lver);
            assertThat(after.engine.carriedOver()).isEmpty();
            assertThat(after.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        }
    }

    @Test
    void aSuccessorOfAKilledProcessContinuesToo() {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.kill();

        try (LiveHost after = a.member()) {
            assertThat(after.life()).containsExactly("resumed " + owner);
            assertThat(after.engine.carriedOver()).isEqualTo(Set.of(R1));
        }
    }

    @Test
    void aCarriedOverLeaseGoesToNobodyButItsUser() {
        LiveHost before = a.member();
        before.acquire(R1);
        before.close();
        try (LiveHost after = a.member()) {
            LeaseNote other = new LeaseNote("demo2", NOTE.domainUuid(), NOTE.disk(), NOTE.hostName(), 1);
            assertThat(after.engine.acquire(R1, other).join())
                    .isInstanceOfSatisfying(
                            AcquireResult.HeldBy.class,
                            by -> assertThat(by.note()).contains(NOTE));
            assertThat(after.engine.carriedOver()).isEqualTo(Set.of(R1));
        }
    }

    @Test
    void aSuccessorThatIsTooLateHasTheUsersStoppedBeforeItJoins() throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.kill();

        try (LiveHost after = a.later(EXPIRED, Duration.ZERO).join()) {
            after.awaitEvent("previousLifeLost");
            assertThat(after.life())
                    .singleElement()
                    .satisfies(event -> assertThat(event).contains("R1", "demo1"));
            assertThat(after.engine.member()).isFalse();
            assertThat(after.acquire(R1))
                    .isInstanceOfSatisfying(
                            AcquireResult.CannotTell.class,
                            cannot -> assertThat(cannot.fault()).isEqualTo(LeaseFault.NO_MEMBERSHIP));
            assertThat(delta(owner.hostId()).owner())
                    .as("nothing is claimed yet")
                    .isEqualTo(owner);

            after.engine.usersGone();
            after.awaitMember();
            assertThat(after.owner()).isEqualTo(new Owner(owner.hostId(), owner.generation() + 1));
            assertThat(after.engine.carriedOver()).isEmpty();
            assertThat(after.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    /** What may become of the file in which an agent says what it holds. */
    enum Damage {
        SHORTENED {
            @Override
            void befalls(Path record) throws IOException {
                byte[] bytes = Files.readAllBytes(record);
                Files.write(record, Arrays.copyOf(bytes, bytes.length / 2));
            }
        },
        EMPTIED {
            @Override
            void befalls(Path record) throws IOException {
                Files.write(record, new byte[0]);
            }
        },
        /** By somebody who wants to be rid of a lease. */
        EDITED {
            @Override
            void befalls(Path record) throws IOException {
                Files.writeString(record, Files.readString(record).replaceFirst("(?m)^users=[12]$", "users=0"));
            }
        },
        REMOVED {
            @Override
            void befalls(Path record) throws IOException {
                Files.delete(record);
            }
        };

        abstract void befalls(Path record) throws IOException;
    }

    @ParameterizedTest
    @EnumSource
    void ofADamagedRecordTheDiskKnowsWhatItSaidAndNobodyElseGetsIt(Damage damage) throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        acquireWithNote(before);
        answer(before.engine.acquire(R2, NOTE, LeaseMode.SHARED, Duration.ZERO));
        before.kill();
        damage.befalls(before.recordFile);

        try (LiveHost other = b.member();
                LiveHost after = a.member()) {
            assertThat(after.events).contains("resumed " + owner);
            assertThat(after.rebuilt).containsExactly("2 in " + before.recordFile);
            Await.until("both leases", SOON, () -> after.engine.carriedOver().equals(Set.of(R1, R2)));
            assertThat(after.engine.view().held())
                    .containsEntry(R1, LeaseUse.exclusive(NOTE))
                    .hasEntrySatisfying(R2, use -> assertThat(use.mode()).isEqualTo(LeaseMode.SHARED));
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
            assertThat(other.acquire(R2)).isInstanceOf(AcquireResult.HeldBy.class);
            assertThat(after.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(after.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    /** The note is written a little later than the lease is had. */
    private void acquireWithNote(LiveHost host) {
        assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        Await.until(
                "the note",
                SOON,
                () -> NoteSector.decode(bytes(R1), (int) LAYOUT.noteOffset(), host.owner(), 1)
                        .isPresent());
    }

    @Test
    void ofAHostWhoseLocalFilesAreAllGoneTheUsersAreStoppedBeforeAnybodyGetsTheirLeases() throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        acquireWithNote(before);
        before.kill();
        try (Stream<Path> files = Files.list(before.recordFile.getParent())) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }

        try (LiveHost other = b.member();
                LiveHost after = a.join()) {
            after.awaitEvent("previousLifeLost");
            assertThat(after.events).anySatisfy(event -> assertThat(event).contains("previousLifeLost", "R1", "demo1"));
            assertThat(delta(owner.hostId()).owner()).isEqualTo(owner);
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
            after.engine.usersGone();
            after.awaitMember();
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void aRecordOfAnotherBootProvesNothing() throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.kill();
        Machine later = a.rebooted();
        Path kept = dir.resolve("a").resolve("run-" + later.bootId()).resolve(before.recordFile.getFileName());
        Files.createDirectories(kept.getParent());
        Files.copy(before.recordFile, kept);

        try (LiveHost after = later.member()) {
            assertThat(after.events).contains("joined " + new Owner(owner.hostId(), owner.generation() + 1));
            assertThat(after.rebuilt).isEmpty();
            assertThat(after.engine.carriedOver()).isEmpty();
            assertThat(after.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void aHostThatCannotSeeAllLeasesDoesNotGuessWhatItHeld() throws IOException {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.kill();
        Damage.REMOVED.befalls(before.recordFile);

        try (LiveHost after = a.through(store -> new UnreadableStore(store, R1)).join()) {
            after.awaitEvent("joinFailed IO");
            assertThat(after.events.get(0)).contains("is missing or damaged", "R1: no such device");
            assertThat(after.engine.member()).isFalse();
            assertThat(delta(owner.hostId()).owner()).isEqualTo(owner);
        }
    }

    /** One file of a store can be listed and not be opened. */
    private record UnreadableStore(LeaseStore store, LeaseName unreadable) implements LeaseStore {
        @Override
        public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
            return store.open(name, areaBytes, fresh, mayCreate);
        }

        @Override
        public void remove(LeaseName name, LeaseFile file) throws IOException {
            store.remove(name, file);
        }

        @Override
        public LeaseFiles files() {
            LeaseFiles files = store.files();
            return new LeaseFiles() {
                @Override
                public List<Entry> list() throws IOException {
                    return files.list();
                }

                @Override
                public Optional<Entry> find(LeaseName name) {
                    return files.find(name);
                }

                @Override
                public Opened openToRead(String name) {
                    return name.equals(unreadable.value())
                            ? new Opened.Refused(LeaseFault.IO, "no such device")
                            : files.openToRead(name);
                }

                @Override
                public String where() {
                    return files.where();
                }
            };
        }

        @Override
        public String where() {
            return store.where();
        }
    }

    @Test
    void usersThatWereLeftRunningOnPurposeAreNotStopped() {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.closeKeepingUsers();

        try (LiveHost after = a.later(EXPIRED, Duration.ZERO).member()) {
            assertThat(after.life()).containsExactly("joined " + new Owner(owner.hostId(), owner.generation() + 1));
            assertThat(after.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void thatUsersWereLeftRunningIsForgottenOnceTheirLeasesAreKeptAgain() throws IOException {
        LiveHost before = a.member();
        before.acquire(R1);
        before.closeKeepingUsers();

        LiveHost between = a.member();
        assertThat(between.life()).containsExactly("resumed " + between.owner());
        between.close();
        try (LiveHost after = a.later(EXPIRED, Duration.ZERO).join()) {
            after.awaitEvent("previousLifeLost");
        }
    }

    @Test
    void anAgentThatHasNotJoinedYetCanLeaveTheUsersOfTheOneBeforeRunning() throws IOException {
        LiveHost before = a.member();
        before.acquire(R1);
        before.close();

        Files.move(leases.resolve("LS"), dir.resolve("elsewhere"));
        LiveHost between = a.join();
        between.awaitEvent("joinFailed");
        between.closeKeepingUsers();
        Files.move(dir.resolve("elsewhere"), leases.resolve("LS"));
        try (LiveHost after = a.later(EXPIRED, Duration.ZERO).member()) {
            assertThat(after.life()).containsExactly("joined " + after.owner());
        }
    }

    @Test
    void aMachineThatSleptMeanwhileDoesNotContinue() {
        LiveHost before = a.member();
        before.acquire(R1);
        before.kill();

        // By the clock that stands still during sleep it would be in time.
        try (LiveHost after = a.later(Duration.ZERO, EXPIRED).join()) {
            after.awaitEvent("previousLifeLost");
            assertThat(after.engine.member()).isFalse();
        }
    }

    // ---- other lives of the machine

    @Test
    void afterARebootAHostGetsItsIdBackOnceItHasSeenThatNobodyRenewsIt() {
        LiveHost before = a.member();
        Owner owner = before.owner();
        before.acquire(R1);
        before.kill();

        long startedNanos = System.nanoTime();
        try (LiveHost after = a.rebooted().member()) {
            // 2 T + T + 1 s of watching, then 2 T for the claim to settle; far less than 8 T + 60 s.
            assertThat(Duration.ofNanos(System.nanoTime() - startedNanos)).isGreaterThan(Duration.ofSeconds(6));
            assertThat(after.life()).containsExactly("joined " + new Owner(owner.hostId(), owner.generation() + 1));
            assertThat(after.engine.carriedOver()).isEmpty();
            assertThat(after.acquire(R1)).as("held by an earlier life").isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void aCloneOfALivingMachineEndsUpWithAnIdOfItsOwn() throws IOException {
        try (LiveHost original = a.member()) {
            original.acquire(R1);
            // The clone is made between two renewals, so that its memory of the id agrees with the disk at first.
            Path copy = Files.createDirectories(dir.resolve("copy").resolve("state"));
            try (Stream<Path> files = Files.list(dir.resolve("a").resolve("state"))) {
                for (Path file : files.toList()) {
                    Files.copy(file, copy.resolve(file.getFileName()));
                }
            }
            try (LiveHost clone = a.clonedTo(dir.resolve("copy")).member()) {
                assertThat(clone.owner().hostId()).isNotEqualTo(original.owner().hostId());
                assertThat(clone.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
            }
            assertThat(original.engine.member()).isTrue();
            assertThat(original.life()).containsExactly("joined " + original.owner());
        }
    }

    // ---- renewals

    @Test
    void eachRenewalIsToldWithTheTimeThatItGives() throws IOException {
        try (LiveHost host = a.member()) {
            Await.until("a second renewal", SOON, () -> host.renewals.size() > 1);
            Renewal first = host.renewals.get(0);
            Renewal second = host.renewals.get(1);

            assertThat(second.deadlineBootNanos() - second.startedBootNanos())
                    .isEqualTo(Duration.ofSeconds(8 * LiveHost.T).toNanos());
            assertThat(Duration.ofNanos(second.startedBootNanos() - first.startedBootNanos()))
                    .isBetween(Duration.ofMillis(1900), SOON);
            assertThat(second.took()).isBetween(Duration.ofNanos(1), Duration.ofSeconds(8 * LiveHost.T));
            // It is told when it has landed.
            long landed = delta(host.owner().hostId()).timestamp();
            Await.until(
                    "word of what is on disk",
                    SOON,
                    () -> host.renewals.stream().anyMatch(renewal -> renewal.timestampSeconds() == landed));
        }
    }

    // ---- foreign writes

    @Test
    void aForeignWriteIntoOurRecordIsLossAtTheNextRenewal() {
        assertLostAtOnce(
                "RENEW_DIFF",
                record -> record.edit().timestamp(record.timestamp() + 1000).seal());
    }

    @Test
    void anotherOwnerOfOurIdIsLossAtTheNextRenewal() {
        assertLostAtOnce(
                "RENEW_OWNER",
                record -> record.edit()
                        .owner(new Owner(record.owner().hostId(), record.owner().generation() + 1))
                        .hostName("somebody-else")
                        .seal());
    }

    private void assertLostAtOnce(String fault, UnaryOperator<LeaderRecord> foreign) {
        try (LiveHost host = a.member()) {
            Owner owner = host.owner();
            host.acquire(R1);
            awaitLossAfter(host, () -> writeDelta(owner.hostId(), foreign));
            host.awaitEvent(
                    "lost " + fault + " " + leases.resolve("LS") + " at offset " + LAYOUT.deltaOffset(owner.hostId()));
            assertThat(host.engine.view().state()).isEqualTo(LockspaceView.State.LOST);
            assertThat(host.acquire(new LeaseName("R2")))
                    .isInstanceOfSatisfying(
                            AcquireResult.CannotTell.class,
                            cannot -> assertThat(cannot.fault()).isEqualTo(LeaseFault.NO_MEMBERSHIP));
            assertThat(leases.resolve("R2")).doesNotExist();
            assertThat(host.release(R1)).as("its lease is left to expire").isInstanceOf(ReleaseResult.NotOurs.class);

            host.engine.usersGone();
            host.awaitMember();
            assertThat(host.owner()).isNotEqualTo(owner);
        }
    }

    @Test
    void aWipedRecordIsLossAtTheNextRenewal() {
        try (LiveHost host = a.member()) {
            long record = LAYOUT.deltaOffset(host.owner().hostId());
            awaitLossAfter(host, () -> write(record, new byte[LAYOUT.sectorBytes()]));
            host.awaitEvent("lost MAGIC");
        }
    }

    /** Done after each renewal: between two of them, and again if one had just looked and wrote over it. */
    private static void awaitLossAfter(LiveHost host, Runnable foreign) {
        int[] done = {0};
        Await.until("the loss", SOON, () -> {
            int renewals = host.renewals.size();
            if (host.engine.member() && renewals > done[0]) {
                done[0] = renewals;
                foreign.run();
            }
            return !host.engine.member();
        });
    }

    @Test
    void aRemovedLeaseFileIsNotTakenForHeld() throws IOException {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            one.acquire(R1);
            one.release(R1);
            Files.delete(leases.resolve("R1"));
            assertThat(one.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(two.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
        }
    }

    private LeaderRecord delta(long hostId) throws IOException {
        return LeaderRecord.at(Files.readAllBytes(leases.resolve("LS")), (int) LAYOUT.deltaOffset(hostId));
    }

    private byte[] bytes(LeaseName resource) {
        try {
            return Files.readAllBytes(leases.resolve(resource.value()));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void writeDelta(long hostId, UnaryOperator<LeaderRecord> change) {
        try {
            write(LAYOUT.deltaOffset(hostId), change.apply(delta(hostId)).sector(LAYOUT));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void write(long offset, byte[] sector) {
        try (RandomAccessFile file =
                new RandomAccessFile(leases.resolve(LS.value()).toFile(), "rws")) {
            file.seek(offset);
            file.write(sector);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
