/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.Site.DEAD_SECONDS;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static io.vmguard.test.Site.T;
import static io.vmguard.test.Site.TAKEOVER;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosRelease;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicLong;

/** Rows E1 to E11 and E13 to E15: one owner, whoever asks, holds, leaves, dies or stops in the middle. E12 is in {@link RaceRows}. */
final class ExclusiveRows {
    /** A committed owner that is another than the one who committed it. */
    private static final int COMMITTED_ANOTHER = -245;

    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("E1", "we hold, stock asks", ExclusiveRows::weHoldStockAsks),
            MatrixRow.quick("E2", "stock holds, we ask", ExclusiveRows::stockHoldsWeAsk),
            MatrixRow.quick("E3", "released by one, acquired by the other", ExclusiveRows::handsChange),
            MatrixRow.slow("E4", "we die holding, stock asks", ExclusiveRows::weDieStockAsks),
            MatrixRow.slow("E5", "stock dies holding, we ask", ExclusiveRows::stockDiesWeAsk),
            MatrixRow.quick("E6", "we come back with a new generation, stock asks", ExclusiveRows::weAreReborn),
            MatrixRow.quick("E6", "stock comes back with a new generation, we ask", ExclusiveRows::stockIsReborn),
            MatrixRow.quick("E7", "stock leaves holding, we ask", ExclusiveRows::stockLeaves),
            MatrixRow.quick("E8", "stock's own lease of an older generation", ExclusiveRows::stocksOldLease),
            MatrixRow.quick("E8", "our own lease of an older generation", ExclusiveRows::ourOldLease),
            MatrixRow.quick(
                    "E9", "a generation from before the lockspace was made anew", ExclusiveRows::futureGeneration),
            MatrixRow.slow("E10", "stock joins after we died", ExclusiveRows::stockJoinsLate),
            MatrixRow.slow("E10", "we join after stock died", ExclusiveRows::weJoinLate),
            MatrixRow.quick(
                    "E11", "stock's block released, leader written by us, we ask", ExclusiveRows::releasedByFlag),
            MatrixRow.quick("E13", "we stop before the commit, stock asks", ExclusiveRows::stoppedBeforeCommit),
            MatrixRow.quick("E13b", "we stop between the phases, stock wins", ExclusiveRows::stoppedBetweenPhases),
            MatrixRow.quick("E14", "our commit lands after its time", ExclusiveRows::commitTooLate),
            MatrixRow.quick("E14", "our commit is lost", ExclusiveRows::commitLost),
            MatrixRow.quick("E15", "stock commits us between two ballots", ExclusiveRows::committedByStock));

    private ExclusiveRows() {}

    private static void weHoldStockAsks(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        us.mustAcquire(R1);
        RawLease resource = site.raw(R1);
        int ourBlock = resource.blockSector((int) us.owner().hostId());
        byte[] leader = resource.sector(0);
        byte[] block = resource.sector(ourBlock);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(resource.sector(0)).isEqualTo(leader);
        assertThat(resource.sector(ourBlock)).isEqualTo(block);
        site.saw("-243, our sectors unchanged");
    }

    private static void stockHoldsWeAsk(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        AcquireResult.HeldBy by = us.mustBeRefused(R1);
        Map<String, String> host = stock.hostLeader(STOCK_ID);
        assertThat(by.owner().hostId()).isEqualTo(STOCK_ID);
        assertThat(by.owner().generation()).hasToString(host.get("owner_generation"));
        assertThat(by.hostName()).isEqualTo(host.get("resource_name"));
        assertThat(by.status()).isEqualTo(HostStatus.LIVE);
        assertThat(by.shared()).isFalse();
        site.saw("held by %s, its name told, %s", by.owner(), by.status());
    }

    private static void handsChange(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        long lver = us.mustAcquire(R1).lease().lver();
        us.mustRelease(R1);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        assertThat(site.raw(R1).number(0, RawLease.LVER)).isEqualTo(lver + 1);
        held.release();
        us.acquireWithin(SOON, R1);
        assertThat(site.raw(R1).number(0, RawLease.LVER)).isEqualTo(lver + 2);
        site.saw("versions %d (we), %d (stock), %d (we)", lver, lver + 1, lver + 2);
    }

    private static void weDieStockAsks(Site site) {
        SanlockHost stock = site.stockMember();
        int ourId;
        try (OurHostProcess us = OurHostProcess.holding(site.leases().path(), site.newLocal(), LS, T, R1)) {
            ourId = (int) us.hostId();
            Site.awaitStatus(stock, ourId, "LIVE");
            us.kill();
        }
        int refusals = Site.acquireAtLast(stock, R1);
        long silent = site.clock.monotonicSeconds() - site.raw(LS).number(ourId - 1, RawLease.TIMESTAMP);
        assertThat(refusals).as("it looks alive to sanlock for a while").isPositive();
        assertThat(silent).as("since our last renewal").isGreaterThan(DEAD_SECONDS);
        assertThat(site.raw(R1).number(0, RawLease.OWNER_ID)).isEqualTo(STOCK_ID);
        site.saw("%d times -243, then acquired %d s after our last renewal", refusals, silent);
    }

    private static void stockDiesWeAsk(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        stock.powerOff();
        long lastRenewal = site.raw(LS).number(STOCK_ID - 1, RawLease.TIMESTAMP);
        Duration silence = takeOver(site, us, List.of(HostStatus.LIVE, HostStatus.FAIL));
        assertThat(site.clock.monotonicSeconds() - lastRenewal).isGreaterThan(DEAD_SECONDS);
        site.saw("refused as LIVE, then FAIL, acquired %.1f s after we last saw it", silence.toMillis() / 1e3);
    }

    /** Asks until granted; checks what the refusals say meanwhile. How long the owner had been silent for us. */
    private static Duration takeOver(Site site, OurHost us, List<HostStatus> told) {
        List<HostStatus> statuses = new ArrayList<>();
        List<Long> freeInMillis = new ArrayList<>();
        AtomicLong lastSightNanos = new AtomicLong();
        Eventually.await("our takeover", TAKEOVER, () -> {
            AcquireResult result = us.acquire(R1);
            if (result instanceof AcquireResult.Acquired) {
                return true;
            }
            AcquireResult.HeldBy by = (AcquireResult.HeldBy) result;
            by.silentFor().ifPresent(silent -> lastSightNanos.set(site.clock.bootNanos() - silent.toNanos()));
            by.freeIn().ifPresent(left -> freeInMillis.add(left.toMillis()));
            if (statuses.isEmpty() || statuses.get(statuses.size() - 1) != by.status()) {
                statuses.add(by.status());
            }
            return false;
        });
        Duration silence = Duration.ofNanos(site.clock.bootNanos() - lastSightNanos.get());
        assertThat(silence)
                .as("since our last sight of it")
                .isGreaterThan(Duration.ofSeconds(DEAD_SECONDS))
                .isLessThan(Duration.ofSeconds(DEAD_SECONDS + 6));
        assertThat(statuses).containsExactlyElementsOf(told);
        assertThat(freeInMillis).isSortedAccordingTo((a, b) -> Long.compare(b, a));
        return silence;
    }

    private static void weAreReborn(Site site) {
        SanlockHost stock = site.stockMember();
        reborn(site);
        long from = site.clock.bootNanos();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("stock acquires in %.1f s", site.secondsSince(from));
    }

    /** One of ours that died holding {@link Site#R1}, too long ago to go on with it, and is back under the same id. */
    private static OurHost reborn(Site site) {
        Path local = site.newLocal();
        int id;
        try (OurHostProcess process = OurHostProcess.holding(site.leases().path(), local, LS, T, R1)) {
            id = (int) process.hostId();
            process.kill();
        }
        long lastRenewal = site.raw(LS).number(id - 1, RawLease.TIMESTAMP);
        Eventually.await(
                "the membership to be older than 8 T",
                SOON,
                () -> site.clock.monotonicSeconds() > lastRenewal + 8 * T + 1);
        OurHost us = site.open(local, OptionalInt.empty());
        us.join();
        us.awaitEvent("previousLifeLost [" + R1 + "]", SOON);
        us.usersGone();
        us.awaitMember(SOON);
        assertThat(us.owner().hostId()).isEqualTo(id);
        assertThat(us.owner().generation()).isEqualTo(2);
        return us;
    }

    private static void stockIsReborn(Site site) {
        bornTwice(site);
        OurHost us = site.us();
        long from = site.clock.bootNanos();
        us.mustAcquire(R1);
        site.saw("we acquire in %.1f s", site.secondsSince(from));
    }

    /** A stock host that died holding {@link Site#R1} and is back under the same name and id, so with the next generation. */
    private static SanlockHost bornTwice(Site site) {
        site.stockFounder();
        SanlockHost first = site.stock("first", "-e", "phoenix");
        first.join(STOCK_ID);
        assertThat(first.acquire(R1).answer(SOON)).isEqualTo(HELD);
        first.powerOff();
        SanlockHost second = site.stock("second", "-e", "phoenix");
        second.join(STOCK_ID);
        assertThat(site.raw(LS).number(STOCK_ID - 1, RawLease.OWNER_GENERATION)).isEqualTo(2);
        return second;
    }

    private static void stockLeaves(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        stock.leave(STOCK_ID);
        assertThat(site.raw(R1).number(0, RawLease.TIMESTAMP))
                .as("its lease is held on disk")
                .isNotZero();
        us.mustAcquire(R1);
        site.saw("acquired at once, though the leader was not free");
    }

    private static void stocksOldLease(Site site) {
        SanlockHost stock = bornTwice(site);
        long from = site.clock.bootNanos();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("stock acquires in %.1f s", site.secondsSince(from));
    }

    private static void ourOldLease(Site site) {
        site.stockFounder();
        OurHost us = reborn(site);
        long from = site.clock.bootNanos();
        us.mustAcquire(R1);
        site.saw("we acquire in %.1f s", site.secondsSince(from));
    }

    private static void futureGeneration(Site site) {
        SanlockHost founder = site.stockFounder();
        SanlockHost stock = site.stock("owner");
        stock.join(STOCK_ID);
        stock.leave(STOCK_ID);
        stock.join(STOCK_ID);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        stock.powerOff();
        founder.initLockspace();
        SanlockHost successor = site.stock("successor");
        successor.join(STOCK_ID);
        SanlockHost other = site.stock("other");
        other.join(STOCK_ID + 1);
        OurHost us = site.us();
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);

        assertThat(us.mustBeRefused(R1).owner().generation()).isEqualTo(2);
        assertThat(other.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(successor.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        // The way out that the documents name: the id that the lease is stuck on leaves the lockspace.
        successor.leave(STOCK_ID);
        us.mustAcquire(R1);
        site.saw("-243 to all, the id itself too, while it lives; ours once it left");
    }

    private static void stockJoinsLate(Site site) {
        site.stockFounder();
        int ourId;
        try (OurHostProcess us = OurHostProcess.holding(site.leases().path(), site.newLocal(), LS, T, R1)) {
            ourId = (int) us.hostId();
            us.kill();
        }
        SanlockHost late = site.stock("late");
        // Its first sight of us is somewhere in its join.
        long joined = site.clock.bootNanos();
        late.join(STOCK_ID);
        int refusals = Site.acquireAtLast(late, R1);
        double seconds = site.secondsSince(joined);
        assertThat(seconds).isGreaterThan(DEAD_SECONDS);
        site.saw("%d times -243, acquired %.1f s after it began to join", refusals, seconds);
    }

    private static void weJoinLate(Site site) {
        SanlockHost stock = site.stockMember();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        stock.powerOff();
        OurHost us = site.us();
        Duration silence = takeOver(site, us, List.of(HostStatus.UNKNOWN, HostStatus.FAIL));
        site.saw(
                "refused as UNKNOWN, then FAIL, acquired %.1f s after our first sight of it", silence.toMillis() / 1e3);
    }

    private static void releasedByFlag(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        us.mustBeRefused(R1);
        // What would be there if one of ours had committed stock, and stock had then released.
        RawLease resource = site.raw(R1);
        resource.leader(0).number(RawLease.WRITE_ID, OUR_ID).writeSealed();
        us.mustBeRefused(R1);
        resource.setReleased(STOCK_ID);
        us.mustAcquire(R1);
        site.saw("refused until its block says released, then acquired at once");
    }

    private static void stoppedBeforeCommit(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        ByHand<PaxosAcquire.Result> acquiring = us.acquiring(R1).runUntil(HandMember.commit());
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(COMMITTED_ANOTHER);
        RawLease resource = site.raw(R1);
        assertThat(resource.number(0, RawLease.OWNER_ID)).isEqualTo(OUR_ID);
        long lver = resource.number(0, RawLease.LVER);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);

        HeldRecord held = acquired(acquiring.finish());
        assertThat(resource.number(0, RawLease.OWNER_ID)).isEqualTo(OUR_ID);
        assertThat(resource.number(0, RawLease.LVER)).isEqualTo(lver);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(us.releasing(R1, held).finish()).isInstanceOf(PaxosRelease.Result.Released.class);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw(
                "stock -245 (commits us), -243; our own commit: same owner, same version; after release stock gets it");
    }

    private static HeldRecord acquired(PaxosAcquire.Result result) {
        assertThat(result).isInstanceOf(PaxosAcquire.Result.Acquired.class);
        return ((PaxosAcquire.Result.Acquired) result).held();
    }

    private static void stoppedBetweenPhases(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        ByHand<PaxosAcquire.Result> acquiring = us.acquiring(R1).runUntil(us.phase2());
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        PaxosAcquire.Result result = acquiring.finish();
        assertThat(result).isInstanceOf(PaxosAcquire.Result.Held.class);
        assertThat(((PaxosAcquire.Result.Held) result).owner().hostId()).isEqualTo(STOCK_ID);
        assertThat(site.raw(R1).number(0, RawLease.OWNER_ID)).isEqualTo(STOCK_ID);
        site.saw("stock acquires; we lose the round and find it held by %d", STOCK_ID);
    }

    private static void commitTooLate(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        PaxosAcquire.Result result = us.acquiring(R1)
                .runUntil(HandMember.commit())
                .carryOutAndSay(HandMember.TOO_LATE)
                .finish();
        undetermined(result);
        assertThat(stock.acquire(R1).answer(SOON)).as("it did land").isEqualTo(IDLIVE);
        resolve(us);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("undetermined, stock -243; acquired again and released; stock gets it");
    }

    private static void undetermined(PaxosAcquire.Result result) {
        assertThat(result).isInstanceOf(PaxosAcquire.Result.Failed.class);
        assertThat(((PaxosAcquire.Result.Failed) result).mayHaveWon()).isTrue();
    }

    /** What the engine does with an undetermined resource. */
    private static void resolve(HandMember us) {
        HeldRecord held = acquired(us.acquiring(R1).finish());
        assertThat(us.releasing(R1, held).finish()).isInstanceOf(PaxosRelease.Result.Released.class);
    }

    private static void commitLost(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        PaxosAcquire.Result result = us.acquiring(R1)
                .runUntil(HandMember.commit())
                .dropAndSay(HandMember.TOO_LATE)
                .finish();
        undetermined(result);
        assertThat(stock.acquire(R1).answer(SOON)).as("it finds our proposal").isEqualTo(COMMITTED_ANOTHER);
        resolve(us);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("undetermined, stock -245 (commits us); acquired again and released; stock gets it");
    }

    private static void committedByStock(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        ByHand<PaxosAcquire.Result> acquiring = us.acquiring(R1).runUntil(us.phase2());
        acquiring.step().runUntil(HandMember.read());
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(COMMITTED_ANOTHER);
        byte[] leader = site.raw(R1).sector(0);
        HeldRecord held = acquired(acquiring.finish());
        assertThat(site.raw(R1).sector(0)).as("success without a write").isEqualTo(leader);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(us.releasing(R1, held).finish()).isInstanceOf(PaxosRelease.Result.Released.class);
        assertThat(site.raw(R1).sector(0)).as("the leader is stock's to write").isEqualTo(leader);
        assertThat(site.raw(R1).released(OUR_ID)).isTrue();
        // And this is E11 from the other side.
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw(
                "stock -245; we recognise it and write no leader; our release only flags; stock acquires by that flag");
    }
}
