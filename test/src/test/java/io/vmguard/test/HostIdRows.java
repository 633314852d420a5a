/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.HOSTID_BUSY;
import static io.vmguard.test.Site.DEAD_SECONDS;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static io.vmguard.test.Site.T;
import static io.vmguard.test.Site.TAKEOVER;
import static io.vmguard.test.Site.TIMEOUTS;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.paxos.PaxosAcquire;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Rows H1 to H12: who may have a host id, and what an owner does when it is taken from him. H13 and H14 need storage that hangs: {@link StorageRows}. */
final class HostIdRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("H1", "stock joins a free id", HostIdRows::stockJoins),
            MatrixRow.quick("H1", "we join a free id", HostIdRows::weJoin),
            MatrixRow.quick("H2", "each sees the other", HostIdRows::eachSeesTheOther),
            MatrixRow.slow("H3", "we want the id of a live stock host", HostIdRows::weWantALiveOnesId),
            MatrixRow.slow("H4", "stock wants our id", HostIdRows::stockWantsOurId),
            MatrixRow.quick("H5", "stock joins under our id and name", HostIdRows::stockWithOurName),
            MatrixRow.quick("H6", "we are killed and come back as the same host", HostIdRows::weComeBack),
            MatrixRow.slow("H7", "we are killed and come back as another host", HostIdRows::weComeBackRenamed),
            MatrixRow.slow("H8", "we take a killed stock host's id", HostIdRows::weTakeADeadOnesId),
            MatrixRow.quick("H9", "stock overtakes our join", HostIdRows::overtaken),
            MatrixRow.slow("H9", "both join at the same moment", HostIdRows::joinTogether),
            MatrixRow.quick("H9", "five of ours start together", HostIdRows::oursStartTogether),
            MatrixRow.quick("H10", "a foreign write to our record", HostIdRows::ourRecordChanged),
            MatrixRow.quick("H10", "a foreign write to stock's record", HostIdRows::stockRecordChanged),
            MatrixRow.quick("H11", "our record zeroed", HostIdRows::ourRecordZeroed),
            MatrixRow.quick("H11", "our record corrupted", HostIdRows::ourRecordCorrupted),
            MatrixRow.quick("H12", "we leave", HostIdRows::weLeave),
            MatrixRow.quick("H12", "we leave with a lease held", HostIdRows::weLeaveHolding));

    private HostIdRows() {}

    private static void stockJoins(Site site) {
        SanlockHost stock = site.stockFounder();
        // A lockspace of ours as well: who made it makes no difference to who joins.
        for (long generation = 1; generation <= 2; generation++) {
            long from = site.clock.bootNanos();
            stock.join(STOCK_ID);
            assertThat(site.raw(LS).number(STOCK_ID - 1, RawLease.OWNER_GENERATION))
                    .isEqualTo(generation);
            site.saw("generation %d in %.1f s", generation, site.secondsSince(from));
            stock.leave(STOCK_ID);
        }
    }

    private static void weJoin(Site site) {
        site.stockFounder();
        Path local = site.newLocal();
        for (long generation = 1; generation <= 2; generation++) {
            try (OurHost us = OurHost.open(site.leases().path(), local, LS, T, OptionalInt.of(OUR_ID))) {
                long from = site.clock.bootNanos();
                us.join();
                us.awaitMember(SOON);
                double seconds = site.secondsSince(from);
                assertThat(us.owner().generation()).isEqualTo(generation);
                assertThat(seconds).as("2 T to settle").isGreaterThanOrEqualTo(2.0);
                site.saw("generation %d in %.1f s", generation, seconds);
            }
        }
    }

    private static void eachSeesTheOther(Site site) {
        SanlockHost stock = site.stockMember();
        int ourId;
        try (OurHost us = OurHost.member(site.leases().path(), site.newLocal(), LS, T)) {
            ourId = (int) us.owner().hostId();
            Set<String> statuses = new TreeSet<>();
            Eventually.await("us to see stock live", SOON, () -> {
                us.view().hosts().stream()
                        .filter(host -> host.owner().hostId() == STOCK_ID)
                        .forEach(host -> statuses.add(host.status().name()));
                return statuses.contains("LIVE");
            });
            assertThat(statuses).isSubsetOf("UNKNOWN", "LIVE");
            Site.awaitStatus(stock, ourId, "LIVE");
            stock.leave(STOCK_ID);
            Site.awaitStatus(us, STOCK_ID, HostStatus.FREE);
            stock.join(STOCK_ID);
            site.saw("we saw %s, FREE after it left", statuses);
        }
        Site.awaitStatus(stock, ourId, "FREE");
        site.saw("it saw us LIVE, then FREE");
    }

    private static void weWantALiveOnesId(Site site) {
        SanlockHost stock = site.stockMember();
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        Map<String, String> before = stock.hostLeader(STOCK_ID);

        OurHost us = site.open(site.newLocal(), OptionalInt.of(STOCK_ID));
        long from = site.clock.bootNanos();
        us.join();
        String said = us.awaitEvent("joinFailed", TAKEOVER);
        double seconds = site.secondsSince(from);
        assertThat(seconds).isGreaterThan(DEAD_SECONDS);
        assertThat(said).contains(LeaseFault.HOST_ID_BUSY.name(), before.get("resource_name"), "another host_id");

        Map<String, String> after = stock.hostLeader(STOCK_ID);
        assertThat(after.get("resource_name")).isEqualTo(before.get("resource_name"));
        assertThat(after.get("owner_generation")).isEqualTo(before.get("owner_generation"));
        assertThat(Long.parseLong(after.get("timestamp")))
                .as("it renews")
                .isGreaterThan(Long.parseLong(before.get("timestamp")) + DEAD_SECONDS - 5);
        assertThat(held.answer()).hasValue(HELD);
        site.saw("refused after %.1f s, stock undisturbed", seconds);
    }

    private static void stockWantsOurId(Site site) {
        SanlockHost stock = site.stockFounder();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        long from = site.clock.bootNanos();
        assertThat(stock.tryJoin(OUR_ID, TAKEOVER)).isEqualTo(HOSTID_BUSY);
        double seconds = site.secondsSince(from);
        assertThat(us.events).containsExactly("joined " + OUR_ID + "/1");
        us.mustRelease(R1);
        site.saw("-262 after %.1f s, we undisturbed", seconds);
    }

    private static void stockWithOurName(Site site) {
        site.stockFounder();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        SanlockHost twin = site.stock("twin", "-e", us.view().hostName());
        long from = site.clock.bootNanos();
        assertThat(twin.tryJoin(OUR_ID, SOON)).isZero();
        double joined = site.secondsSince(from);
        String lost = us.awaitEvent("lost", SOON);
        assertThat(lost).contains(LeaseFault.RENEW_OWNER.name());
        assertThat(us.member()).isFalse();
        site.saw("stock in after %.1f s; we stopped %.1f s after it began (-260)", joined, site.secondsSince(from));
    }

    private static void weComeBack(Site site) {
        site.stockFounder();
        Path local = site.newLocal();
        try (OurHostProcess process = OurHostProcess.holding(site.leases().path(), local, LS, T, R1)) {
            process.kill();
        }
        long from = site.clock.bootNanos();
        long hostId;
        try (OurHost us = OurHost.open(site.leases().path(), local, LS, T, OptionalInt.empty())) {
            us.join();
            us.awaitMember(SOON);
            hostId = us.owner().hostId();
            assertThat(us.owner().generation()).isEqualTo(1);
            assertThat(us.events).containsExactly("resumed " + us.owner());
            site.saw("within 8 T: the same generation in %.1f s", site.secondsSince(from));
        }
        // It left with the lease held, so the id was not freed; and now it is too old to be continued: its user must be
        // gone.
        RawLease lockspace = site.raw(LS);
        long lastRenewal = lockspace.number((int) hostId - 1, RawLease.TIMESTAMP);
        Eventually.await(
                "the membership to be older than 8 T",
                SOON,
                () -> site.clock.monotonicSeconds()
                        > lastRenewal + TIMEOUTS.renewalFailed().toSeconds() + 1);
        OurHost us = site.open(local, OptionalInt.empty());
        from = site.clock.bootNanos();
        us.join();
        us.awaitEvent("previousLifeLost [" + R1 + "]", SOON);
        us.usersGone();
        us.awaitMember(SOON);
        assertThat(us.owner().hostId()).isEqualTo(hostId);
        assertThat(us.owner().generation()).isEqualTo(2);
        us.mustAcquire(R1);
        site.saw("later: generation 2 in %.1f s", site.secondsSince(from));
    }

    private static void weComeBackRenamed(Site site) {
        site.stockFounder();
        int id;
        try (OurHostProcess process = OurHostProcess.holding(site.leases().path(), site.newLocal(), LS, T, R1)) {
            id = (int) process.hostId();
            process.kill();
        }
        long lastRenewal = site.raw(LS).number(id - 1, RawLease.TIMESTAMP);
        long from = site.clock.bootNanos();
        OurHost us = site.open(site.newLocal(), OptionalInt.of(id));
        us.join();
        us.awaitMember(TAKEOVER);
        assertThat(us.owner().generation()).isEqualTo(2);
        assertThat(site.clock.monotonicSeconds() - lastRenewal).isGreaterThan(DEAD_SECONDS + 2 * T);
        us.mustAcquire(R1);
        site.saw("generation 2 after %.1f s", site.secondsSince(from));
    }

    private static void weTakeADeadOnesId(Site site) {
        SanlockHost stock = site.stockMember();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        stock.powerOff();
        long lastRenewal = site.raw(LS).number(STOCK_ID - 1, RawLease.TIMESTAMP);
        long from = site.clock.bootNanos();
        OurHost us = site.open(site.newLocal(), OptionalInt.of(STOCK_ID));
        us.join();
        us.awaitMember(TAKEOVER);
        assertThat(us.owner().generation()).isEqualTo(2);
        assertThat(site.clock.monotonicSeconds() - lastRenewal).isGreaterThan(DEAD_SECONDS + 2 * T);
        us.mustAcquire(R1);
        site.saw("generation 2 after %.1f s, its lease ours at once", site.secondsSince(from));
    }

    private static void overtaken(Site site) {
        SanlockHost stock = site.stockFounder();
        RawLease lockspace = site.raw(LS);
        // Stock reads "free", claims and waits 2 T. We, who read "free" as well, must not have waited too long
        // to claim: then the last one to claim owns the id, and the other one finds out.
        ByHand<DeltaJoin.Result> ours = HandMember.joining(site.leases(), site.geometry(), LS, T, STOCK_ID, "us");
        ours.runUntil(step -> step instanceof io.vmguard.lease.step.Step.Write<DeltaJoin.Result>);
        Running theirs = stock.spawn(
                "sanlock",
                "client",
                "add_lockspace",
                "-o",
                Integer.toString(T),
                "-s",
                stock.lockspaceArgument(STOCK_ID));
        Eventually.await("stock's claim", SOON, () -> lockspace.number(STOCK_ID - 1, RawLease.TIMESTAMP) != 0);
        DeltaJoin.Result result = ours.finish();
        String answer = theirs.awaitEnd(SOON).output();
        boolean weWon = result instanceof DeltaJoin.Result.Joined;
        assertThat(answer).contains(weWon ? "done " + HOSTID_BUSY : "done 0");
        site.saw("claims overlap: %s", weWon ? "ours, stock -262" : "stock's, we are told it is busy");
    }

    private static void joinTogether(Site site) {
        SanlockHost stock = site.stockFounder();
        OurHost us = site.open(site.newLocal(), OptionalInt.of(STOCK_ID));
        Running theirs = stock.spawn(
                "sanlock",
                "client",
                "add_lockspace",
                "-o",
                Integer.toString(T),
                "-s",
                stock.lockspaceArgument(STOCK_ID));
        us.join();
        String answer = theirs.awaitEnd(TAKEOVER).output();
        if (answer.contains("done 0")) {
            us.awaitEvent("joinFailed HOST_ID_BUSY", TAKEOVER);
            assertThat(us.member()).isFalse();
            site.saw("stock's; we are told it is busy");
        } else {
            assertThat(answer).contains("done " + HOSTID_BUSY);
            us.awaitMember(SOON);
            site.saw("ours; stock -262");
        }
    }

    private static void oursStartTogether(Site site) throws IOException {
        List<OurHost> hosts = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            hosts.add(site.open(site.newLocal(), OptionalInt.empty()));
        }
        // The lockspace file does not exist yet either: they race for that first.
        hosts.forEach(OurHost::join);
        hosts.forEach(host -> host.awaitMember(Duration.ofSeconds(60)));
        assertThat(hosts).extracting(host -> host.owner().hostId()).doesNotHaveDuplicates();
        assertThat(hosts).allSatisfy(host -> assertThat(host.events).noneMatch(e -> e.startsWith("lost")));
        try (Stream<Path> files = Files.list(site.leases().path())) {
            assertThat(files.map(f -> f.getFileName().toString()))
                    .as("nothing half-made is left")
                    .containsExactly(LS);
        }
        SanlockHost stock = site.stock("stock");
        stock.join(STOCK_ID);
        hosts.forEach(host -> Site.awaitStatus(stock, (int) host.owner().hostId(), "LIVE"));
        for (OurHost host : hosts) {
            hosts.forEach(other -> Site.awaitStatus(host, (int) other.owner().hostId(), HostStatus.LIVE));
            Site.awaitStatus(host, STOCK_ID, HostStatus.LIVE);
        }
        site.saw("one lockspace, five ids, each live for all and for stock");
    }

    private static void ourRecordChanged(Site site) {
        site.stockFounder();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        long from = site.clock.bootNanos();
        String lost = lostAfter(us, () -> changeRecord(site, OUR_ID));
        assertThat(lost).contains(LeaseFault.RENEW_DIFF.name());
        assertThat(us.member()).isFalse();
        site.saw("-261 after %.1f s", site.secondsSince(from));
    }

    private static void stockRecordChanged(Site site) {
        SanlockHost stock = site.stockMember();
        SanlockHost.Attempt held = stock.acquire(R1);
        assertThat(held.answer(SOON)).isEqualTo(HELD);
        long from = site.clock.bootNanos();
        Eventually.await("stock to kill the user of its lease", SOON, () -> {
            changeRecord(site, STOCK_ID);
            return held.ended();
        });
        site.saw("its user killed after %.1f s", site.secondsSince(from));
    }

    private static void ourRecordZeroed(Site site) {
        damaged(
                site,
                LeaseFault.MAGIC,
                record -> record.write(
                        site.geometry().layout().deltaOffset(OUR_ID),
                        new byte[site.geometry().sectorBytes()]));
    }

    private static void ourRecordCorrupted(Site site) {
        damaged(
                site,
                LeaseFault.CHECKSUM,
                record -> record.leader(OUR_ID - 1).number(RawLease.LVER, 99).writeUnsealed());
    }

    private static void damaged(Site site, LeaseFault expected, java.util.function.Consumer<RawLease> damage) {
        site.stockFounder();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        long from = site.clock.bootNanos();
        String lost = lostAfter(us, () -> damage.accept(site.raw(LS)));
        assertThat(lost).contains(expected.name());
        assertThat(us.member()).isFalse();
        site.saw("%d after %.1f s", expected.code(), site.secondsSince(from));
    }

    private static void changeRecord(Site site, int hostId) {
        site.raw(LS).leader(hostId - 1).number(RawLease.WRITE_ID, 5).writeSealed();
    }

    /** Done over and over: a renewal that has just looked at its record writes over what was done to it since. */
    private static String lostAfter(OurHost us, Runnable damage) {
        return Eventually.get("our engine to lose its membership", SOON, () -> {
            damage.run();
            return us.events.stream().filter(e -> e.startsWith("lost")).findFirst();
        });
    }

    private static void weLeave(Site site) {
        SanlockHost stock = site.stockMember();
        OurHost us = site.us(OUR_ID);
        us.mustAcquire(R1);
        us.mustRelease(R1);
        Site.awaitStatus(stock, OUR_ID, "LIVE");
        us.close();
        Site.awaitStatus(stock, OUR_ID, "FREE");
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("FREE for stock, which acquires at once");
    }

    private static void weLeaveHolding(Site site) {
        SanlockHost stock = site.stockMember();
        HandMember us = site.handMember(OUR_ID);
        assertThat(us.acquiring(R1).finish()).isInstanceOf(PaxosAcquire.Result.Acquired.class);
        us.leave();
        long from = site.clock.bootNanos();
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("stock acquires in %.1f s", site.secondsSince(from));
    }
}
