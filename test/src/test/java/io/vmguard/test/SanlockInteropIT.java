/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Our engine and the stock sanlock daemon on the same lease files: each reads what the other writes, and a resource has one owner,
 * whoever asks, holds, leaves or dies.
 *
 * <p>Our engine runs in this process (and where it must die, in another), sanlock in containers, all on one directory with direct I/O.
 * The I/O timeout is 1 s, the least that the format knows, so a dead host may be robbed after 8 x 1 + 60 = 68 s, counted from the last
 * change that the robber saw of it: that bound is the real one and is checked on both sides. The tests share nothing and overlap.
 */
@NeedsTestImage
@Execution(ExecutionMode.CONCURRENT)
class SanlockInteropIT {
    private static final String LS = "LS";
    private static final String R1 = "R1";
    private static final int T = 1;
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(T);
    /** 8 T + 60 s. */
    private static final long DEAD_SECONDS = TIMEOUTS.hostDead().toSeconds();

    /** For answers that need no waiting but for a loaded machine. */
    private static final Duration SOON = Duration.ofSeconds(10);
    /** A takeover: the dead time, a renewal interval until the last sighting, and room for polling and load. */
    private static final Duration TAKEOVER = TIMEOUTS.hostDead().plusSeconds(20);

    /** Of an owner at its own mark in the race: some milliseconds. */
    private static final int LOOKS = 200;

    private static final int STOCK_ID = 77;
    private static final int SECTOR = 512;

    @TempDir
    Path local;

    private final LinuxClock clock = new LinuxClock();

    // ---- format

    @Test
    void ourFilesAreByteForByteWhatSanlockInitialises() throws IOException {
        try (SharedDir ours = SharedDir.create("ours");
                SharedDir theirs = SharedDir.create("theirs");
                SanlockHost stock = SanlockHost.start("stock", theirs, LS, T)) {
            stock.initLockspace();
            stock.initResource(R1);
            try (OurHost us = OurHost.member(ours.path(), local, LS, T)) {
                us.mustAcquire(R1);
                us.mustRelease(R1);
                int id = (int) us.owner().hostId();

                // Since it was made, a host may have written its own delta lease ...
                assertThat(sectors(ours.resolve(LS), id - 1)).isEqualTo(sectors(theirs.resolve(LS), id - 1));
                // ... the leader and its own disk block; the last sector has our note.
                assertThat(sectors(ours.resolve(R1), 0, id + 1, 2047))
                        .isEqualTo(sectors(theirs.resolve(R1), 0, id + 1, 2047));
            }
        }
    }

    /** The file as sectors, without those that may differ. */
    private static List<String> sectors(Path file, int... without) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        List<String> sectors = new ArrayList<>();
        for (int i = 0; i < bytes.length / SECTOR; i++) {
            int sector = i;
            if (Arrays.stream(without).noneMatch(w -> w == sector)) {
                sectors.add(i + ": " + Arrays.toString(Arrays.copyOfRange(bytes, i * SECTOR, (i + 1) * SECTOR)));
            }
        }
        return sectors;
    }

    @Test
    void sanlocksToolsReadOurFilesWithoutComplaint() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T);
                OurHost us = OurHost.member(leases.path(), local, LS, T)) {
            AcquireResult.Acquired acquired = us.mustAcquire(R1);
            String id = Long.toString(us.owner().hostId());
            awaitNote(us, leases);

            Ran lockspace = stock.dump(LS);
            assertThat(lockspace.stderr()).isEmpty();
            assertThat(entries(lockspace))
                    .singleElement()
                    .satisfies(entry -> assertThat(entry).contains(LS, us.view().hostName()));
            Ran resource = stock.dump(R1);
            assertThat(resource.stderr()).isEmpty();
            // One leader, our disk block, and no ghost where our note is.
            assertThat(entries(resource).get(0)).contains(LS, R1);
            assertThat(resource.stdout()).doesNotContain("ERROR", "invalid");
            assertThat(entries(resource)).noneMatch(entry -> entry.startsWith("000ffe00"));

            assertThat(stock.hostLeader((int) us.owner().hostId()))
                    .containsEntry("space_name", LS)
                    .containsEntry("resource_name", us.view().hostName())
                    .containsEntry("owner_id", id)
                    .containsEntry("owner_generation", "1")
                    .containsEntry("io_timeout", Integer.toString(T));
            assertThat(stock.leader(R1))
                    .containsEntry("space_name", LS)
                    .containsEntry("resource_name", R1)
                    .containsEntry("owner_id", id)
                    .containsEntry("owner_generation", "1")
                    .containsEntry("lver", Long.toString(acquired.lease().lver()))
                    .containsEntry("write_id", id);
        }
    }

    /** The note follows the answer, so it may take a moment. */
    private static void awaitNote(OurHost us, SharedDir leases) {
        Eventually.await("our note in " + R1, SOON, () -> {
            byte[] area = Files.readAllBytes(leases.resolve(R1));
            byte[] last = Arrays.copyOfRange(area, area.length - SECTOR, area.length);
            return !Arrays.equals(last, new byte[SECTOR]);
        });
        assertThat(us.view().held()).hasSize(1);
    }

    /** Lines of a dump below its heading. */
    private static List<String> entries(Ran dump) {
        return dump.stdout().lines().skip(1).toList();
    }

    // ---- exclusion between living hosts

    @Test
    void sanlockIsRefusedWhileWeHoldAndGetsItAsSoonAsWeRelease() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.initLockspace();
            stock.initResource(R1);
            stock.join(STOCK_ID);
            try (OurHost us = OurHost.member(leases.path(), local, LS, T)) {
                long lver = us.mustAcquire(R1).lease().lver();
                Map<String, String> before = stock.leader(R1);

                assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
                assertThat(stock.leader(R1)).as("a refused host writes nothing").isEqualTo(before);

                us.mustRelease(R1);
                SanlockHost.Attempt next = stock.acquire(R1);
                assertThat(next.answer(SOON)).isEqualTo(HELD);
                assertThat(stock.leader(R1))
                        .containsEntry("owner_id", Integer.toString(STOCK_ID))
                        .containsEntry("lver", Long.toString(lver + 1));
                next.release();
                assertThat(us.view().state()).hasToString("MEMBER");
            }
        }
    }

    @Test
    void weAreRefusedWhileSanlockHoldsAndToldWhoItIs() {
        try (SharedDir leases = SharedDir.create("leases");
                OurHost us = OurHost.member(leases.path(), local, LS, T);
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.join(STOCK_ID);
            us.mustAcquire(R1);
            us.mustRelease(R1);
            SanlockHost.Attempt held = stock.acquire(R1);
            assertThat(held.answer(SOON)).isEqualTo(HELD);
            awaitStatus(us, STOCK_ID, HostStatus.LIVE);

            AcquireResult.HeldBy by = us.mustBeRefused(R1);
            Map<String, String> host = stock.hostLeader(STOCK_ID);
            assertThat(by.owner().hostId()).isEqualTo(STOCK_ID);
            assertThat(by.owner().generation()).hasToString(host.get("owner_generation"));
            assertThat(by.hostName()).isEqualTo(host.get("resource_name"));
            assertThat(by.status()).isEqualTo(HostStatus.LIVE);
            assertThat(by.freeIn()).isEmpty();
            assertThat(by.shared()).isFalse();
            assertThat(by.note()).as("our note of the hold before").isEmpty();

            held.release();
            acquireWithin(SOON, us);
        }
    }

    @Test
    void bothSidesSeeEachOtherLiveAndFree() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.initLockspace();
            stock.join(STOCK_ID);
            int ourId;
            try (OurHost us = OurHost.member(leases.path(), local, LS, T)) {
                ourId = (int) us.owner().hostId();
                awaitStatus(us, STOCK_ID, HostStatus.LIVE);
                Eventually.await(
                        "sanlock to see us live",
                        SOON,
                        () -> stock.hostStatus(ourId).equals("LIVE"));
                stock.leave(STOCK_ID);
                awaitStatus(us, STOCK_ID, HostStatus.FREE);
                stock.join(STOCK_ID);
            }
            Eventually.await(
                    "sanlock to see that we left",
                    SOON,
                    () -> stock.hostStatus(ourId).equals("FREE"));
        }
    }

    private static void awaitStatus(OurHost us, int hostId, HostStatus status) {
        Eventually.await(
                "host id " + hostId + " to be " + status,
                SOON,
                () -> us.view().hosts().stream()
                        .anyMatch(host -> host.owner().hostId() == hostId && host.status() == status));
    }

    /** Asks until granted, as a caller may that knows the holder is on its way out. */
    private static void acquireWithin(Duration limit, OurHost us) {
        Eventually.await("our acquire of " + R1, limit, () -> us.acquire(R1) instanceof AcquireResult.Acquired);
    }

    @Test
    void aSharedHolderKeepsUsOutUntilItEnds() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T);
                OurHost us = OurHost.member(leases.path(), local, LS, T)) {
            stock.initResource(R1);
            stock.join(STOCK_ID);
            awaitStatus(us, STOCK_ID, HostStatus.LIVE);
            SanlockHost.Attempt shared = stock.acquireShared(R1);
            assertThat(shared.answer(SOON)).isEqualTo(HELD);

            AcquireResult.HeldBy by = us.mustBeRefused(R1);
            assertThat(by.shared()).isTrue();
            assertThat(by.owner().hostId()).isEqualTo(STOCK_ID);
            assertThat(by.hostName()).isEqualTo(stock.hostLeader(STOCK_ID).get("resource_name"));
            assertThat(stock.leader(R1)).as("our attempt gave it back").containsEntry("timestamp", "0");

            SanlockHost.Attempt another = stock.acquireShared(R1);
            assertThat(another.answer(SOON)).as("others may still share it").isEqualTo(HELD);
            another.release();
            shared.release();
            acquireWithin(SOON, us);
        }
    }

    // ---- death

    @Test
    void weTakeOverFromADeadSanlockNotBeforeItsTime() {
        try (SharedDir leases = SharedDir.create("leases");
                OurHost us = OurHost.member(leases.path(), local, LS, T);
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.join(STOCK_ID);
            stock.initResource(R1);
            assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
            awaitStatus(us, STOCK_ID, HostStatus.LIVE);
            Map<String, String> lastRecord = recordAtDeath(stock, leases);

            List<Long> freeInMillis = new ArrayList<>();
            List<HostStatus> statuses = new ArrayList<>();
            AtomicLong lastSightNanos = new AtomicLong();
            Eventually.await("our takeover", TAKEOVER, () -> {
                AcquireResult result = us.acquire(R1);
                if (result instanceof AcquireResult.Acquired) {
                    return true;
                }
                AcquireResult.HeldBy by = (AcquireResult.HeldBy) result;
                lastSightNanos.set(
                        clock.bootNanos() - by.silentFor().orElseThrow().toNanos());
                by.freeIn().ifPresent(left -> freeInMillis.add(left.toMillis()));
                if (statuses.isEmpty() || statuses.get(statuses.size() - 1) != by.status()) {
                    statuses.add(by.status());
                }
                return false;
            });
            long now = clock.monotonicSeconds();
            Duration silence = Duration.ofNanos(clock.bootNanos() - lastSightNanos.get());
            assertThat(silence)
                    .as("since our last sight of it")
                    .isGreaterThan(Duration.ofSeconds(DEAD_SECONDS))
                    .isLessThan(Duration.ofSeconds(DEAD_SECONDS + 5));
            assertThat(now - Long.parseLong(lastRecord.get("timestamp")))
                    .as("since its last renewal")
                    .isGreaterThan(DEAD_SECONDS);
            assertThat(statuses).containsExactly(HostStatus.LIVE, HostStatus.FAIL);
            assertThat(freeInMillis).isSortedAccordingTo((a, b) -> Long.compare(b, a));
            assertThat(freeInMillis.get(0)).isBetween(55_000L, 61_000L);
            assertThat(freeInMillis.get(freeInMillis.size() - 1)).isLessThan(1_000L);
        }
    }

    /** Kills the host, and says what its delta lease was at the end. */
    private static Map<String, String> recordAtDeath(SanlockHost host, SharedDir leases) {
        host.powerOff();
        try (SanlockHost reader = SanlockHost.start("reader", leases, LS, T)) {
            return reader.hostLeader(STOCK_ID);
        }
    }

    @Test
    void sanlockTakesOverFromOurDeadProcessNotBeforeItsTime() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.initLockspace();
            stock.initResource(R1);
            stock.join(STOCK_ID);
            try (OurHostProcess us = OurHostProcess.holding(leases.path(), local, LS, T, R1)) {
                int ourId = (int) us.hostId();
                Eventually.await(
                        "sanlock to see us live",
                        SOON,
                        () -> stock.hostStatus(ourId).equals("LIVE"));
                assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
                us.kill();

                int refusals = 0;
                SanlockHost.Attempt attempt = stock.acquire(R1);
                while (attempt.answer(TAKEOVER) == IDLIVE) {
                    refusals++;
                    attempt = stock.acquire(R1);
                }
                long now = clock.monotonicSeconds();
                assertThat(attempt.answer(SOON)).isEqualTo(HELD);
                assertThat(refusals).as("it looks alive to sanlock for a while").isPositive();
                long lastRenewal = Long.parseLong(stock.hostLeader(ourId).get("timestamp"));
                assertThat(now - lastRenewal).as("since our last renewal").isGreaterThan(DEAD_SECONDS);
                assertThat(stock.leader(R1)).containsEntry("owner_id", Integer.toString(STOCK_ID));
                attempt.release();
            }
        }
    }

    // ---- host ids

    @Test
    void enginesThatStartTogetherGetDifferentHostIds() {
        try (SharedDir leases = SharedDir.create("leases")) {
            List<OurHost> hosts = new ArrayList<>();
            try {
                for (int i = 0; i < 5; i++) {
                    hosts.add(OurHost.open(leases.path(), local.resolve("h" + i), LS, T, OptionalInt.empty()));
                }
                // The lockspace file does not exist yet either: they race for that first.
                hosts.forEach(OurHost::join);
                hosts.forEach(host -> host.awaitMember(Duration.ofSeconds(60)));

                assertThat(hosts).extracting(host -> host.owner().hostId()).doesNotHaveDuplicates();
                assertThat(hosts).allSatisfy(host -> assertThat(host.events).noneMatch(e -> e.startsWith("lost")));
                try (Stream<Path> files = Files.list(leases.path())) {
                    assertThat(files.map(f -> f.getFileName().toString()))
                            .as("nothing half-made is left")
                            .containsExactly(LS);
                }
                Eventually.await(
                        "each to see all",
                        SOON,
                        () -> hosts.stream()
                                .allMatch(host -> host.view().hosts().stream()
                                                .filter(view -> view.status() == HostStatus.LIVE)
                                                .map(HostView::owner)
                                                .distinct()
                                                .count()
                                        == hosts.size()));
            } catch (IOException e) {
                throw new AssertionError(e);
            } finally {
                hosts.forEach(OurHost::close);
            }
        }
    }

    @Test
    void aForcedHostIdOfALivingSanlockIsRefusedByNameAndLeftAlone() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T)) {
            stock.initLockspace();
            stock.initResource(R1);
            stock.join(STOCK_ID);
            SanlockHost.Attempt held = stock.acquire(R1);
            assertThat(held.answer(SOON)).isEqualTo(HELD);
            Map<String, String> before = stock.hostLeader(STOCK_ID);

            try (OurHost us = OurHost.open(leases.path(), local, LS, T, OptionalInt.of(STOCK_ID))) {
                us.join();
                Eventually.await("our refusal", TAKEOVER, () -> !us.events.isEmpty());

                assertThat(us.events)
                        .singleElement()
                        .satisfies(event -> assertThat(event)
                                .startsWith("joinFailed RENEW_OWNER host_id " + STOCK_ID + " is in use by ")
                                .contains(before.get("resource_name"), "another host_id, or 'auto'"));
                assertThat(us.view().detail()).contains(before.get("resource_name"));
            }
            Map<String, String> after = stock.hostLeader(STOCK_ID);
            assertThat(after.get("resource_name")).isEqualTo(before.get("resource_name"));
            assertThat(after.get("owner_generation")).isEqualTo(before.get("owner_generation"));
            assertThat(Long.parseLong(after.get("timestamp")))
                    .as("it renews")
                    .isGreaterThan(Long.parseLong(before.get("timestamp")) + DEAD_SECONDS - 5);
            assertThat(held.answer()).hasValue(HELD);
            assertThat(stock.leader(R1)).containsEntry("owner_id", Integer.toString(STOCK_ID));
            held.release();
        }
    }

    @Test
    void sanlockIsRefusedTheHostIdThatWeHave() {
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost stock = SanlockHost.start("stock", leases, LS, T);
                OurHost us = OurHost.member(leases.path(), local, LS, T)) {
            us.mustAcquire(R1);
            int ourId = (int) us.owner().hostId();

            assertThat(stock.tryJoin(ourId, TAKEOVER)).isEqualTo(SanlockHost.HOSTID_BUSY);

            assertThat(us.view().state()).hasToString("MEMBER");
            assertThat(us.events).containsExactly("joined " + ourId + "/1");
            us.mustRelease(R1);
        }
    }

    // ---- race

    /**
     * Two sanlock hosts and we take turns as fast as they can. Whoever has the lease makes a file that must not exist, looks at it for
     * a while, and removes it before the lease goes back.
     */
    @Test
    void inARaceThereIsNeverMoreThanOneOwner() throws IOException {
        int turnsOfEach = 70;
        try (SharedDir leases = SharedDir.create("leases");
                SanlockHost one = SanlockHost.start("one", leases, LS, T);
                SanlockHost two = SanlockHost.start("two", leases, LS, T);
                OurHost us = OurHost.member(leases.path(), local, LS, T)) {
            one.initResource(R1);
            one.join(STOCK_ID);
            two.join(STOCK_ID + 1);
            Files.createDirectory(leases.resolve("critical"));
            Path owner = leases.resolve("critical").resolve("owner");

            List<Running> racers =
                    Stream.of(one, two).map(host -> race(host, turnsOfEach)).toList();
            int ours = 0;
            int refused = 0;
            while (ours < turnsOfEach || racers.stream().anyMatch(r -> r.ended().isEmpty())) {
                AcquireResult result = us.acquire(R1);
                if (result instanceof AcquireResult.Acquired) {
                    ours++;
                    enterAndLeave(owner);
                    us.mustRelease(R1);
                } else {
                    assertThat(result).isInstanceOf(AcquireResult.HeldBy.class);
                    refused++;
                }
            }
            racers.forEach(racer ->
                    assertThat(racer.awaitEnd(SOON).mustSucceed().stdout()).isEqualTo("turns " + turnsOfEach + "\n"));
            assertThat(ours + 2 * turnsOfEach).isGreaterThanOrEqualTo(200);
            assertThat(refused).as("refusals of us: it must have been a race").isPositive();
            assertThat(us.events).hasSize(1);
            assertThat(owner).doesNotExist();
        }
    }

    private static void enterAndLeave(Path owner) throws IOException {
        try {
            Files.writeString(owner, "us\n", StandardOpenOption.CREATE_NEW); // O_CREAT | O_EXCL
        } catch (FileAlreadyExistsException e) {
            throw new AssertionError("two owners: we, and " + Files.readString(owner), e);
        }
        for (int look = 0; look < LOOKS; look++) {
            assertThat(owner).as("somebody else came in").hasContent("us");
        }
        Files.delete(owner);
    }

    /** Takes this many turns; a turn is an acquire that was granted. {@code set -C} makes the redirection O_EXCL. */
    private static Running race(SanlockHost host, int turns) {
        return host.spawn("sh", "-c", """
                turns=0
                while [ $turns -lt %2$d ]; do
                    said=$(sanlock client command -r %3$s -c /bin/sh -c '
                        set -C
                        cd /leases/critical
                        if ! echo %1$s >owner; then echo VIOLATION at entry; exit; fi
                        look=0
                        while [ $look -lt %4$d ]; do
                            read who <owner
                            if [ "$who" != %1$s ]; then echo VIOLATION inside; exit; fi
                            look=$((look + 1))
                        done
                        rm owner
                        echo turn' 2>&1)
                    case $said in
                        *VIOLATION*) echo "$said"; exit 3 ;;
                        *turn*) turns=$((turns + 1)) ;;
                        *"acquire done -24"[345]* | *"acquire done -11"*) ;;
                        *) echo "$said"; exit 4 ;;
                    esac
                done
                echo turns $turns
                """.formatted(host.name(), turns, host.resourceArgument(R1), LOOKS));
    }
}
