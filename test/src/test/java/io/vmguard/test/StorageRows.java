/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.SanlockHost.IDLIVE;
import static io.vmguard.test.Site.DEAD_SECONDS;
import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.SOON;
import static io.vmguard.test.Site.TIMEOUTS;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

/** Rows H13 and H14: our storage hangs, for less and for more than the 8 T that a membership lasts. */
final class StorageRows {
    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.quick("H13", "our storage hangs for 3 T", StorageRows::hangsShort),
            MatrixRow.slow("H14", "our storage hangs for more than 8 T, holding", StorageRows::hangsLong));

    private StorageRows() {}

    private static void hangsShort(Site site) {
        SanlockHost stock = site.stockMember();
        FaultyHost us = site.closing(FaultyHost.member(site.leases(), LS, OUR_ID));
        assertThat(us.ask("acquire " + R1)).startsWith("Acquired");
        us.fault("stall");
        Eventually.await("3 T without a renewal", SOON, () -> us.renewedMillisAgo() > 3000);
        us.fault("ok");
        Eventually.await("a renewal", SOON, () -> us.renewedMillisAgo() < 1000);
        // The next one is the first that compares again what is on disk with what was written.
        long timestamp = site.raw(LS).number(OUR_ID - 1, RawLease.TIMESTAMP);
        Eventually.await("one more", SOON, () -> site.raw(LS).number(OUR_ID - 1, RawLease.TIMESTAMP) > timestamp);
        assertThat(us.ask("owner")).isEqualTo(OUR_ID + "/1");
        assertThat(us.ask("events")).doesNotContain("lost");
        assertThat(stock.acquire(R1).answer(SOON)).isEqualTo(IDLIVE);
        site.saw("member throughout; stock -243");
    }

    private static void hangsLong(Site site) {
        SanlockHost stock = site.stockMember();
        FaultyHost us = site.closing(FaultyHost.member(site.leases(), LS, OUR_ID));
        assertThat(us.ask("acquire " + R1)).startsWith("Acquired");
        us.fault("stall");
        us.awaitEvent("renewalLate", SOON);
        // Not before: a renewal that was under way when the fault came may have landed.
        long timestamp = site.raw(LS).number(OUR_ID - 1, RawLease.TIMESTAMP);
        us.awaitEvent("lost TIMED_OUT", SOON);
        long age = site.clock.monotonicSeconds() - timestamp;
        assertThat(age)
                .isBetween(
                        TIMEOUTS.renewalFailed().toSeconds(),
                        TIMEOUTS.renewalFailed().toSeconds() + 5);
        us.fault("ok");

        // Storage is back, and its users are not said to be gone: nothing may look as if this membership went on.
        int refusals = Site.acquireAtLast(stock, R1);
        long silent = site.clock.monotonicSeconds() - timestamp;
        assertThat(silent).isGreaterThan(DEAD_SECONDS);
        assertThat(site.raw(LS).number(OUR_ID - 1, RawLease.TIMESTAMP)).isEqualTo(timestamp);
        assertThat(us.ask("member")).isEqualTo("false");
        us.ask("usersGone");
        us.awaitEvent("joined " + OUR_ID + "/2", SOON);
        assertThat(us.ask("acquire " + R1)).startsWith("HeldBy");
        site.saw(
                "stopped %d s after the last renewal, none later; stock %d times -243, acquired after %d s; we came back as generation 2",
                age, refusals, silent);
    }
}
