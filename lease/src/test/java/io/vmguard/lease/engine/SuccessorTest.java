/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.SOON;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ProcessLife;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.engine.LiveHost.Machine.Rules;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * An agent is killed while its lease I/O hangs, and the next one comes. The killed one is an engine of this process that begins no more
 * I/O and keeps its lock; that it is dying the next one is told. T is 2 s, so a membership lasts for 16 s: closing an engine that hangs takes some of it.
 */
@Execution(ExecutionMode.CONCURRENT)
class SuccessorTest {
    private static final LeaseName R2 = new LeaseName("R2");
    private static final LeaseNote OTHER = new LeaseNote("demo2", "5", "vdb", "node-a", 1_700_000_001);
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(2);
    /** Renewals are late after 8 s. */
    private static final Duration LATE = Duration.ofSeconds(9);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private Path leases;
    private Machine machine;

    @BeforeEach
    void machine() throws IOException {
        leases = Files.createDirectory(dir.resolve("leases"));
        machine = Machine.at(leases, dir.resolve("a"))
                .with(new Rules(LeaseLayout.SECTOR_512, LockspaceRules.USUAL_MAX_HOSTS, TIMEOUTS));
    }

    /** An engine and the storage that it sees. */
    private final class Agent implements AutoCloseable {
        final LiveHost host;
        StuckStore storage;

        Agent(Machine at, boolean stuck) {
            host = at.through(store -> {
                        storage = new StuckStore(store);
                        if (stuck) {
                            storage.stickAll();
                        }
                        return storage;
                    })
                    .join();
        }

        /** Whatever a busy machine makes late: it is the same membership. */
        void assertGoesOn(Owner owner) {
            assertThat(host.events)
                    .contains("resumed " + owner)
                    .noneMatch(event -> event.startsWith("lost ")
                            || event.startsWith("joined ")
                            || event.startsWith("previousLifeLost "));
            assertThat(host.owner()).isEqualTo(owner);
        }

        /** With SIGKILL. What it has begun still hangs, and its lock stays. */
        void kill() {
            storage.kill();
            host.kill();
        }

        /** What hangs lands, and the process is gone with its lock. */
        void landAndGo() {
            storage.unstick();
            host.close();
        }

        @Override
        public void close() {
            storage.unstick();
            host.close();
        }
    }

    private Agent member() {
        Agent agent = new Agent(machine, false);
        agent.host.awaitMember();
        return agent;
    }

    private Agent successor() {
        Agent agent = new Agent(machine.seeing(ProcessLife.DYING), false);
        agent.host.awaitMember();
        return agent;
    }

    private static void awaitStuck(Agent agent) {
        Await.until("something to hang", SOON, () -> agent.storage.stuck() > 0);
    }

    private LeaderRecord delta(Owner owner) {
        try {
            byte[] area = Files.readAllBytes(leases.resolve(LS.value()));
            return LeaderRecord.at(area, (int) LeaseLayout.SECTOR_512.deltaOffset(owner.hostId()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // ---- nothing hangs for long

    @Test
    void aSuccessorThatComesLateDoesNotBlameTheStorage() {
        Agent before = member();
        before.host.acquire(R1);
        before.host.kill();
        StuckStore[] storage = new StuckStore[1];
        Machine late = machine.through(store -> {
                    storage[0] = new StuckStore(store);
                    storage[0].stickWritesOf(LS);
                    return storage[0];
                })
                .later(LATE, Duration.ZERO);
        try (LiveHost after = late.join()) {
            after.awaitEvent("renewalLate");
            assertThat(after.events)
                    .containsExactly(
                            "renewalLate this agent came long after the last renewal, and its first one is under way");
            storage[0].unstick();
        }
    }

    /** Or a successor would take the renewal from before the sleep for one after it. */
    @Test
    void aLeaseThatIsTakenBetweenASleepAndTheNextRenewalDoesNotHideTheSleep() throws IOException {
        Duration sleep = Duration.ofSeconds(5);
        Naps clock = new Naps(new LinuxClock());
        machine = machine.by(clock);
        try (Agent agent = member()) {
            agent.storage.stickWritesOf(LS);
            long suspendedNanos = clock.suspendedNanos();
            clock.asleepNanos = sleep.toNanos();
            assertThat(agent.host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);

            LocalRecord left = LocalRecord.read(agent.host.recordFile).orElseThrow();
            assertThat(left.users()).containsOnlyKeys(R1);
            assertThat(left.suspendedNanos())
                    .isLessThan(suspendedNanos + sleep.dividedBy(2).toNanos());
        }
    }

    /** A successor must stop that user, and so must the guard of this agent. */
    @Test
    void aLeaseThatIsUnderWayWhenTheMembershipExpiresKeepsItsUser() throws IOException {
        machine = machine.with(Rules.USUAL);
        try (Agent agent = member()) {
            assertThat(LiveHost.answer(agent.host.engine.acquire(R1, NOTE, LeaseMode.SHARED, Duration.ZERO)))
                    .isInstanceOf(AcquireResult.Acquired.class);
            agent.storage.stickAll();
            CompletableFuture<AcquireResult> converting = agent.host.engine.convert(R1, NOTE, LeaseMode.EXCLUSIVE);
            agent.host.awaitEvent("lost");
            agent.storage.unstick();

            assertThat(LiveHost.answer(converting)).isInstanceOf(AcquireResult.CannotTell.class);
            assertThat(LocalRecord.read(agent.host.recordFile).orElseThrow().users())
                    .containsOnlyKeys(R1);
            assertThat(agent.host.engine.view().held()).containsOnlyKeys(R1);
        }
    }

    private static final class Naps implements LeaseClock {
        private final LeaseClock now;
        volatile long asleepNanos;

        Naps(LeaseClock now) {
            this.now = now;
        }

        @Override
        public long monotonicSeconds() {
            return now.monotonicSeconds();
        }

        @Override
        public long monotonicNanos() {
            return now.monotonicNanos();
        }

        @Override
        public long bootNanos() {
            return now.bootNanos() + asleepNanos;
        }

        @Override
        public long wallSeconds() {
            return now.wallSeconds();
        }
    }

    /** The write of a host that died long ago lands over the leader, in just the time in which no agent runs here. */
    @Test
    void aLeaseWhoseLeaderShowsAnOldVersionStaysWithItsUser() throws IOException {
        try (Agent before = member()) {
            byte[] free = acquiredAfter(before);
            LeaderRecord held = leader(R1);
            before.host.kill();
            write(free, 0);

            try (Agent next = successor()) {
                Await.until("the leader to be right again", SOON, () -> {
                    LeaderRecord now = leader(R1);
                    return !now.isFree() && now.owner().equals(held.owner()) && now.lver() == held.lver();
                });
                assertStaysUntilReleased(next);
            }
        }
    }

    /** The same, and the one that was killed was about to give it away: its block is for the next version. */
    @Test
    void aLeaseThatWasBeingGivenAwayUnderAnOldLeaderStaysWithItsUser() throws IOException {
        try (Agent before = member()) {
            byte[] free = acquiredAfter(before);
            LeaderRecord held = leader(R1);
            before.host.kill();
            DiskBlock giving = DiskBlock.entering(
                            held.owner().hostId() + 5L * LeaseLayout.SECTOR_512.maxHosts(), held.lver() + 1)
                    .giving(held.owner().generation());
            write(
                    giving.sector(LeaseLayout.SECTOR_512),
                    LeaseLayout.SECTOR_512.diskBlockOffset(held.owner().hostId()));
            write(free, 0);

            try (Agent next = successor()) {
                assertStaysUntilReleased(next);
            }
        }
    }

    /** @return the leader of the version before, which was given back */
    private byte[] acquiredAfter(Agent agent) throws IOException {
        agent.host.acquire(R1);
        agent.host.release(R1);
        byte[] free = Arrays.copyOf(Files.readAllBytes(leases.resolve(R1.value())), 512);
        agent.host.acquire(R1);
        return free;
    }

    private void assertStaysUntilReleased(Agent agent) {
        Await.until(
                "the lease to be looked at",
                SOON,
                () -> agent.host.engine.carriedOver().contains(R1));
        assertThat(agent.host.engine.view().held()).containsOnlyKeys(R1);
        assertThat(agent.host.engine.view().undetermined()).isEmpty();
        assertThat(LiveHost.answer(agent.host.engine.release(R1, NOTE))).isInstanceOf(ReleaseResult.Released.class);
        assertThat(leader(R1).isFree()).isTrue();
        assertThat(agent.host.engine.view().held()).isEmpty();
    }

    private void write(byte[] sector, long offset) throws IOException {
        try (FileChannel file = FileChannel.open(leases.resolve(R1.value()), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(sector), offset);
        }
    }

    private LeaderRecord leader(LeaseName resource) throws UncheckedIOException {
        try {
            return LeaderRecord.at(Files.readAllBytes(leases.resolve(resource.value())), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // ---- one file hangs

    @Test
    void whileAWriteToOneLeaseMayLandAllOthersGoOnUnderTheSameGeneration() {
        try (Agent killed = member()) {
            Owner owner = killed.host.owner();
            killed.host.acquire(R1);
            killed.host.acquire(R2);
            killed.storage.stickWritesOf(R1);
            CompletableFuture<AcquireResult> converting = killed.host.engine.convert(R1, NOTE, LeaseMode.SHARED);
            awaitStuck(killed);
            killed.kill();

            try (Agent next = successor()) {
                next.assertGoesOn(owner);
                assertThat(next.host.engine.carriedOver()).isEqualTo(Set.of(R1, R2));
                assertThat(next.host.engine.view().held()).containsOnlyKeys(R1, R2);
                assertThat(next.host.acquire(R2)).isInstanceOf(AcquireResult.Acquired.class);
                CompletableFuture<AcquireResult> claim = next.host.engine.acquire(R1, NOTE);
                assertThat(LiveHost.answer(next.host.engine.acquire(R1, OTHER)))
                        .isInstanceOfSatisfying(
                                AcquireResult.CannotTell.class,
                                cannot -> assertThat(cannot.why()).contains("the write may still land"));
                awaitRenewals(next, 2);
                assertThat(claim).as("neither held nor lost").isNotDone();

                killed.landAndGo();
                assertThat(LiveHost.answer(claim)).isNotNull();
                next.assertGoesOn(owner);
                assertThat(converting).isNotNull();
            }
        }
    }

    @Test
    void aLeaseInFlightIsGivenBackWhenTheWriteHasLandedAndItsUserIsGone() {
        try (Agent killed = member()) {
            killed.host.acquire(R1);
            killed.storage.stickWritesOf(R1);
            CompletableFuture<ReleaseResult> releasing = killed.host.engine.release(R1);
            awaitStuck(killed);
            killed.kill();
            assertThat(releasing).isNotDone();

            try (Agent next = successor()) {
                CompletableFuture<ReleaseResult> released = next.host.engine.release(R1, NOTE);
                awaitRenewals(next, 1);
                assertThat(released).isNotDone();
                killed.landAndGo();
                assertThat(LiveHost.answer(released)).isNotNull();
                Await.until(
                        "R1 to be free",
                        SOON,
                        () -> next.host.engine.view().held().isEmpty());
                assertThat(next.host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            }
        }
    }

    /** And a third one knows what both may still write. */
    @Test
    void anAgentThatIsKilledAfterOneThatWasKilledIsSucceededToo() {
        try (Agent first = member()) {
            Owner owner = first.host.owner();
            first.host.acquire(R1);
            first.host.acquire(R2);
            first.storage.stickWritesOf(R1);
            first.host.engine.release(R1);
            awaitStuck(first);
            first.kill();
            try (Agent second = successor()) {
                second.host.acquire(R2);
                second.storage.stickWritesOf(R2);
                second.host.engine.release(R2);
                awaitStuck(second);
                second.kill();
                try (Agent third = successor()) {
                    third.assertGoesOn(owner);
                    CompletableFuture<AcquireResult> one = third.host.engine.acquire(R1, NOTE);
                    CompletableFuture<AcquireResult> two = third.host.engine.acquire(R2, NOTE);
                    second.landAndGo();
                    awaitRenewals(third, 1);
                    assertThat(one).isNotDone();
                    assertThat(two).isNotDone();
                    first.landAndGo();
                    assertThat(LiveHost.answer(one)).isNotNull();
                    assertThat(LiveHost.answer(two)).isNotNull();
                }
            }
        }
    }

    // ---- the lockspace hangs

    @Test
    void aRenewalOfTheKilledAgentThatLandsOverANewerOneCostsNothing() {
        try (Agent killed = member()) {
            Owner owner = killed.host.owner();
            killed.host.acquire(R1);
            killed.storage.stickWritesOf(LS);
            awaitStuck(killed);
            killed.kill();
            try (Agent next = successor()) {
                awaitRenewals(next, 2);
                long newer = delta(owner).timestamp();
                killed.landAndGo();
                Await.until(
                        "the older one to land, or a newer one over it",
                        SOON,
                        () -> delta(owner).timestamp() != newer);
                awaitRenewals(next, 2);
                next.assertGoesOn(owner);
                assertThat(delta(owner).timestamp()).isGreaterThan(newer);
            }
        }
    }

    /** Somebody could have the id by then. */
    @Test
    void whileTheKilledAgentIsThereTheHostIdIsNotFreed() {
        try (Agent killed = member()) {
            Owner owner = killed.host.owner();
            killed.host.acquire(R1);
            killed.storage.stickWritesOf(LS);
            awaitStuck(killed);
            killed.kill();
            try (Agent next = successor()) {
                next.host.acquire(R1);
                next.host.release(R1);
            }
            assertThat(delta(owner).isFree()).isFalse();
        }
    }

    private static void awaitRenewals(Agent agent, int count) {
        for (int i = 0; i < count; i++) {
            Duration ago = agent.host.engine.view().renewedAgo().orElseThrow();
            long renewedNanos = new LinuxClock().bootNanos() - ago.toNanos();
            Await.until("a renewal; events " + agent.host.events, SOON, () -> {
                Duration now = agent.host.engine.view().renewedAgo().orElse(Duration.ofDays(1));
                return new LinuxClock().bootNanos() - now.toNanos() > renewedNanos + 100_000_000;
            });
        }
    }

    // ---- everything hangs

    @Test
    void whileTheStorageHangsTheUsersOfAKilledAgentAreStoppedInTimeAndAreGoneBeforeANewMembershipBegins() {
        LinuxClock clock = new LinuxClock();
        try (Agent killed = member()) {
            Owner owner = killed.host.owner();
            killed.host.acquire(R1);
            killed.storage.stickAll();
            awaitStuck(killed);
            long renewedNanos = clock.bootNanos()
                    - killed.host.engine.view().renewedAgo().orElseThrow().toNanos();
            killed.kill();
            try (Agent next = new Agent(machine.seeing(ProcessLife.DYING), true)) {
                next.host.awaitEvent("previousLifeLost {R1=");
                long afterNanos = clock.bootNanos() - renewedNanos;
                assertThat(Duration.ofNanos(afterNanos))
                        .isBetween(
                                TIMEOUTS.renewalFailed(),
                                TIMEOUTS.renewalFailed().plusSeconds(5));

                next.storage.unstick();
                next.host.engine.usersGone();
                next.host.awaitEvent(
                        "joinFailed NO_MEMBERSHIP an agent of this host was killed and hangs in storage I/O");
                assertThat(delta(owner).owner()).as("no new membership").isEqualTo(owner);
                killed.landAndGo();
                next.host.awaitEvent("joined");
                assertThat(next.host.owner().generation()).isGreaterThan(owner.generation());
            }
        }
    }

    @Test
    void whenTheStorageIsBackInTimeTheMembershipGoesOn() {
        try (Agent killed = member()) {
            Owner owner = killed.host.owner();
            killed.host.acquire(R1);
            killed.storage.stickAll();
            awaitStuck(killed);
            killed.kill();
            try (Agent next = new Agent(machine.seeing(ProcessLife.DYING), true)) {
                next.storage.unstick();
                next.host.awaitMember();
                next.assertGoesOn(owner);
                killed.landAndGo(); // it may have been the note of R1 that hung
                assertThat(next.host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            }
        }
    }

    /** The one before ended as it should; it is the storage that is to blame. */
    @Test
    void alsoAfterAnOrdinaryRestartTheUsersAreStoppedInTimeIfTheStorageHangs() {
        LiveHost before = machine.member();
        before.acquire(R1);
        before.close();
        try (Agent next = new Agent(machine, true)) {
            next.host.awaitEvent("previousLifeLost {R1=");
        }
    }

    // ---- who is there

    @Test
    void anAgentThatLivesIsLeftAloneAndOneThatCannotBeToldIsWaitedFor() {
        try (Agent first = member()) {
            assertThatThrownBy(() -> machine.seeing(ProcessLife.ALIVE).join())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("another vmguard agent runs here (process 1234)")
                    .hasMessageContaining("stop the other one first");
            try (LiveHost waiting = machine.seeing(ProcessLife.UNCLEAR).join()) {
                waiting.awaitEvent("joinFailed NO_MEMBERSHIP");
                assertThat(waiting.events.get(0)).contains("cannot be told: process 1234");
                assertThat(waiting.engine.view().detail()).contains("cannot be told: process 1234");
                assertThat(first.host.engine.member()).isTrue();
                first.landAndGo();
                waiting.awaitMember();
            }
        }
    }
}
