/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.SanlockHost.SHARED_BY_OTHERS;
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
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosDowngrade;
import io.vmguard.lease.step.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;

/** Rows S1 to S9 and S11: shared holds beside each other, and nothing beside an exclusive one. S10 is {@link RaceRows}. */
final class SharedRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("S1", "both share", SharedRows::bothShare),
            MatrixRow.quick("S1", "two users of ours, one mark", SharedRows::usersShareAMark),
            MatrixRow.quick("S2", "we share, stock asks exclusively", SharedRows::weShareStockWantsAll),
            MatrixRow.quick("S3", "stock shares, we ask exclusively", SharedRows::stockSharesWeWantAll),
            MatrixRow.quick("S4", "we hold, stock asks to share", SharedRows::weHoldStockWantsShare),
            MatrixRow.quick("S4", "stock holds, we ask to share", SharedRows::stockHoldsWeWantShare),
            MatrixRow.slow("S5", "we die sharing, stock asks exclusively", SharedRows::weDieSharing),
            MatrixRow.slow("S6", "stock dies sharing, we ask exclusively", SharedRows::stockDiesSharing),
            MatrixRow.quick("S7", "stock comes back, its old mark, we ask exclusively", SharedRows::stocksOldMark),
            MatrixRow.quick("S7", "we come back, our old mark, stock asks exclusively", SharedRows::ourOldMark),
            MatrixRow.quick("S8", "we convert to exclusive, alone and beside stock", SharedRows::weUpgrade),
            MatrixRow.quick("S8", "stock converts to exclusive, alone and beside us", SharedRows::stockUpgrades),
            MatrixRow.quick("S8", "our mark through all writes of a conversion", SharedRows::markStays),
            MatrixRow.quick("S9", "we convert to shared", SharedRows::weDowngrade),
            MatrixRow.quick("S9", "stock converts to shared", SharedRows::stockDowngrades),
            MatrixRow.quick("S11", "both ask to share at once", SharedRows::shareTogether));

    private static final LeaseNote SECOND_USER =
            new LeaseNote("demo2", "11d2d0b5-5f5c-4c3e-8a43-3d9c2f1f0a77", "vdb (file)", "our-node", 1_700_000_001);

    private SharedRows() {}

    private static void bothShare(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        us.mustShare(R1);
        SanlockHost.Attempt theirs = share(stock);
        RawLease resource = site.raw(R1);
        assertThat(resource.marked(OUR_ID)).isTrue();
        assertThat(resource.markedGeneration(OUR_ID)).isEqualTo(1);
        assertThat(resource.marked(STOCK_ID)).isTrue();
        assertThat(resource.number(0, RawLease.TIMESTAMP))
                .as("nobody has the leader")
                .isZero();
        theirs.release();
        Eventually.await("stock's mark to go", SOON, () -> !resource.marked(STOCK_ID));
        us.mustRelease(R1);
        assertThat(resource.marked(OUR_ID)).isFalse();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("both hold, both marks on disk, both gone after release");
    }

    /** A stock hold; shared requests that meet may be refused for no good reason, and are repeated then. */
    private static SanlockHost.Attempt share(SanlockHost stock) {
        SanlockHost.Attempt[] last = new SanlockHost.Attempt[1];
        Eventually.await(stock.name() + " to share", SOON, () -> {
            last[0] = stock.acquireShared(R1);
            return last[0].answer(SOON) == HELD;
        });
        return last[0];
    }

    /**
     * Until stock has seen us. To a stock host, the mark of one that joined since its last look at the lockspace is nobody's: it wipes
     * it. {@code docs/interop.md} has more.
     */
    private static void awaitSeen(SanlockHost stock) {
        Site.awaitStatus(stock, OUR_ID, "LIVE");
    }

    private static void usersShareAMark(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        awaitSeen(stock);
        us.mustShare(R1);
        assertThat(us.acquire(R1, LeaseMode.SHARED, SECOND_USER)).isInstanceOf(AcquireResult.Acquired.class);
        us.mustRelease(R1, SECOND_USER);
        assertThat(site.raw(R1).marked(OUR_ID)).isTrue();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(SHARED_BY_OTHERS);
        us.mustRelease(R1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("stock -11 until the second one has released too");
    }

    private static void weShareStockWantsAll(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        awaitSeen(stock);
        us.mustShare(R1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(SHARED_BY_OTHERS);
        assertThat(site.raw(R1).marked(OUR_ID)).isTrue();
        assertThat(us.view().held()).hasSize(1);
        site.saw("-11, our mark unchanged");
    }

    private static void stockSharesWeWantAll(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us();
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        SanlockHost.Attempt theirs = share(stock);
        RawLease resource = site.raw(R1);
        long lver = resource.number(0, RawLease.LVER);
        AcquireResult.HeldBy by = us.mustBeRefused(R1);
        assertThat(by.shared()).isTrue();
        assertThat(by.owner().hostId()).isEqualTo(STOCK_ID);
        assertThat(by.hostName()).isEqualTo(stock.hostLeader(STOCK_ID).get("resource_name"));
        assertThat(resource.number(0, RawLease.TIMESTAMP)).isZero();
        assertThat(resource.number(0, RawLease.LVER)).isEqualTo(lver + 1);
        SanlockHost.Attempt another = stock.acquireShared(R1);
        assertThat(another.answer(SOON)).as("others may still share it").isEqualTo(HELD);
        another.release();
        theirs.release();
        us.acquireWithin(SOON, R1);
        site.saw("refused as shared by %s, leader free again, version +1; ours after its release", by.owner());
    }

    private static void weHoldStockWantsShare(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        assertThat(stock.acquireShared(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(site.raw(R1).wiped(STOCK_ID)).isTrue();
        us.mustRelease(R1);
        us.mustAcquire(R1);
        us.mustRelease(R1);
        share(stock);
        site.saw("-243, its block wiped; we release and acquire past that");
    }

    private static void stockHoldsWeWantShare(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        SanlockHost.Attempt theirs = stock.acquire(R1);
        assertThat(theirs.answer(SOON)).isEqualTo(HELD);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        AcquireResult refused = us.acquireShared(R1);
        assertThat(refused).isInstanceOf(AcquireResult.HeldBy.class);
        assertThat(((AcquireResult.HeldBy) refused).shared()).isFalse();
        theirs.release();
        us.mustShare(R1);
        site.saw("refused, held exclusively; shared after its release");
    }

    private static void weDieSharing(Site site) {
        SanlockHost stock = site.stockMember();
        int ourId;
        try (OurHostProcess us = OurHostProcess.sharing(site.leases().path(), site.newLocal(), LS, T, R1)) {
            ourId = (int) us.hostId();
            Site.awaitStatus(stock, ourId, "LIVE");
            us.kill();
        }
        int refusals = Site.acquireAtLast(stock, R1);
        long silent = site.clock.monotonicSeconds() - site.raw(LS).number(ourId - 1, RawLease.TIMESTAMP);
        assertThat(refusals).isPositive();
        assertThat(silent).isGreaterThan(DEAD_SECONDS);
        RawLease resource = site.raw(R1);
        assertThat(resource.sector(resource.blockSector(ourId)))
                .isEqualTo(new byte[site.geometry().sectorBytes()]);
        site.saw("%d times -11, acquired %d s after our last renewal, our sector zeroed", refusals, silent);
    }

    private static void stockDiesSharing(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        share(stock);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        stock.powerOff();
        RawLease resource = site.raw(R1);
        long lastRenewal = site.raw(LS).number(STOCK_ID - 1, RawLease.TIMESTAMP);
        byte[] before = resource.bytes();
        Eventually.await("our takeover", TAKEOVER, () -> us.acquire(R1) instanceof AcquireResult.Acquired);
        long silent = site.clock.monotonicSeconds() - lastRenewal;
        assertThat(silent).isGreaterThan(DEAD_SECONDS);
        us.mustRelease(R1);

        assertThat(resource.sector(resource.blockSector(STOCK_ID)))
                .isEqualTo(new byte[site.geometry().sectorBytes()]);
        int last = site.geometry().areaBytes() / site.geometry().sectorBytes() - 1;
        assertThat(changed(before, resource.bytes(), site.geometry().sectorBytes()))
                .as("leader, our block, its block, our note")
                .isSubsetOf(0, OUR_ID + 1, STOCK_ID + 1, last);
        site.saw("acquired %d s after its last renewal, exactly its sector zeroed", silent);
    }

    private static List<Integer> changed(byte[] before, byte[] after, int size) {
        return java.util.stream.IntStream.range(0, before.length / size)
                .filter(i -> !Arrays.equals(before, i * size, (i + 1) * size, after, i * size, (i + 1) * size))
                .boxed()
                .toList();
    }

    private static void stocksOldMark(Site site) {
        site.stockFounder();
        SanlockHost first = site.stock("first", "-e", "phoenix");
        first.join(STOCK_ID);
        share(first);
        first.powerOff();
        site.stock("second", "-e", "phoenix").join(STOCK_ID);
        OurHost us = site.us();
        assertThat(site.raw(R1).marked(STOCK_ID)).isTrue();
        long from = site.clock.bootNanos();
        us.acquireWithin(SOON, R1);
        site.saw("we acquire in %.1f s", site.secondsSince(from));
    }

    private static void ourOldMark(Site site) {
        SanlockHost stock = site.stockMember();
        Path local = site.newLocal();
        int id;
        try (OurHostProcess process = OurHostProcess.sharing(site.leases().path(), local, LS, T, R1)) {
            id = (int) process.hostId();
            process.kill();
        }
        long lastRenewal = site.raw(LS).number(id - 1, RawLease.TIMESTAMP);
        Eventually.await(
                "the membership to be older than 8 T",
                SOON,
                () -> site.clock.monotonicSeconds() > lastRenewal + 8 * T + 1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(SHARED_BY_OTHERS);
        OurHost us = site.open(local, OptionalInt.empty());
        us.join();
        us.awaitEvent("previousLifeLost [" + R1 + "]", SOON);
        us.usersGone();
        us.awaitMember(SOON);
        assertThat(us.owner().generation()).isEqualTo(2);
        long from = site.clock.bootNanos();
        int refusals = Site.acquireAtLast(stock, R1);
        // It goes by its own tracking, which lags by a renewal.
        assertThat(site.secondsSince(from)).isLessThan(10);
        site.saw("%d times -11, then stock acquires in %.1f s", refusals, site.secondsSince(from));
    }

    private static void weUpgrade(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        Site.awaitStatus(us, STOCK_ID, HostStatus.LIVE);
        us.mustShare(R1);
        SanlockHost.Attempt theirs = share(stock);
        AcquireResult refused = us.convert(R1, LeaseMode.EXCLUSIVE);
        assertThat(refused).isInstanceOf(AcquireResult.HeldBy.class);
        RawLease resource = site.raw(R1);
        assertThat(resource.marked(OUR_ID)).as("we keep what we had").isTrue();
        assertThat(resource.number(0, RawLease.TIMESTAMP)).isZero();
        theirs.release();
        Eventually.await(
                "our conversion", SOON, () -> us.convert(R1, LeaseMode.EXCLUSIVE) instanceof AcquireResult.Acquired);
        assertThat(resource.marked(OUR_ID)).isFalse();
        assertThat(resource.number(0, RawLease.OWNER_ID)).isEqualTo(OUR_ID);
        assertThat(stock.acquireShared(R1).answer(SOON)).isEqualTo(IDLIVE);
        site.saw("beside stock refused, still shared; alone exclusive, stock -243");
    }

    private static void stockUpgrades(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        awaitSeen(stock);
        us.mustShare(R1);
        SanlockHost.Attempt theirs = share(stock);
        int refused = theirs.convert(false);
        assertThat(refused).isEqualTo(SHARED_BY_OTHERS);
        us.mustRelease(R1);
        Eventually.await("its conversion", SOON, () -> theirs.convert(false) == 0);
        AcquireResult.HeldBy by = (AcquireResult.HeldBy) us.acquireShared(R1);
        assertThat(by.owner().hostId()).isEqualTo(STOCK_ID);
        site.saw("beside us %d, alone 0; we are refused then", refused);
    }

    private static void markStays(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        assertThat(us.sharing(R1).finish()).isInstanceOf(PaxosAcquire.Result.Acquired.class);
        ByHand<PaxosAcquire.Result> upgrading = us.upgrading(R1);
        RawLease resource = site.raw(R1);
        int writes = 0;
        int stockRefusals = 0;
        while (resource.marked(OUR_ID)) {
            boolean write = upgrading.next() instanceof Step.Write<PaxosAcquire.Result>;
            upgrading.step();
            if (write) {
                writes++;
                boolean held = resource.number(0, RawLease.TIMESTAMP) != 0;
                assertThat(resource.marked(OUR_ID) || held)
                        .as("after write " + writes)
                        .isTrue();
            }
            if (write && resource.number(0, RawLease.TIMESTAMP) != 0 && resource.marked(OUR_ID)) {
                assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
                stockRefusals++;
            }
        }
        assertThat(upgrading.finish()).isInstanceOf(PaxosAcquire.Result.Acquired.class);
        assertThat(writes).as("phase 1, phase 2, leader, block").isEqualTo(4);
        assertThat(stockRefusals).isEqualTo(1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        site.saw("marked in %d writes until the last, which is after the leader", writes);
    }

    private static void weDowngrade(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        HeldRecord held = ((PaxosAcquire.Result.Acquired) us.acquiring(R1).finish()).held();
        RawLease resource = site.raw(R1);
        long lver = resource.number(0, RawLease.LVER);
        ByHand<PaxosDowngrade.Result> downgrading = us.downgrading(R1, held).runUntil(HandMember.commit());
        assertThat(resource.marked(OUR_ID))
                .as("marked before the leader is freed")
                .isTrue();
        assertThat(resource.number(0, RawLease.TIMESTAMP)).isNotZero();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        assertThat(downgrading.finish()).isInstanceOf(PaxosDowngrade.Result.Shared.class);
        assertThat(resource.number(0, RawLease.TIMESTAMP)).isZero();
        assertThat(resource.number(0, RawLease.LVER)).isEqualTo(lver);
        share(stock);
        site.saw("mark first, then the leader freed, version unchanged; stock shares");
    }

    private static void stockDowngrades(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        SanlockHost.Attempt theirs = stock.acquire(R1);
        assertThat(theirs.answer(SOON)).isEqualTo(HELD);
        RawLease resource = site.raw(R1);
        long lver = resource.number(0, RawLease.LVER);
        assertThat(theirs.convert(true)).isZero();
        assertThat(resource.number(0, RawLease.LVER)).isEqualTo(lver);
        assertThat(resource.marked(STOCK_ID)).isTrue();
        us.mustShare(R1);
        site.saw("version unchanged; we share");
    }

    private static void shareTogether(Site site) throws IOException {
        Race.Result result = RaceRows.race(site, 100, 200, RaceRows.ANSWERS);
        site.saw("%s", result.codes());
    }
}
