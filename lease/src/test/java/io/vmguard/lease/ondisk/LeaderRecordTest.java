/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every field by its name and place, what an edit leaves alone, and in which order a record is doubted. */
class LeaderRecordTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName SPACE = new LeaseName("space");
    private static final LeaseName RESOURCE = new LeaseName("res");
    private static final LeaderRecord FREE = LeaderRecord.freeResource(LAYOUT, SPACE, RESOURCE, 8);

    private static LeaderRecord held(UnaryOperator<LeaderRecord.Editor> change) {
        return change.apply(FREE.edit()
                        .owner(new Owner(3, 7))
                        .lver(5)
                        .timestamp(1000)
                        .writer(new Owner(4, 8), 1001))
                .seal();
    }

    private static ByteBuffer bytes(LeaderRecord record) {
        return ByteBuffer.wrap(record.sector(LAYOUT)).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Test
    void everyFieldHasItsPlace() {
        LeaderRecord record = held(edit -> edit.shortHold(true).ioTimeoutSeconds(17));
        ByteBuffer bytes = bytes(record);
        assertThat(bytes.getInt(0)).isEqualTo(record.magic()).isEqualTo(LeaderRecord.PAXOS_MAGIC);
        assertThat(bytes.getInt(4)).isEqualTo(record.version()).isEqualTo(0x60004);
        assertThat(bytes.getInt(8)).isEqualTo(record.flags()).isEqualTo(0x11);
        assertThat(bytes.getInt(12)).isEqualTo(record.sectorSize()).isEqualTo(512);
        assertThat(bytes.getLong(16)).isEqualTo(record.numHosts()).isEqualTo(8);
        assertThat(bytes.getLong(24)).isEqualTo(record.maxHosts()).isEqualTo(2000);
        assertThat(new Owner(bytes.getLong(32), bytes.getLong(40)))
                .isEqualTo(record.owner())
                .isEqualTo(new Owner(3, 7));
        assertThat(bytes.getLong(48)).isEqualTo(record.lver()).isEqualTo(5);
        assertThat(record.spaceName()).isEqualTo("space");
        assertThat(record.resourceName()).isEqualTo("res");
        assertThat(bytes.getLong(152)).isEqualTo(record.timestamp()).isEqualTo(1000);
        assertThat(bytes.getInt(168)).isEqualTo(record.checksum());
        assertThat(bytes.getShort(174)).isEqualTo((short) 17);
        assertThat(record.ioTimeoutSeconds()).isEqualTo(17);
        assertThat(new Owner(bytes.getLong(176), bytes.getLong(184)))
                .isEqualTo(record.writer())
                .isEqualTo(new Owner(4, 8));
        assertThat(bytes.getLong(192)).isEqualTo(record.writeTimestamp()).isEqualTo(1001);
        assertThat(record.isFree()).isFalse();
        assertThat(FREE.isFree()).isTrue();
        assertThat(record.isShortHold()).isTrue();
        assertThat(FREE.isShortHold()).isFalse();
        assertThat(record)
                .hasToString("leader magic=0x06152010 flags=0x11 owner=3/7 lver=5 name=\"res\" ts=1000 io_timeout=17 "
                        + "write=4/8/1001");
    }

    @Test
    void twoRecordsAreTheSameIfEveryByteIs() {
        LeaderRecord record = held(edit -> edit);
        assertThat(record).isEqualTo(held(edit -> edit)).hasSameHashCodeAs(held(edit -> edit));
        assertThat(record.hashCode()).isNotEqualTo(FREE.hashCode());
        assertThat(record.equals((Object) "leader")).isFalse();
        byte[] sector = record.sector(LAYOUT);
        for (int i = 0; i < LeaderRecord.BYTES; i++) {
            sector[i] ^= 1;
            assertThat(LeaderRecord.at(sector, 0)).as("byte %d", i).isNotEqualTo(record);
            sector[i] ^= 1;
        }
        sector[200] ^= 1;
        assertThat(LeaderRecord.at(sector, 0)).as("beyond the record").isEqualTo(record);
    }

    @Test
    void anEditTouchesNothingElse() {
        LeaderRecord record = held(edit -> edit.shortHold(true));
        assertThat(held(edit -> edit.shortHold(true).shortHold(false)))
                .as("other flags stay")
                .isEqualTo(held(edit -> edit));
        assertThat(record.edit().seal()).isEqualTo(record);
        LeaderRecord.Editor editor = record.edit().lver(9);
        assertThat(record.lver()).as("the record it came from").isEqualTo(5);
        LeaderRecord sealed = editor.seal();
        editor.lver(10);
        assertThat(sealed.lver()).as("a record that is sealed").isEqualTo(9);
        assertThat(record.edit().noEvent().seal().writer()).isEqualTo(new Owner(0, 0));
        assertThat(record.edit().noEvent().seal().writeTimestamp()).isZero();
        assertThat(record.edit().cleared().seal().magic()).isEqualTo(LeaderRecord.CLEARED_MAGIC);
    }

    @ParameterizedTest
    @CsvSource({"10, 10", "255, 255", "256, 0", "300, 44"})
    void aTimeoutIsOneByte(int said, int read) {
        assertThat(LeaderRecord.freeDelta(LAYOUT, SPACE, said).ioTimeoutSeconds())
                .isEqualTo(read);
        assertThat(FREE.edit().ioTimeoutSeconds(said).seal().ioTimeoutSeconds()).isEqualTo(read);
    }

    @ParameterizedTest
    @CsvSource({"3, 7, 7", "3, 8, 8", "3, 6, 7", "4, 8, 7"})
    void aLaterLifeOfTheOwnerThatWroteTheLeaderHoldsIt(long writer, long writerGeneration, long generation) {
        LeaderRecord record = held(edit -> edit.writer(new Owner(writer, writerGeneration), 1001));
        assertThat(record.holder()).isEqualTo(new Owner(3, generation));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 46, 47, 48, 60})
    void aHostNameAlwaysEndsInNul(int length) {
        LeaderRecord record = FREE.edit().hostName("n".repeat(length)).seal();
        assertThat(record.resourceName()).isEqualTo("n".repeat(Math.min(47, length)));
        assertThat(bytes(record).get(151)).isZero();
    }

    @Test
    void aShorterHostNameLeavesNothingOfALongerOne() {
        LeaderRecord record = FREE.edit().hostName("n".repeat(47)).hostName("m").seal();
        assertThat(Arrays.copyOfRange(record.sector(LAYOUT), 105, 152)).containsOnly(0);
    }

    @Test
    void aNameOfAllItsBytesNeedsNoNul() {
        LeaseName full = new LeaseName("x".repeat(48));
        LeaderRecord record = LeaderRecord.freeResource(LAYOUT, full, full, 8);
        assertThat(record.spaceName()).isEqualTo(full.value());
        assertThat(LeaderRecord.decodeResource(record.sector(LAYOUT), 0, full, full, 8))
                .isEqualTo(new Decoded.Valid<>(record));
    }

    /** One fault after the other is put right; the first that is left is the one that is named. */
    @Test
    void aResourceIsDoubtedInTheOrderOfTheFormat() {
        LeaseName other = new LeaseName("other");
        byte[] sector = LeaderRecord.freeResource(LAYOUT, other, other, 8).sector(LAYOUT);
        ByteBuffer bytes = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(4, 0x70004);
        bytes.putInt(0, LeaderRecord.CLEARED_MAGIC);
        resourceIs(sector, 9, LeaseFault.MAGIC, "deliberately removed");
        bytes.putInt(0, LeaderRecord.INDEX_MAGIC);
        resourceIs(sector, 9, LeaseFault.RESOURCE_INDEX, "resource index");
        bytes.putInt(0, LeaderRecord.DELTA_MAGIC);
        resourceIs(sector, 9, LeaseFault.MAGIC, "0x12212010 is not a resource lease");
        bytes.putInt(0, LeaderRecord.PAXOS_MAGIC);
        resourceIs(sector, 9, LeaseFault.VERSION, "major version 7");
        bytes.putInt(4, 0x60009);
        resourceIs(sector, 9, LeaseFault.LOCKSPACE, "lockspace 'other'");
        bytes.put(56, new byte[] {'s', 'p', 'a', 'c', 'e'});
        resourceIs(sector, 9, LeaseFault.RESOURCE, "lease of 'other'");
        bytes.put(104, new byte[] {'r', 'e', 's', 0, 0});
        resourceIs(sector, 9, LeaseFault.NUM_HOSTS, "made for 8 hosts");
        resourceIs(sector, 8, LeaseFault.CHECKSUM, "checksum 0x");
        byte[] sound = LeaderRecord.at(sector, 0).edit().seal().sector(LAYOUT);
        assertThat(LeaderRecord.decodeResource(sound, 0, SPACE, RESOURCE, 8)).isInstanceOf(Decoded.Valid.class);
    }

    private static void resourceIs(byte[] sector, long ownHostId, LeaseFault fault, String why) {
        isCorrupt(LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, ownHostId), fault, why);
    }

    private static void isCorrupt(Decoded<LeaderRecord> decoded, LeaseFault fault, String why) {
        assertThat(decoded).isInstanceOf(Decoded.Corrupt.class);
        assertThat(((Decoded.Corrupt<LeaderRecord>) decoded).fault()).isEqualTo(fault);
        assertThat(((Decoded.Corrupt<LeaderRecord>) decoded).why()).contains(why);
    }

    @Test
    void aDeltaLeaseIsDoubtedInTheOrderOfTheFormat() {
        byte[] area = LeaseArea.lockspace(LAYOUT, new LeaseName("other"), 10);
        ByteBuffer bytes = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(512 + 4, 0x40004);
        bytes.putInt(512, LeaderRecord.INDEX_MAGIC);
        isCorrupt(LeaderRecord.decodeDelta(area, 512, SPACE), LeaseFault.RESOURCE_INDEX, "resource index");
        bytes.putInt(512, LeaderRecord.PAXOS_MAGIC);
        isCorrupt(LeaderRecord.decodeDelta(area, 512, SPACE), LeaseFault.MAGIC, "0x06152010 is not a delta lease");
        bytes.putInt(512, LeaderRecord.DELTA_MAGIC);
        isCorrupt(LeaderRecord.decodeDelta(area, 512, SPACE), LeaseFault.VERSION, "major version 4");
        bytes.putInt(512 + 4, 0x30009);
        isCorrupt(LeaderRecord.decodeDelta(area, 512, SPACE), LeaseFault.LOCKSPACE, "lockspace 'other'");
        bytes.put(512 + 56, new byte[] {'s', 'p', 'a', 'c', 'e'});
        isCorrupt(LeaderRecord.decodeDelta(area, 512, SPACE), LeaseFault.CHECKSUM, "computed 0x");
    }

    @ParameterizedTest
    @CsvSource({
        "40, false",
        "43, false",
        "44, false",
        "47, false",
        "152, false",
        "155, false",
        "156, false",
        "159, false",
        "0, false",
        "1, false",
        "2, false",
        "3, false",
        "32, true",
        "104, true",
        "174, true",
    })
    void aSlotIsUnusedWhileNobodyEverHadIt(int offset, boolean unused) {
        byte[] area = new byte[1024];
        byte[] free = LeaderRecord.freeDelta(LAYOUT, SPACE, 10).sector(LAYOUT);
        System.arraycopy(free, 0, area, 512, 512);
        assertThat(LeaderRecord.isUnusedDelta(area, 512)).isTrue();
        area[512 + offset] ^= (byte) 0x80;
        assertThat(LeaderRecord.isUnusedDelta(area, 512)).isEqualTo(unused);
    }
}
