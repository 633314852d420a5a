/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.TIMEOUTS;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Our engine on storage that errs, hangs, and completes writes late, beside a stock host on the same files whose storage is well: what
 * it cannot know it says so, what it holds it holds until 8 T and no longer, and in the end everything is free again.
 */
@NeedsTestImage
@Execution(ExecutionMode.CONCURRENT)
@TestInstance(TestInstance.Lifecycle.PER_METHOD)
class StorageFaultsIT {
    /** Less than T, and time enough to change the fault while a write waits. */
    private static final String SLOW_WRITES = "delayw 300 " + R1;

    private Site site;
    private SanlockHost stock;
    private FaultyHost us;
    private RawLease resource;
    private RawLease lockspace;

    @BeforeEach
    void startHosts() {
        site = new Site(Geometry.SECTORS_512);
        stock = site.stockMember();
        us = site.closing(FaultyHost.member(site.leases(), LS, OUR_ID));
        resource = site.raw(R1);
        lockspace = site.raw(LS);
    }

    @AfterEach
    void stopHosts() {
        site.close();
    }

    // ---- errors

    @ParameterizedTest
    @CsvSource({
        "enospc, no space left (errno 28). Make room, true",
        "erofs, the file system is read-only (errno 30). Mount it read-write, true",
        "eio, Input/output error. Check the storage, false",
        "eiow, input/output error (errno 5). Check the storage, true"
    })
    void anErrorIsToldWithTheFileAndTheWayOut(String fault, String told, boolean writing) {
        us.fault(fault);
        String existing = us.ask("acquire " + R1);
        String fresh = us.ask("acquire NEW");
        us.fault("ok");

        assertThat(existing).startsWith("CannotTell[fault=IO").contains(FaultyHost.LEASES + "/" + R1 + ": ", told);
        assertThat(existing)
                .as("a write that failed may have landed all the same; without one nothing was proposed")
                .contains("undetermined=" + writing);
        assertThat(fresh).startsWith("CannotTell[fault=IO").contains(FaultyHost.LEASES + "/NEW: ", told);
        assertThat(site.leases().resolve("NEW")).doesNotExist();
        // What was begun is followed up first.
        Eventually.await(
                "it to be over when it is over",
                SOON,
                () -> us.ask("acquire " + R1).startsWith("Acquired"));
        Eventually.await(
                "the same for a new one", SOON, () -> us.ask("acquire NEW").startsWith("Acquired"));
        assertThat(us.ask("events")).doesNotContain("lost");
    }

    @ParameterizedTest
    @CsvSource({"eio", "eiow", "enospc", "erofs"})
    void underAnErrorThatStaysTheMembershipEndsInTime(String fault) {
        assertThat(us.ask("acquire " + R1)).startsWith("Acquired");
        us.fault(fault);
        us.awaitEvent("renewalLate", SOON);
        // Not before: a renewal that was under way when the fault came may have landed.
        long lastRenewal = lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP);
        us.awaitEvent("lost TIMED_OUT", SOON);
        long age = site.clock.monotonicSeconds() - lastRenewal;
        assertThat(age)
                .isBetween(
                        TIMEOUTS.renewalFailed().toSeconds(),
                        TIMEOUTS.renewalFailed().toSeconds() + 5);
        assertThat(us.ask("acquire " + R1)).startsWith("CannotTell[fault=NO_MEMBERSHIP");
        assertThat(lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP)).isEqualTo(lastRenewal);
    }

    // ---- writes that land late

    @Test
    void aRenewalThatLandsAfterTheLossRevivesNothing() {
        us.fault("stallw " + LS);
        long lastRenewal = lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP);
        us.awaitEvent("lost TIMED_OUT", SOON);
        us.fault("ok");
        Eventually.await(
                "the write that hung to land",
                SOON,
                () -> lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP) > lastRenewal);
        assertThat(us.ask("member")).isEqualTo("false");
        long landed = lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP);
        // To others it looks like a sign of life, and only makes them wait longer. So does this host: it may
        // have hidden the record of another one that was given this id. Then it comes back under a generation
        // that nobody can have had.
        us.ask("usersGone");
        Eventually.await(
                "a later generation",
                SOON.plusSeconds(Site.DEAD_SECONDS),
                () -> us.ask("events").matches(".*joined " + OUR_ID + "/([2-9]|[1-9][0-9]+)( .*|$)"));
        assertThat(landed).isLessThan(lastRenewal + TIMEOUTS.renewalFailed().toSeconds());
    }

    @Test
    void aCommitThatHangsAndLandsLeavesItUndeterminedUntilItIsUndone() throws Exception {
        CompletableFuture<String> answer = acquireUpToTheCommit("stallw " + R1);
        Eventually.await("the commit to hang for longer than T", SOON, () -> {
            long proposed = resource.number(resource.blockSector(OUR_ID), 32);
            return site.clock.monotonicSeconds() > proposed + 3;
        });
        long renewed = lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP);
        Eventually.await("renewals to go on", SOON, () -> lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP) > renewed);
        assertThat(answer).as("nothing is said while the write may still land").isNotDone();
        us.fault("ok");

        assertThat(answer.get()).startsWith("CannotTell[fault=TIMED_OUT").contains("undetermined=true");
        assertResolved();
    }

    @Test
    void aCommitThatIsReportedFailedAndLandsLaterLeavesItUndeterminedUntilItIsUndone() throws Exception {
        CompletableFuture<String> answer = acquireUpToTheCommit("late 400 " + R1);
        assertThat(answer.get()).startsWith("CannotTell[fault=IO").contains("undetermined=true");
        us.fault("ok");
        Eventually.await(
                "the commit to land all the same",
                SOON,
                () -> resource.number(0, RawLease.OWNER_ID) == OUR_ID && resource.number(0, RawLease.LVER) == 1);
        assertResolved();
    }

    /** An acquire that has made its proposal and waits in its commit, which this fault befalls. */
    private CompletableFuture<String> acquireUpToTheCommit(String fault) {
        us.fault(SLOW_WRITES);
        CompletableFuture<String> answer = us.askLater("acquire " + R1);
        Eventually.awaitClosely(
                "our proposal on disk", SOON, () -> resource.number(resource.blockSector(OUR_ID), 8) != 0);
        us.fault(fault);
        assertThat(resource.number(0, RawLease.LVER))
                .as("the commit is still to come")
                .isZero();
        return answer;
    }

    private void assertResolved() {
        Eventually.await("it to be resolved", SOON, () -> us.ask("undetermined").equals("[]"));
        assertThat(us.ask("held")).isEqualTo("[]");
        assertThat(us.ask("owner")).isEqualTo(OUR_ID + "/1");
        SanlockHost.Attempt[] theirs = new SanlockHost.Attempt[1];
        Eventually.await("stock to get it", SOON, () -> {
            theirs[0] = stock.acquire(R1); // -243 while our release is under way
            return theirs[0].answer(SOON) == HELD;
        });
        theirs[0].release();
        Eventually.await(
                "us to get it again", SOON, () -> us.ask("acquire " + R1).startsWith("Acquired"));
    }

    @Test
    void aReleaseThatFailsIsTriedUntilItIsDone() {
        assertThat(us.ask("acquire " + R1)).startsWith("Acquired");
        us.fault("eiow " + R1);
        assertThat(us.ask("release " + R1)).startsWith("CannotTell[fault=IO");
        assertThat(us.ask("undetermined")).isEqualTo("[" + R1 + "]");
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        us.fault("ok");
        assertResolved();
    }

    @Test
    void renewalsThatAreReportedFailedAndLandSoonCostNothing() {
        us.fault("late 300 " + LS);
        us.awaitEvent("renewalLate", SOON);
        us.fault("ok");
        us.awaitEvent("renewalRecovered", SOON);
        // The next one compares what is on disk with what was written.
        long timestamp = lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP);
        Eventually.await("one more", SOON, () -> lockspace.number(OUR_ID - 1, RawLease.TIMESTAMP) > timestamp);
        assertThat(us.ask("owner")).isEqualTo(OUR_ID + "/1");
    }

    @Test
    void aRenewalThatLandsOverANewerOneEndsTheMembership() {
        assertThat(us.ask("acquire " + R1)).startsWith("Acquired");
        us.fault("late 1500 " + LS);
        us.awaitEvent("renewalLate", SOON);
        us.fault("ok");
        us.awaitEvent("lost RENEW_DIFF", SOON);
        assertThat(us.ask("member")).isEqualTo("false");
    }

    // ---- a race on such storage

    @Test
    void inARaceOnFailingStorageNobodyMeetsAnybodyAndNothingIsLost() throws Exception {
        SanlockHost two = site.stock("two");
        two.join(Site.STOCK_ID + 1);
        try (StorageTrouble trouble = StorageTrouble.begin(us, R1)) {
            Race.Result result =
                    new Race(site, 0).run(List.of(us.racer(R1)), List.of(stock, two), 1_000, 5, Duration.ofMinutes(5));
            assertThat(result.violations()).isEmpty();
            assertThat(result.granted()).as("everybody had a turn").hasSize(3);
            System.out.println("race on failing storage: " + result + ", faults " + trouble.counts());
        }
        assertResolved();
    }
}
