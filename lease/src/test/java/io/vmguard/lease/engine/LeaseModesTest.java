/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.answer;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.engine.LiveHost.Machine.Rules;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Shared and exclusive holds of two live hosts on real files, and the ways from one to the other. */
@Execution(ExecutionMode.CONCURRENT)
class LeaseModesTest {
    private static final LeaseNote OTHER_DOMAIN =
            new LeaseNote("demo2", "0a4f22bb-3d43-4f06-a5f8-5be0c9f1c2aa", "vda (file:/x)", "node-a", 1_700_000_001);

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

    static List<LeaseLayout> geometries() {
        return LeaseLayout.all();
    }

    @ParameterizedTest
    @MethodSource("geometries")
    void inEveryGeometryHostsShareAndExcludeEachOther(LeaseLayout layout) throws IOException {
        Rules rules = Rules.USUAL.layout(layout);
        try (LiveHost one = a.with(rules).member();
                LiveHost two = b.with(rules).member()) {
            assertThat(Files.size(leases.resolve(LS.value()))).isEqualTo(layout.areaBytes());
            assertThat(shared(one)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(shared(two)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(leader(layout).isFree())
                    .as("shared holders are seen by their marks alone")
                    .isTrue();
            assertThat(block(layout, one).shared()).isTrue();
            assertThat(block(layout, two).shared()).isTrue();

            assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(one.acquire(R1)).isInstanceOfSatisfying(AcquireResult.HeldBy.class, held -> {
                assertThat(held.owner()).isEqualTo(two.owner());
                assertThat(held.shared()).isTrue();
            });
            assertThat(leader(layout).isFree()).isTrue();

            assertThat(two.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(one.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(shared(two)).isInstanceOfSatisfying(AcquireResult.HeldBy.class, held -> {
                assertThat(held.owner()).isEqualTo(one.owner());
                assertThat(held.shared()).isFalse();
            });
            assertThat(leader(layout).numHosts()).isEqualTo(Math.min(254, layout.maxHosts()));
        }
    }

    @Test
    void theSecondUserOfAHostJoinsItsSharedHoldAndTheLastOneEndsIt() throws IOException {
        try (LiveHost one = a.member()) {
            AcquireResult.Acquired first = (AcquireResult.Acquired) shared(one);
            AcquireResult.Acquired second = (AcquireResult.Acquired)
                    answer(one.engine.acquire(R1, OTHER_DOMAIN, LeaseMode.SHARED, Duration.ZERO));
            assertThat(second.lease()).as("no ballot was run").isEqualTo(first.lease());
            assertThat(one.engine.view().held())
                    .containsEntry(R1, new LeaseUse(LeaseMode.SHARED, List.of(NOTE, OTHER_DOMAIN)));

            assertThat(answer(one.engine.release(R1, NOTE))).isInstanceOf(ReleaseResult.Released.class);
            assertThat(block(LeaseLayout.SECTOR_512, one).shared()).isTrue();
            assertThat(answer(one.engine.release(R1, NOTE))).isInstanceOf(ReleaseResult.NotOurs.class);
            assertThat(answer(one.engine.release(R1, OTHER_DOMAIN))).isInstanceOf(ReleaseResult.Released.class);
            assertThat(block(LeaseLayout.SECTOR_512, one).shared()).isFalse();
            assertThat(one.engine.view().held()).isEmpty();
        }
    }

    @Test
    void aSharedHoldBecomesExclusiveOnlyWhenNobodyElseHasOne() throws IOException {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            shared(one);
            shared(two);
            assertThat(convert(one, LeaseMode.EXCLUSIVE)).isInstanceOfSatisfying(AcquireResult.HeldBy.class, held -> {
                assertThat(held.owner()).isEqualTo(two.owner());
                assertThat(held.shared()).isTrue();
            });
            assertThat(block(LeaseLayout.SECTOR_512, one).shared())
                    .as("it holds what it held")
                    .isTrue();
            assertThat(two.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(convert(one, LeaseMode.EXCLUSIVE)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(block(LeaseLayout.SECTOR_512, one).shared()).isFalse();
            assertThat(shared(two)).isInstanceOf(AcquireResult.HeldBy.class);

            assertThat(convert(one, LeaseMode.SHARED)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(shared(two)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(convert(two, LeaseMode.EXCLUSIVE)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void aHoldSharedWithAnotherUserOfTheHostIsNotConverted() {
        try (LiveHost one = a.member()) {
            shared(one);
            answer(one.engine.acquire(R1, OTHER_DOMAIN, LeaseMode.SHARED, Duration.ZERO));
            assertThat(convert(one, LeaseMode.EXCLUSIVE))
                    .isInstanceOfSatisfying(
                            AcquireResult.HeldBy.class,
                            held -> assertThat(held.owner()).isEqualTo(one.owner()));
        }
    }

    @Test
    void aReleaseAfterARefusedConversionGivesBackWhatTheBallotsLeft() throws IOException {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            shared(one);
            shared(two);
            convert(one, LeaseMode.EXCLUSIVE);
            long number = block(LeaseLayout.SECTOR_512, one).mbal();
            assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            DiskBlock after = block(LeaseLayout.SECTOR_512, one);
            assertThat(after.shared()).isFalse();
            assertThat(after.mbal()).as("ballot numbers never go back").isEqualTo(number);
        }
    }

    @Test
    void aPatientCallerGetsTheLeaseWhenItsHolderLeavesIt() {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            one.acquire(R1);
            CompletableFuture<AcquireResult> waiting = two.engine.acquire(R1, NOTE, LeaseMode.EXCLUSIVE, LiveHost.SOON);
            assertThat(answer(two.engine.acquire(R1, OTHER_DOMAIN))).isInstanceOf(AcquireResult.HeldBy.class);
            assertThat(waiting).isNotDone();
            one.release(R1);
            assertThat(answer(waiting)).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void aCallerWhosePatienceEndsIsToldWhoHoldsIt() {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            one.acquire(R1);
            assertThat(answer(two.engine.acquire(R1, NOTE, LeaseMode.EXCLUSIVE, Duration.ofSeconds(2))))
                    .isInstanceOfSatisfying(
                            AcquireResult.HeldBy.class,
                            held -> assertThat(held.owner()).isEqualTo(one.owner()));
            assertThat(two.engine.view().held()).isEmpty();
        }
    }

    @Test
    void whoGivesUpWaitingGetsNothingAndLeavesNothing() {
        try (LiveHost one = a.member();
                LiveHost two = b.member()) {
            one.acquire(R1);
            CompletableFuture<AcquireResult> waiting = two.engine.acquire(R1, NOTE, LeaseMode.EXCLUSIVE, LiveHost.SOON);
            waiting.cancel(false);
            one.release(R1);
            // What was won for nobody may still be on its way back, and is told as held until then.
            Await.until(
                    "the lease",
                    LiveHost.SOON,
                    () -> answer(two.engine.acquire(R1, OTHER_DOMAIN)) instanceof AcquireResult.Acquired);
            assertThat(shared(one)).isInstanceOf(AcquireResult.HeldBy.class);
        }
    }

    @Test
    void theSharedUsersOfAPredecessorAreCarriedOver() throws IOException {
        LiveHost before = a.member();
        shared(before);
        answer(before.engine.acquire(R1, OTHER_DOMAIN, LeaseMode.SHARED, Duration.ZERO));
        before.kill();
        try (LiveHost after = a.member()) {
            assertThat(after.engine.carriedOver()).containsExactly(R1);
            assertThat(after.engine.view().held())
                    .containsEntry(R1, new LeaseUse(LeaseMode.SHARED, List.of(NOTE, OTHER_DOMAIN)));
            assertThat(shared(after)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(answer(after.engine.release(R1, NOTE))).isInstanceOf(ReleaseResult.Released.class);
            assertThat(block(LeaseLayout.SECTOR_512, after).shared()).isTrue();
            assertThat(answer(after.engine.release(R1, OTHER_DOMAIN))).isInstanceOf(ReleaseResult.Released.class);
            assertThat(block(LeaseLayout.SECTOR_512, after).shared()).isFalse();
        }
    }

    @Test
    void hostsThatDoNotAgreeOnTheWatchdogStayOut() {
        Rules fast = Rules.USUAL.watchdog(Duration.ofSeconds(10));
        try (LiveHost one = a.with(fast).member();
                LiveHost two = b.join()) {
            two.awaitEvent("joinFailed RULES");
            assertThat(two.events.get(0)).contains("watchdog_timeout 10 s", "set to 60 s", "watchdog_timeout: 10s");
            assertThat(two.engine.member()).isFalse();
            assertThat(one.engine.view().hosts())
                    .anySatisfy(host -> assertThat(host.name()).contains("+10.node-a"));
        }
        try (LiveHost two = b.with(fast).member()) {
            assertThat(two.engine.member()).isTrue();
        }
    }

    @Test
    void aLeaseMadeByAStockHostIsUsedAsItIs() throws IOException {
        Files.write(
                leases.resolve(R1.value()),
                io.vmguard.lease.ondisk.LeaseArea.resource(LeaseLayout.SECTOR_512, LS, R1, 2000));
        try (LiveHost one = a.member()) {
            assertThat(one.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(leader(LeaseLayout.SECTOR_512).numHosts()).isEqualTo(2000);
        }
    }

    @Test
    void aLeaseOfAnotherGeometryIsRefusedBeforeAnyWrite() throws IOException {
        LeaseLayout other = LeaseLayout.of(4096, 0x10).orElseThrow();
        byte[] area = io.vmguard.lease.ondisk.LeaseArea.resource(other, LS, R1, 250);
        Files.write(leases.resolve(R1.value()), area);
        try (LiveHost one = a.member()) {
            assertThat(one.acquire(R1))
                    .isInstanceOfSatisfying(
                            AcquireResult.CannotTell.class,
                            cannot -> assertThat(cannot.fault()).isEqualTo(LeaseFault.GEOMETRY));
        }
        assertThat(leases.resolve(R1.value())).hasBinaryContent(area);
    }

    private AcquireResult shared(LiveHost host) {
        return answer(host.engine.acquire(R1, NOTE, LeaseMode.SHARED, Duration.ZERO));
    }

    private AcquireResult convert(LiveHost host, LeaseMode mode) {
        return answer(host.engine.convert(R1, NOTE, mode));
    }

    private LeaderRecord leader(LeaseLayout layout) throws IOException {
        return LeaderRecord.at(sector(0, layout), 0);
    }

    private DiskBlock block(LeaseLayout layout, LiveHost host) throws IOException {
        return DiskBlock.decode(sector(layout.diskBlockOffset(host.owner().hostId()), layout), 0)
                .fold(block -> block, (fault, why) -> {
                    throw new AssertionError(why);
                });
    }

    private byte[] sector(long offset, LeaseLayout layout) throws IOException {
        try (RandomAccessFile file =
                new RandomAccessFile(leases.resolve(R1.value()).toFile(), "r")) {
            byte[] sector = new byte[layout.sectorBytes()];
            file.seek(offset);
            file.readFully(sector);
            return sector;
        }
    }
}
