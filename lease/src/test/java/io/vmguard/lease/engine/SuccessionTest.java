/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A process of this boot comes up and finds what its predecessor left. Host 3 of generation 7 renewed at second 1000 of the monotonic
 * clock, when the boot clock was 50 s ahead of it; a look at the clocks is so many seconds later.
 */
class SuccessionTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName SPACE = new LeaseName("space");
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);
    private static final Owner ME = new Owner(3, 7);
    private static final String NAME = HostName.of("0123abcd", "4567ef89", Timeouts.STOCK_WATCHDOG, "node-a");
    private static final long SUSPENDED = Duration.ofSeconds(50).toNanos();
    private static final Map<LeaseName, LeaseUse> USERS =
            Map.of(new LeaseName("r"), LeaseUse.exclusive(new LeaseNote("demo1", "u", "vda", "node-a", 1)));

    private final byte[] area = LeaseArea.lockspace(LAYOUT, SPACE, 10);
    private LocalRecord before = new LocalRecord("boot", "/leases", ME, NAME, SUSPENDED, false, USERS);
    private long slept;

    SuccessionTest() {
        renewed(record -> record);
    }

    private LeaderRecord renewed(UnaryOperator<LeaderRecord.Editor> change) {
        LeaderRecord record = change.apply(LeaderRecord.freeDelta(LAYOUT, SPACE, 10)
                        .edit()
                        .owner(ME)
                        .hostName(NAME)
                        .timestamp(1000))
                .seal();
        System.arraycopy(record.sector(LAYOUT), 0, area, (int) LAYOUT.deltaOffset(3), 512);
        return record;
    }

    private Succession after(Duration sinceRenewal) {
        return decide(sinceRenewal, TIMEOUTS, false);
    }

    private Succession decide(Duration sinceRenewal, Timeouts timeouts, boolean usersGone) {
        long monotonic = Duration.ofSeconds(1000).plus(sinceRenewal).toNanos();
        return Succession.decide(
                area,
                LAYOUT,
                SPACE,
                timeouts,
                new Clocks(monotonic, monotonic + SUSPENDED + slept),
                Optional.of(before),
                Remains.NONE,
                usersGone);
    }

    /** Two clocks that stand still. */
    private record Clocks(long monotonicNanos, long bootNanos) implements LeaseClock {
        @Override
        public long monotonicSeconds() {
            return monotonicNanos / 1_000_000_000;
        }

        @Override
        public long wallSeconds() {
            throw new AssertionError("a lease does not hang on the wall clock");
        }
    }

    private static void usersFirst(Succession succession) {
        assertThat(succession).isEqualTo(new Succession.UsersFirst(USERS));
    }

    @Test
    void aMembershipThatIsInTimeGoesOnFromItsLastRenewal() {
        LeaderRecord onDisk = renewed(record -> record);
        assertThat(after(Duration.ofSeconds(30)))
                .isEqualTo(new Succession.Continued(
                        onDisk, Duration.ofSeconds(1050).toNanos(), Remains.NONE));
    }

    @Test
    void itIsInTimeUntilEightTimesTAndNotALittleLonger() {
        assertThat(after(Duration.ofSeconds(80).minusNanos(1))).isInstanceOf(Succession.Continued.class);
        usersFirst(after(Duration.ofSeconds(80)));
        assertThat(after(Duration.ZERO)).isInstanceOf(Succession.Continued.class);
        usersFirst(after(Duration.ofNanos(-1)));
    }

    /** Others grant what stands on the disk; we promised what was configured. The shorter of the two binds. */
    @ParameterizedTest
    @CsvSource({"5, 10, 39, true", "5, 10, 40, false", "10, 5, 39, true", "10, 5, 40, false"})
    void theShorterOfTheTwoTimesCounts(int onDisk, int configured, int seconds, boolean goesOn) {
        renewed(record -> record.ioTimeoutSeconds(onDisk));
        Succession succession = decide(Duration.ofSeconds(seconds), Timeouts.ofSeconds(configured), false);
        assertThat(succession instanceof Succession.Continued).isEqualTo(goesOn);
    }

    @Test
    void aRecordWithoutATimeoutProvesNothing() {
        renewed(record -> record.ioTimeoutSeconds(0));
        usersFirst(after(Duration.ofSeconds(1)));
    }

    /** The timestamp does not know of it. */
    @Test
    void timeAsleepSinceTheRenewalCounts() {
        LeaderRecord onDisk = renewed(record -> record);
        slept = Duration.ofSeconds(79).minusNanos(1).toNanos();
        assertThat(after(Duration.ofSeconds(1)))
                .isEqualTo(new Succession.Continued(
                        onDisk, Duration.ofSeconds(1050).toNanos(), Remains.NONE));
        slept++;
        usersFirst(after(Duration.ofSeconds(1)));
    }

    @Test
    void aRecordThatSaysTheMachineHasSleptForLongerThanItHasProvesNothing() {
        slept = -1;
        usersFirst(after(Duration.ofSeconds(1)));
    }

    @Test
    void aPredecessorThatLivedByAnotherWatchdogConstantIsNotContinued() {
        Timeouts faster = new Timeouts(Duration.ofSeconds(10), Duration.ofSeconds(10));
        usersFirst(decide(Duration.ofSeconds(1), faster, false));
    }

    @ParameterizedTest
    @ValueSource(strings = {"free", "generation", "id", "name", "torn"})
    void aRecordThatIsNotTheOneLeftBehindEndsTheMembershipAndItsIdIsNotOurs(String difference) {
        switch (difference) {
            case "free" -> renewed(record -> record.timestamp(0));
            case "generation" -> renewed(record -> record.owner(new Owner(3, 8)));
            case "id" -> renewed(record -> record.owner(new Owner(4, 7)));
            case "name" -> renewed(record -> record.hostName("0123abcd-00000000.node-a"));
            default -> area[(int) LAYOUT.deltaOffset(3) + 60] ^= 1;
        }
        usersFirst(after(Duration.ofSeconds(1)));
        assertThat(decide(Duration.ofSeconds(1), TIMEOUTS, true)).isEqualTo(new Succession.Anew(Optional.empty()));
    }

    @Test
    void anImpossibleIdInTheLocalRecordIsNobodys() {
        before = new LocalRecord("boot", "/leases", new Owner(2001, 7), NAME, SUSPENDED, false, Map.of());
        assertThat(after(Duration.ofSeconds(1))).isEqualTo(new Succession.Anew(Optional.empty()));
    }

    @Test
    void withoutAPredecessorItBeginsAnew() {
        assertThat(Succession.decide(
                        area, LAYOUT, SPACE, TIMEOUTS, new Clocks(1, 1), Optional.empty(), Remains.NONE, false))
                .isEqualTo(new Succession.Anew(Optional.empty()));
    }

    /** Under the same generation whatever the earlier users held would be held still. */
    @Test
    void whoseUsersAreProvedGoneBeginsAnewEvenInTimeAndMayTakeItsOwnIdAtOnce() {
        assertThat(decide(Duration.ofSeconds(1), TIMEOUTS, true)).isEqualTo(new Succession.Anew(Optional.of(3L)));
    }

    @Test
    void aLostMembershipThatHadNoUsersBeginsAnewWithItsOwnId() {
        before = new LocalRecord("boot", "/leases", ME, NAME, SUSPENDED, false, Map.of());
        assertThat(after(Duration.ofSeconds(80))).isEqualTo(new Succession.Anew(Optional.of(3L)));
    }

    @Test
    void aPredecessorThatWasStoppedOnRequestLeftItsUsersOnPurpose() {
        before = before.withCleanStop();
        assertThat(after(Duration.ofSeconds(80))).isEqualTo(new Succession.Anew(Optional.of(3L)));
        assertThat(after(Duration.ofSeconds(79))).isInstanceOf(Succession.Continued.class);
    }
}
