/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.DeltaJoin.Entry;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/** A host chooses its id among those of a lockspace for 20 hosts; in every doubt a free one that was nobody's. */
class JoinPlanTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName SPACE = new LeaseName("space");
    private static final String WHERE = "/leases";

    private final byte[] area = LeaseArea.lockspace(LAYOUT, SPACE, 10);
    private final Set<Long> excluded = new HashSet<>();
    private int maxHosts = 20;
    private Optional<Long> forced = Optional.empty();
    private Optional<Long> ownThisBoot = Optional.empty();
    private Optional<RememberedHostId> remembered = Optional.empty();
    /** Which of so many; never asked for more than there are. */
    private int pick;

    private Optional<JoinPlan> choose() {
        RandomGenerator picking = new RandomGenerator() {
            @Override
            public int nextInt(int bound) {
                assertThat(bound).isPositive();
                return Math.min(pick, bound - 1);
            }

            @Override
            public long nextLong() {
                throw new AssertionError();
            }
        };
        return JoinPlan.choose(area, LAYOUT, maxHosts, SPACE, forced, ownThisBoot, remembered, excluded, picking);
    }

    private LeaderRecord taken(long id) {
        return put(id, 1000);
    }

    private LeaderRecord put(long id, long timestamp) {
        LeaderRecord record = LeaderRecord.freeDelta(LAYOUT, SPACE, 10)
                .edit()
                .owner(new Owner(id, 5))
                .hostName("host-" + id)
                .timestamp(timestamp)
                .seal();
        System.arraycopy(record.sector(LAYOUT), 0, area, (int) LAYOUT.deltaOffset(id), 512);
        return record;
    }

    private static Optional<JoinPlan> plan(long id, Entry entry) {
        return Optional.of(new JoinPlan(id, entry));
    }

    // ---- an id that the operator wants

    @Test
    void aForcedIdIsWaitedForWhoeverHasIt() {
        taken(7);
        forced = Optional.of(7L);
        assertThat(choose()).isEqualTo(plan(7, Entry.WAIT_UNTIL_DEAD));
    }

    @Test
    void aForcedIdThatIsProvedOurOwnIsTakenAccordingly() {
        forced = Optional.of(7L);
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(7)));
        ownThisBoot = Optional.of(7L);
        assertThat(choose()).isEqualTo(plan(7, Entry.OWN_THIS_BOOT));
        ownThisBoot = Optional.of(8L);
        assertThat(choose()).isEqualTo(plan(7, Entry.OWN_EARLIER_LIFE));
        remembered = Optional.empty();
        assertThat(choose()).isEqualTo(plan(7, Entry.WAIT_UNTIL_DEAD));
    }

    /** The write of a renewal hung, somebody else waited until we were dead and took the id, and then it landed over his record. */
    @Test
    void aRecordOfThisBootThatMayHaveLandedLateIsWaitedForOrLeftBehind() {
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(7)));
        put(7, 1001);
        ownThisBoot = Optional.of(7L);
        assertThat(choose()).isEqualTo(plan(1, Entry.FREE_ONLY));
        forced = Optional.of(7L);
        assertThat(choose()).isEqualTo(plan(7, Entry.WAIT_UNTIL_DEAD));
    }

    // ---- an id of an earlier life

    @Test
    void thisBootsOwnIdComesFirstUnlessItWasJustLost() {
        ownThisBoot = Optional.of(7L);
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(7)));
        assertThat(choose()).isEqualTo(plan(7, Entry.OWN_THIS_BOOT));
        excluded.add(7L);
        assertThat(choose()).isEqualTo(plan(1, Entry.FREE_ONLY));
    }

    @Test
    void theRecordWrittenLastByUsIsTakenBackAsItStands() {
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(6)));
        assertThat(choose()).isEqualTo(plan(6, Entry.OWN_EARLIER_LIFE));
    }

    @Test
    void aRecordThatWasRenewedSinceIsAClonesAndAnotherIdIsTaken() {
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(6)));
        put(6, 1001);
        assertThat(choose()).isEqualTo(plan(1, Entry.FREE_ONLY));
    }

    @Test
    void anIdThatWasGivenBackIsTakenAgainIfNobodyElseHasIt() {
        remembered = Optional.of(RememberedHostId.of(WHERE, put(6, 0)));
        assertThat(choose()).isEqualTo(plan(6, Entry.FREE_ONLY));
        remembered = Optional.of(RememberedHostId.of(WHERE, taken(9)));
        put(9, 0); // given back after the last record that was remembered
        assertThat(choose()).isEqualTo(plan(9, Entry.FREE_ONLY));
        excluded.add(9L);
        assertThat(choose()).isEqualTo(plan(1, Entry.FREE_ONLY));
    }

    @Test
    void theFirstAndTheLastIdOfALockspaceCanBeRemembered() {
        for (long id : new long[] {1, 2000}) {
            remembered = Optional.of(RememberedHostId.of(WHERE, taken(id)));
            assertThat(choose()).isEqualTo(plan(id, Entry.OWN_EARLIER_LIFE));
        }
    }

    @Test
    void anImpossibleRememberedIdIsForgotten() {
        for (long id : new long[] {0, -1, 2001}) {
            remembered = Optional.of(new RememberedHostId(id, WHERE, "00"));
            assertThat(choose()).isEqualTo(plan(1, Entry.FREE_ONLY));
        }
    }

    // ---- any free id

    @Test
    void oneOfTheEightSmallestFreeIdsIsTaken() {
        taken(1);
        taken(3);
        excluded.add(4L);
        area[(int) LAYOUT.deltaOffset(6) + 60] ^= 1; // unsound: perhaps somebody's
        Set<Long> seen = new TreeSet<>();
        for (pick = 0; pick < 20; pick++) {
            JoinPlan plan = choose().orElseThrow();
            assertThat(plan.entry()).isEqualTo(Entry.FREE_ONLY);
            seen.add(plan.hostId());
        }
        assertThat(seen).containsExactly(2L, 5L, 7L, 8L, 9L, 10L, 11L, 12L);
    }

    @Test
    void noIdBeyondThoseThatLeasesAreMadeForIsTaken() {
        maxHosts = 2;
        pick = 7;
        assertThat(choose()).isEqualTo(plan(2, Entry.FREE_ONLY));
        taken(1);
        taken(2);
        assertThat(choose()).isEmpty();
    }
}
