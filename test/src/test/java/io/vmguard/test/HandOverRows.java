/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.HELD;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.STOCK_ID;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.ReceiveResult;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Rows X1 and X2, beyond the matrix: an exclusive lease goes from one of ours to another while stock hosts try to get it. */
final class HandOverRows {
    private static final int OTHER_ID = OUR_ID + 1;

    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("X1", "we hand over to and fro, two stock hosts ask all the time", HandOverRows::toAndFro),
            MatrixRow.quick("X2", "the receiver declines, stock asks all the time", HandOverRows::declined));

    private HandOverRows() {}

    private static void toAndFro(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        SanlockHost two = site.stock("two");
        two.join(STOCK_ID + 1);
        OurHost a = site.us(OUR_ID);
        OurHost b = site.us(OTHER_ID);
        Site.awaitStatus(stock, OTHER_ID, "LIVE");
        a.mustAcquire(R1);
        Running asking = stock.spawnRace(R1, 0, "stop");
        Running alsoAsking = two.spawnRace(R1, 0, "stop");
        awaitFirstAnswer(asking);
        awaitFirstAnswer(alsoAsking);
        int times = 20;
        for (int i = 0; i < times; i++) {
            OurHost giver = i % 2 == 0 ? a : b;
            OurHost receiver = i % 2 == 0 ? b : a;
            // Who has just given it away learns that it was confirmed when it looks next, within T.
            Eventually.await(
                    "the receiver to be prepared",
                    SOON,
                    () -> receiver.prepareToReceive(R1, giver.owner()) instanceof ReceiveResult.Prepared);
            assertThat(giver.handOver(R1, receiver.owner())).isInstanceOf(HandOverResult.Given.class);
            assertThat(site.raw(R1).number(0, RawLease.OWNER_ID))
                    .isEqualTo(receiver.owner().hostId());
            assertThat(receiver.confirmReceived(R1)).isInstanceOf(ReceiveResult.Confirmed.class);
        }
        assertThat(ownerInDump(stock)).isEqualTo(OUR_ID);
        assertThat(b.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
        Map<String, Long> told = answers(site, asking, alsoAsking);
        assertThat(told.keySet()).as("what the stock hosts were told").containsExactly("EX -243");
        a.mustRelease(R1);
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(HELD);
        site.saw("%d hand-overs, stock told %s, dump shows the new owner", times, told);
    }

    private static void awaitFirstAnswer(Running asking) {
        Eventually.await("a stock host that asks", SOON, () -> !asking.stdout().isEmpty());
    }

    /** Ends those that ask, and says what they were told. */
    private static Map<String, Long> answers(Site site, Running... asking) throws IOException {
        Files.createFile(site.leases().resolve("stop"));
        return java.util.Arrays.stream(asking)
                .flatMap(racer -> racer.awaitEnd(SOON).mustSucceed().stdout().lines())
                .collect(Collectors.groupingBy(line -> line, TreeMap::new, Collectors.counting()));
    }

    /** The column {@code own} of the leader's line. */
    private static int ownerInDump(SanlockHost stock) {
        String leader = stock.dump(R1).stdout().lines().skip(1).findFirst().orElseThrow();
        String[] words = leader.strip().split("\\s+");
        assertThat(words).contains(LS, R1);
        return Integer.parseInt(words[4]);
    }

    private static void declined(Site site) throws IOException {
        SanlockHost stock = site.stockMember();
        OurHost a = site.us(OUR_ID);
        OurHost b = site.us(OTHER_ID);
        Site.awaitStatus(stock, OTHER_ID, "LIVE");
        a.mustAcquire(R1);
        Running asking = stock.spawnRace(R1, 0, "stop");
        awaitFirstAnswer(asking);
        int times = 5;
        for (int i = 0; i < times; i++) {
            assertThat(b.prepareToReceive(R1, a.owner())).isInstanceOf(ReceiveResult.Prepared.class);
            assertThat(a.handOver(R1, b.owner())).isInstanceOf(HandOverResult.Given.class);
            assertThat(a.takeBack(R1)).as("while the receiver may hold it").isInstanceOf(AcquireResult.HeldBy.class);
            b.decline(R1);
            Eventually.await("it to be ours again", SOON, () -> a.takeBack(R1) instanceof AcquireResult.Acquired);
            assertThat(site.raw(R1).number(0, RawLease.OWNER_ID)).isEqualTo(OUR_ID);
        }
        Map<String, Long> told = answers(site, asking);
        assertThat(told.keySet()).containsExactly("EX -243");
        site.saw("%d times given and taken back, stock told %s", times, told);
    }
}
