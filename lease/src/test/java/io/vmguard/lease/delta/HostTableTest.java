/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import static io.vmguard.lease.delta.DeltaBench.LAYOUT;
import static io.vmguard.lease.delta.DeltaBench.SPACE;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Life and death of others by our own sightings: strictly more than their time, and never on the word of a record that is not sound. */
class HostTableTest {
    private static final long ID = 3;
    private static final long SECOND = Duration.ofSeconds(1).toNanos();

    /** 8 x 5 + 60 s of a host whose T is 5 s, and the one second more that strictly more costs. */
    private static final long DEAD = 101;

    private final DeltaBench bench = new DeltaBench();
    private final HostTable table = new HostTable(SPACE, LAYOUT, DeltaBench.TIMEOUTS);

    private HostSighting look(long second) {
        return look(second, second);
    }

    /** A read that was asked for at one second and answered at another. */
    private HostSighting look(long asked, long answered) {
        table.update(bench.area(), asked * SECOND, answered * SECOND);
        return table.of(ID).orElseThrow();
    }

    private HostStatus status(long second) {
        return table.of(ID).orElseThrow().status(second * SECOND);
    }

    private boolean mayHold(long generation) {
        return table.mayHoldShared(ID, generation);
    }

    @Test
    void anIdThatWasNeverUsedIsNotKept() {
        assertThat(table.checked()).isFalse();
        table.update(bench.area(), SECOND, SECOND);
        assertThat(table.checked()).isTrue();
        assertThat(table.of(ID)).isEmpty();
        assertThat(table.all()).isEmpty();
    }

    @Test
    void everyHostIdIsLookedAt() {
        bench.put(1, 1, "first", 5);
        bench.put(2000, 1, "last", 5);
        table.update(bench.area(), SECOND, SECOND);
        assertThat(table.all()).containsOnlyKeys(1L, 2000L);
    }

    @Test
    void theFirstSightTellsWhoItIsAndNotWhetherItLives() {
        bench.put(ID, 4, "host", 77);
        HostSighting sighting = look(100);
        assertThat(sighting)
                .isEqualTo(new HostSighting(
                        new Owner(ID, 4), "host", 77, 5, 100 * SECOND, 100 * SECOND, 100 * SECOND, false, true));
        assertThat(status(100)).isEqualTo(HostStatus.UNKNOWN);
        assertThat(status(140)).as("8 T").isEqualTo(HostStatus.UNKNOWN);
        assertThat(status(141)).isEqualTo(HostStatus.FAIL);
    }

    @ParameterizedTest
    @CsvSource({"0, LIVE", "40, LIVE", "41, FAIL", "101, FAIL", "102, DEAD"})
    void silenceMakesAHostThatWasSeenToChangeFailAndThenDead(long silent, HostStatus expected) {
        bench.put(ID, 4, "host", 77);
        look(100);
        bench.put(ID, 4, "host", 87);
        look(110);
        look(110 + silent);
        assertThat(status(110 + silent)).isEqualTo(expected);
    }

    @Test
    void deathComesStrictlyAfterItsTime() {
        bench.put(ID, 4, "host", 77);
        HostSighting sighting = look(100);
        assertThat(sighting.status((100 + DEAD) * SECOND)).isEqualTo(HostStatus.FAIL);
        assertThat(sighting.status((100 + DEAD) * SECOND + 1)).isEqualTo(HostStatus.DEAD);
        assertThat(sighting.deadIn(100 * SECOND)).isEqualTo(Duration.ofSeconds(DEAD));
        assertThat(sighting.deadIn(150 * SECOND)).isEqualTo(Duration.ofSeconds(DEAD - 50));
        assertThat(sighting.deadIn(500 * SECOND)).isZero();
        assertThat(sighting.silentFor(150 * SECOND)).isEqualTo(Duration.ofSeconds(50));
        assertThat(sighting.silentFor(50 * SECOND)).as("never negative").isZero();
        assertThat(sighting.deadNanos()).isEqualTo(DEAD * SECOND);
    }

    @Test
    void aHostLivesByTheWatchdogOfItsName() {
        bench.put(ID, 4, "0a1b2c3d-4e5f6071+20.node", 77);
        HostSighting sighting = look(100);
        assertThat(sighting.timeouts()).isEqualTo(new Timeouts(Duration.ofSeconds(5), Duration.ofSeconds(20)));
        assertThat(sighting.deadNanos()).isEqualTo(61 * SECOND);
    }

    @ParameterizedTest
    @CsvSource({"4, 78", "5, 77"})
    void anotherTimestampOrGenerationIsAChange(long generation, long timestamp) {
        bench.put(ID, 4, "host", 77);
        look(100);
        bench.put(ID, generation, "host", timestamp);
        HostSighting sighting = look(120);
        assertThat(sighting.everChanged()).isTrue();
        assertThat(sighting.lastLiveNanos()).isEqualTo(120 * SECOND);
        assertThat(sighting.firstCheckNanos()).isEqualTo(100 * SECOND);
        HostSighting later = look(130);
        assertThat(later.everChanged()).as("is remembered").isTrue();
        assertThat(later.lastLiveNanos()).isEqualTo(120 * SECOND);
        assertThat(later.lastCheckNanos()).isEqualTo(130 * SECOND);
    }

    @Test
    void theSameRecordAgainIsNoChange() {
        bench.put(ID, 4, "host", 77);
        look(100);
        HostSighting sighting = look(120);
        assertThat(sighting.everChanged()).isFalse();
        assertThat(sighting.lastLiveNanos()).isEqualTo(100 * SECOND);
    }

    @Test
    void aFreeRecordIsFreeHoweverOld() {
        bench.put(ID, 4, "host", 0);
        look(100);
        assertThat(status(100)).isEqualTo(HostStatus.FREE);
        assertThat(status(1000)).isEqualTo(HostStatus.FREE);
    }

    @Test
    void whatIsNotSoundNeverAgesAndIsNeverFree() {
        bench.put(ID, 4, "host", 0);
        look(100);
        bench.ruin(ID);
        assertThat(look(120))
                .isEqualTo(new HostSighting(
                        new Owner(ID, 4), "host", 0, 5, 100 * SECOND, 120 * SECOND, 120 * SECOND, false, false));
        assertThat(status(9000)).isEqualTo(HostStatus.UNKNOWN);
    }

    @Test
    void aRecordThatIsSoundAgainStartsItsClockAnew() {
        bench.put(ID, 4, "host", 77);
        byte[] sound = bench.record(ID).sector(LAYOUT);
        look(100);
        bench.ruin(ID);
        look(120);
        bench.put(ID, sound);
        HostSighting back = look(150);
        assertThat(back.sound()).isTrue();
        assertThat(back.everChanged()).isTrue();
        assertThat(back.lastLiveNanos()).isEqualTo(150 * SECOND);
    }

    @Test
    void aSlotFirstSeenAsRuinsIsAnybodysWithTheLongerTimeout() {
        bench.ruin(ID);
        assertThat(look(100))
                .isEqualTo(new HostSighting(
                        new Owner(ID, 0), "", -1, 10, 100 * SECOND, 100 * SECOND, 100 * SECOND, false, false));
    }

    @ParameterizedTest
    @CsvSource({"5, 10", "20, 20"})
    void aTimeoutThatWasNeverSaidIsTheLongerOfOursAndTen(int ours, int assumed) {
        bench.put(ID, edit -> edit.owner(new Owner(ID, 1)).timestamp(5).ioTimeoutSeconds(0));
        HostTable other = new HostTable(SPACE, LAYOUT, Timeouts.ofSeconds(ours));
        other.update(bench.area(), SECOND, SECOND);
        assertThat(other.of(ID).orElseThrow().ioTimeoutSeconds()).isEqualTo(assumed);
    }

    @Test
    void aChangeCountsFromTheAnswerAndSilenceOnlyUntilTheQuestion() {
        bench.put(ID, 4, "host", 77);
        HostSighting first = look(100, 105);
        assertThat(first.lastLiveNanos()).isEqualTo(105 * SECOND);
        assertThat(first.lastCheckNanos()).isEqualTo(105 * SECOND);
        HostSighting silent = look(120, 125);
        assertThat(silent.lastLiveNanos()).isEqualTo(105 * SECOND);
        assertThat(silent.lastCheckNanos()).isEqualTo(120 * SECOND);
        bench.put(ID, 4, "host", 78);
        HostSighting changed = look(140, 145);
        assertThat(changed.lastLiveNanos()).isEqualTo(145 * SECOND);
        assertThat(changed.lastCheckNanos()).isEqualTo(145 * SECOND);
    }

    @Test
    void aSharedMarkCountsUnlessItsHostIsKnownToBeGone() {
        assertThat(mayHold(4)).as("never seen").isTrue();
        bench.put(ID, 4, "host", 77);
        look(100);
        assertThat(mayHold(4)).isTrue();
        assertThat(mayHold(3)).as("an earlier life").isFalse();
        look(100 + DEAD);
        assertThat(mayHold(4)).as("not strictly more").isTrue();
        look(100 + DEAD, 100 + DEAD + 1);
        assertThat(mayHold(4)).as("not when the disk was asked").isTrue();
        look(100 + DEAD + 1);
        assertThat(mayHold(4)).as("dead").isFalse();
        assertThat(mayHold(5)).as("a life that we have not seen yet").isTrue();
        bench.put(ID, 4, "host", 0);
        look(300);
        assertThat(mayHold(4)).as("left").isFalse();
        assertThat(mayHold(5)).as("left, and came back since").isTrue();
        bench.ruin(ID);
        look(9000);
        assertThat(mayHold(4)).as("not sound").isTrue();
    }
}
