/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.IoJournal.Kind;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is made of a predecessor's membership, of what it may still write, and of the users that it leaves: the rules as tables. */
class RemainsTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName LS = new LeaseName("LS");
    private static final LeaseName R1 = new LeaseName("R1");
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);
    private static final Owner OWNER = new Owner(7, 3);
    private static final String NAME = "01234567-89abcdef.node-a";
    private static final Map<LeaseName, LeaseUse> USERS =
            Map.of(R1, LeaseUse.exclusive(new LeaseNote("demo", "u", "vda", "node-a", 1)));
    private static final long NOW_SECONDS = 1000;
    private static final LeaseClock CLOCK = new LeaseClock() {
        @Override
        public long monotonicSeconds() {
            return NOW_SECONDS;
        }

        @Override
        public long monotonicNanos() {
            return seconds(NOW_SECONDS);
        }

        @Override
        public long bootNanos() {
            return seconds(NOW_SECONDS);
        }

        @Override
        public long wallSeconds() {
            return 0;
        }
    };

    private static long seconds(long count) {
        return Duration.ofSeconds(count).toNanos();
    }

    private static LeaderRecord delta(UnaryOperator<LeaderRecord.Editor> change) {
        LeaderRecord.Editor editor = LeaderRecord.freeDelta(LAYOUT, LS, 10)
                .edit()
                .owner(OWNER)
                .hostName(NAME)
                .ioTimeoutSeconds(10)
                .timestamp(NOW_SECONDS - 20);
        return change.apply(editor).seal();
    }

    private static byte[] area(LeaderRecord record) {
        byte[] area = LeaseArea.lockspace(LAYOUT, LS, 10);
        System.arraycopy(
                record.sector(LAYOUT), 0, area, (int) LAYOUT.deltaOffset(OWNER.hostId()), LAYOUT.sectorBytes());
        return area;
    }

    private static LocalRecord local(Owner owner, boolean cleanStop, Map<LeaseName, LeaseUse> users) {
        return new LocalRecord("boot", "/leases", owner, NAME, 0, cleanStop, users);
    }

    private static Succession decide(LeaderRecord onDisk, LocalRecord before, Remains remains) {
        return Succession.decide(area(onDisk), LAYOUT, LS, TIMEOUTS, CLOCK, Optional.of(before), remains, false);
    }

    private static Remains remains(IoJournal.Entry... underWay) {
        return Remains.of(
                List.of(Optional.of(new IoJournal.Left(List.of(underWay), Optional.empty()))),
                LS,
                TIMEOUTS,
                Optional.of(local(OWNER, false, USERS)));
    }

    private static IoJournal.Entry write(LeaseName area, byte[] bytes) {
        return new IoJournal.Entry(Kind.WRITE, area.value(), 512, bytes);
    }

    private static IoJournal.Entry deltaWrite(UnaryOperator<LeaderRecord.Editor> change) {
        return write(LS, delta(change).sector(LAYOUT));
    }

    // ---- what may still land

    @Test
    void ofAKilledAgentWithNothingUnderWayNothingLands() {
        assertThat(remains().underWay()).isTrue();
        assertThat(remains().renewal()).isFalse();
        assertThat(remains().resources()).isEmpty();
        assertThat(remains().other()).isEmpty();
    }

    @Test
    void writesAndRemovalsOfResourcesConcernTheseOnly() {
        Remains remains = remains(write(R1, new byte[200]), new IoJournal.Entry(Kind.REMOVE, "R2", 0, new byte[0]));
        assertThat(remains.resources()).containsExactlyInAnyOrder(R1, new LeaseName("R2"));
        assertThat(remains.other()).isEmpty();
    }

    @Test
    void aRenewalOfTheSameMembershipIsKnownAsOne() {
        assertThat(remains(deltaWrite(r -> r)).renewal()).isTrue();
        assertThat(remains(deltaWrite(r -> r)).other()).isEmpty();
    }

    @Test
    void everyOtherWriteToTheLockspaceIsWaitedFor() {
        List<IoJournal.Entry> others = List.of(
                deltaWrite(r -> r.timestamp(0)),
                deltaWrite(r -> r.owner(new Owner(7, 4))),
                deltaWrite(r -> r.owner(new Owner(8, 3))),
                deltaWrite(r -> r.hostName("somebody")),
                // Its return would promise others that we are dead sooner than we are.
                deltaWrite(r -> r.ioTimeoutSeconds(5)),
                write(LS, new byte[512]),
                write(LS, new byte[0]),
                new IoJournal.Entry(Kind.REMOVE, "LS", 0, new byte[0]),
                new IoJournal.Entry(Kind.RECORD, "", 0, new byte[0]),
                new IoJournal.Entry(Kind.WRITE, "../x", 0, new byte[0]));
        assertThat(others).allSatisfy(entry -> {
            assertThat(remains(entry).renewal()).isFalse();
            assertThat(remains(entry).other()).isPresent();
            assertThat(decide(delta(r -> r), local(OWNER, false, USERS), remains(entry)))
                    .isInstanceOf(Succession.GoneFirst.class);
        });
    }

    @Test
    void aJournalThatCannotBeReadIsWaitedFor() {
        Remains remains = Remains.of(List.of(Optional.empty()), LS, TIMEOUTS, Optional.empty());
        assertThat(remains.other()).isPresent();
        assertThat(remains.underWay()).isTrue();
    }

    // ---- the decision

    @Test
    void aMembershipInTimeGoesOnWithWhatMayStillLand() {
        Remains remains = remains(write(R1, new byte[200]), deltaWrite(r -> r));
        assertThat(decide(delta(r -> r), local(OWNER, false, USERS), remains))
                .isEqualTo(new Succession.Continued(delta(r -> r), seconds(NOW_SECONDS - 20), remains));
    }

    @Test
    void oneThatIsTooOldMakesWayForItsUsersWhateverMayLand() {
        LeaderRecord old = delta(r -> r.timestamp(NOW_SECONDS - 81));
        assertThat(decide(old, local(OWNER, false, USERS), remains())).isEqualTo(new Succession.UsersFirst(USERS));
        assertThat(decide(
                        old, local(OWNER, false, USERS), remains(new IoJournal.Entry(Kind.RECORD, "", 0, new byte[0]))))
                .isEqualTo(new Succession.UsersFirst(USERS));
    }

    @Test
    void aNewMembershipWaitsUntilNothingOfTheOldOneCanLand() {
        LeaderRecord old = delta(r -> r.timestamp(NOW_SECONDS - 81));
        LocalRecord unused = local(OWNER, false, Map.of());
        assertThat(decide(old, unused, remains())).isInstanceOf(Succession.GoneFirst.class);
        assertThat(decide(old, unused, Remains.NONE)).isEqualTo(new Succession.Anew(Optional.of(7L)));
        assertThat(Succession.decide(area(old), LAYOUT, LS, TIMEOUTS, CLOCK, Optional.empty(), remains(), false))
                .isInstanceOf(Succession.GoneFirst.class);
        assertThat(Succession.decide(
                        area(old),
                        LAYOUT,
                        LS,
                        TIMEOUTS,
                        CLOCK,
                        Optional.of(local(OWNER, false, USERS)),
                        remains(),
                        true))
                .as("the users are gone, the old process is not")
                .isInstanceOf(Succession.GoneFirst.class);
    }

    // ---- a local record that lies

    @Test
    void aRecordOfAnotherOwnerProvesNothingAndItsUsersGoFirst() {
        assertThat(decide(delta(r -> r), local(new Owner(7, 2), false, USERS), Remains.NONE))
                .isEqualTo(new Succession.UsersFirst(USERS));
        assertThat(decide(delta(r -> r), local(new Owner(9, 3), false, USERS), Remains.NONE))
                .isEqualTo(new Succession.UsersFirst(USERS));
        assertThat(decide(delta(r -> r), local(new Owner(-1, 3), false, Map.of()), Remains.NONE))
                .isEqualTo(new Succession.Anew(Optional.empty()));
    }

    @ParameterizedTest
    @ValueSource(longs = {Long.MIN_VALUE, -1_000_000_000_000L, Long.MAX_VALUE})
    void aRecordOfImpossibleTimesContinuesNothingThatIsTooOld(long suspendedNanos) {
        LocalRecord record = new LocalRecord("boot", "/leases", OWNER, NAME, suspendedNanos, false, USERS);
        assertThat(decide(delta(r -> r.timestamp(NOW_SECONDS - 81)), record, Remains.NONE))
                .isEqualTo(new Succession.UsersFirst(USERS));
        assertThat(decide(delta(r -> r.timestamp(NOW_SECONDS + 5)), record, Remains.NONE))
                .as("a renewal in the future")
                .isEqualTo(new Succession.UsersFirst(USERS));
    }

    // ---- until when its users may live

    private static boolean due(LocalRecord before, Optional<IoJournal.Renewal> renewal, long atSeconds) {
        return Inheritance.of(Optional.of(before), renewal, TIMEOUTS, seconds(NOW_SECONDS))
                .isDue(seconds(atSeconds));
    }

    private static Optional<IoJournal.Renewal> renewal(int ioTimeout, long atSeconds) {
        return Optional.of(new IoJournal.Renewal(7, 3, ioTimeout, seconds(atSeconds)));
    }

    @Test
    void theirTimeCountsFromTheLastRenewalThatWasNoted() {
        LocalRecord killed = local(OWNER, false, USERS);
        assertThat(due(killed, renewal(10, NOW_SECONDS - 20), NOW_SECONDS + 59)).isFalse();
        assertThat(due(killed, renewal(10, NOW_SECONDS - 20), NOW_SECONDS + 60)).isTrue();
        assertThat(due(killed, renewal(10, NOW_SECONDS - 81), NOW_SECONDS)).isTrue();
    }

    @Test
    void theShorterOfTwoIoTimeoutsCounts() {
        LocalRecord killed = local(OWNER, false, USERS);
        assertThat(due(killed, renewal(5, NOW_SECONDS - 20), NOW_SECONDS + 20)).isTrue();
        assertThat(due(killed, renewal(30, NOW_SECONDS - 20), NOW_SECONDS + 60)).isTrue();
    }

    @Test
    void whenItIsNotKnownTheStorageHasTheTimeOfOneIoToTell() {
        LocalRecord killed = local(OWNER, false, USERS);
        for (Optional<IoJournal.Renewal> none : List.of(
                Optional.<IoJournal.Renewal>empty(), renewal(10, NOW_SECONDS + 1), renewal(0, NOW_SECONDS - 1))) {
            assertThat(due(killed, none, NOW_SECONDS + 9)).isFalse();
            assertThat(due(killed, none, NOW_SECONDS + 10)).isTrue();
        }
    }

    @Test
    void whoWasLeftRunningOnPurposeIsStoppedOnlyIfSomebodyWasThereInTime() {
        LocalRecord stopped = local(OWNER, true, USERS);
        assertThat(due(stopped, renewal(10, NOW_SECONDS - 20), NOW_SECONDS + 60))
                .isTrue();
        assertThat(due(stopped, renewal(10, NOW_SECONDS - 81), NOW_SECONDS + 60))
                .isFalse();
    }

    @Test
    void withoutUsersNothingIsDue() {
        assertThat(due(local(OWNER, false, Map.of()), renewal(10, 0), NOW_SECONDS))
                .isFalse();
        assertThat(Inheritance.none().isDue(Long.MAX_VALUE)).isFalse();
    }

    @Test
    void itIsSettledOrLostAndNotBoth() {
        Inheritance settled = Inheritance.of(
                Optional.of(local(OWNER, false, USERS)), Optional.empty(), TIMEOUTS, seconds(NOW_SECONDS));
        assertThat(settled.settle()).isTrue();
        assertThat(settled.settle()).isTrue();
        assertThat(settled.lose()).isFalse();
        assertThat(settled.isDue(Long.MAX_VALUE)).isFalse();

        Inheritance lost = Inheritance.of(
                Optional.of(local(OWNER, false, USERS)), Optional.empty(), TIMEOUTS, seconds(NOW_SECONDS));
        assertThat(lost.lose()).isTrue();
        assertThat(lost.lose()).isFalse();
        assertThat(lost.settle()).isFalse();
    }
}
