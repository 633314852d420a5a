/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whatever bytes lie in a sector, a decoder answers "sound", "blank" or "corrupt, because", and never throws; what it found sound it
 * writes so that it reads the same.
 *
 * <p>Every input is tried as it is and once more with its checksum put right, for no fuzzer finds a checksum by luck. The build runs
 * the sectors that real daemons wrote and those that were news once; {@code make fuzz} looks for more.
 */
class DecodersFuzzTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    /** The names in the vectors. */
    private static final LeaseName SPACE = new LeaseName("__LIBVIRT__DISKS__");

    private static final LeaseName RESOURCE = new LeaseName("9ba8f0215a51a6dc0aa077c427b749c8");

    // ---- leader records

    @MethodSource("sectors")
    @FuzzTest
    void aDeltaLeaseIsSoundOrCorruptForAReason(byte[] bytes) {
        for (byte[] sector : asItIsAndSealed(bytes)) {
            Decoded<LeaderRecord> decoded = LeaderRecord.decodeDelta(sector, 0, SPACE);
            assertReason(
                    decoded,
                    EnumSet.of(
                            LeaseFault.RESOURCE_INDEX,
                            LeaseFault.MAGIC,
                            LeaseFault.VERSION,
                            LeaseFault.LOCKSPACE,
                            LeaseFault.CHECKSUM));
            if (decoded instanceof Decoded.Valid<LeaderRecord> valid) {
                assertKept(sector, valid.value());
                assertThat(LeaderRecord.decodeDelta(valid.value().sector(LAYOUT), 0, SPACE))
                        .isEqualTo(decoded);
            }
            assertReadable(LeaderRecord.at(sector, 0));
        }
    }

    @MethodSource("sectors")
    @FuzzTest
    void aResourceLeaseIsSoundOrCorruptForAReason(byte[] bytes) {
        for (byte[] sector : asItIsAndSealed(bytes)) {
            Decoded<LeaderRecord> decoded = LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, 3);
            assertReason(
                    decoded,
                    EnumSet.of(
                            LeaseFault.RESOURCE_INDEX,
                            LeaseFault.MAGIC,
                            LeaseFault.VERSION,
                            LeaseFault.LOCKSPACE,
                            LeaseFault.RESOURCE,
                            LeaseFault.NUM_HOSTS,
                            LeaseFault.CHECKSUM));
            if (decoded instanceof Decoded.Valid<LeaderRecord> valid) {
                assertKept(sector, valid.value());
                assertThat(valid.value().numHosts()).isGreaterThanOrEqualTo(3);
                assertThat(LeaderRecord.decodeResource(valid.value().sector(LAYOUT), 0, SPACE, RESOURCE, 3))
                        .isEqualTo(decoded);
            }
            assertReadable(LeaderRecord.at(sector, 0));
        }
    }

    /** An area of another kind is told from a lease by its magic alone, before anything else in it is believed. */
    @MethodSource("sectors")
    @FuzzTest
    void aResourceIndexIsAlwaysCalledOne(byte[] bytes) {
        byte[] sector = sector(bytes);
        littleEndian(sector).putInt(0, LeaderRecord.INDEX_MAGIC);
        Decoded<LeaderRecord> delta = LeaderRecord.decodeDelta(sector, 0, SPACE);
        Decoded<LeaderRecord> resource = LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, 1);
        assertReason(delta, EnumSet.of(LeaseFault.RESOURCE_INDEX));
        assertReason(resource, EnumSet.of(LeaseFault.RESOURCE_INDEX));
        assertThat(delta).isInstanceOf(Decoded.Corrupt.class);
        assertThat(resource).isInstanceOf(Decoded.Corrupt.class);
    }

    /** An edit keeps every byte that it does not name. */
    private static void assertKept(byte[] sector, LeaderRecord record) {
        assertThat(record.edit().seal()).isEqualTo(record);
        assertThat(Arrays.copyOf(record.sector(LAYOUT), LeaderRecord.BYTES))
                .isEqualTo(Arrays.copyOf(sector, LeaderRecord.BYTES));
    }

    private static void assertReadable(LeaderRecord record) {
        assertThat(record.toString()).isNotEmpty();
        assertThat(record.ioTimeoutSeconds()).isBetween(0, 255);
        assertThat(record.spaceName().length()).isLessThanOrEqualTo(LeaseName.MAX_BYTES);
        assertThat(HostName.node(record.resourceName()).length())
                .isLessThanOrEqualTo(record.resourceName().length());
        Optional<LeaseLayout> layout = LeaseLayout.of(record.sectorSize(), record.flags());
        layout.ifPresent(known -> {
            assertThat(known.sectorBytes()).isEqualTo(record.sectorSize());
            boolean implied = (record.flags() & 0xF0) == 0;
            assertThat(implied ? known.maxHosts() == 2000 : known.flag() == (record.flags() & 0xF0))
                    .isTrue();
        });
    }

    // ---- the other records

    @MethodSource("sectors")
    @FuzzTest
    void aDiskBlockIsSoundOrHasAWrongChecksum(byte[] bytes) {
        for (byte[] sector : asItIsAndSealed(bytes)) {
            Decoded<DiskBlock> decoded = DiskBlock.decode(sector, 0);
            assertReason(decoded, EnumSet.of(LeaseFault.DBLOCK_CHECKSUM));
            if (decoded instanceof Decoded.Valid<DiskBlock> valid) {
                byte[] again = valid.value().sector(LAYOUT);
                assertThat(DiskBlock.decode(again, 0)).isEqualTo(decoded);
                assertThat(Arrays.copyOf(again, 48)).isEqualTo(Arrays.copyOf(sector, 48));
            }
        }
    }

    @MethodSource("sectors")
    @FuzzTest
    void aRequestIsOneOrSaysWhyNot(byte[] bytes) {
        byte[] sector = sector(bytes);
        Decoded<RequestRecord> decoded = RequestRecord.decode(sector, 0);
        assertReason(decoded, EnumSet.of(LeaseFault.REQUEST_MAGIC, LeaseFault.REQUEST_VERSION));
        if (decoded instanceof Decoded.Valid<RequestRecord> valid) {
            assertThat(RequestRecord.decode(valid.value().sector(LAYOUT), 0)).isEqualTo(decoded);
        }
    }

    @MethodSource("sectors")
    @FuzzTest
    void exactlyTheMarkedHostsAreFoundInABitmap(byte[] bytes) {
        byte[] sector = sector(bytes);
        byte[] again = sector.clone();
        Arrays.fill(again, 256, 512, (byte) 0);
        for (long id = 1; id <= 2000; id++) {
            if (HostBitmap.isMarked(sector, 0, id)) {
                HostBitmap.mark(again, Set.of(id));
            }
        }
        // Bits beyond the highest host id mean nothing.
        Arrays.fill(sector, 256 + 250, 512, (byte) 0);
        assertThat(again).isEqualTo(sector);
    }

    // ---- our own sectors

    @MethodSource("sectors")
    @FuzzTest
    void aNoteIsSoundOrThereIsNone(byte[] bytes) {
        for (byte[] sector : asItIsAndSealed(bytes)) {
            ByteBuffer in = littleEndian(sector);
            Owner owner = new Owner(in.getLong(8), in.getLong(16));
            Optional<LeaseNote> note = NoteSector.decode(sector, 0, owner, in.getLong(24));
            note.ifPresent(sound -> assertThat(NoteSector.decode(
                            NoteSector.encode(LAYOUT, sound, owner, in.getLong(24)), 0, owner, in.getLong(24)))
                    .isEqualTo(note));
        }
    }

    @MethodSource("sectors")
    @FuzzTest
    void rulesAreSoundOrStockOrSayWhyNot(byte[] bytes) {
        for (byte[] sector : asItIsAndSealed(bytes)) {
            byte[] area = new byte[LAYOUT.areaBytes()];
            System.arraycopy(sector, 0, area, (int) LAYOUT.noteOffset(), sector.length);
            Decoded<LockspaceRules> decoded = LockspaceRules.decode(area, LAYOUT);
            assertReason(decoded, EnumSet.of(LeaseFault.VERSION, LeaseFault.CHECKSUM));
            if (decoded instanceof Decoded.Valid<LockspaceRules> valid) {
                LockspaceRules rules = valid.value();
                assertThat(rules.maxHosts()).isBetween(1, LAYOUT.maxHosts());
                assertThat(rules.watchdog()).isBetween(Timeouts.SHORTEST_WATCHDOG, Timeouts.STOCK_WATCHDOG);
                System.arraycopy(rules.sector(LAYOUT), 0, area, (int) LAYOUT.noteOffset(), LAYOUT.sectorBytes());
                assertThat(LockspaceRules.decode(area, LAYOUT)).isEqualTo(decoded);
            }
        }
    }

    /** A name on disk, one char a byte, and the same bytes as the name of a machine that gives itself one. */
    @MethodSource("names")
    @FuzzTest
    void aHostNameTellsItsConstantOrMeansTheStockOne(byte[] bytes) {
        String onDisk = new String(bytes, StandardCharsets.ISO_8859_1);
        assertThat(HostName.watchdog(onDisk)).isBetween(Duration.ofSeconds(10), Timeouts.STOCK_WATCHDOG);
        assertThat(onDisk).endsWith(HostName.node(onDisk));
        if (!HostName.isOurs(onDisk)) {
            assertThat(HostName.watchdog(onDisk)).isEqualTo(Timeouts.STOCK_WATCHDOG);
            assertThat(HostName.node(onDisk)).isEqualTo(onDisk);
        }
        String node = new String(bytes, StandardCharsets.UTF_8).replace("\0", "");
        if (!node.isEmpty() && node.codePointAt(0) != 0xFFFD) {
            Duration watchdog = Duration.ofSeconds(10 + (bytes[0] & 31));
            String given = HostName.of("0123abcd", "4567ef89", watchdog, node);
            LeaderRecord record = LeaderRecord.freeDelta(LAYOUT, SPACE, 1)
                    .edit()
                    .hostName(given)
                    .seal();
            assertThat(given.getBytes(StandardCharsets.UTF_8).length).isLessThan(LeaseName.MAX_BYTES);
            assertThat(HostName.isOurs(record.resourceName())).isTrue();
            assertThat(HostName.watchdog(record.resourceName())).isEqualTo(watchdog);
        }
    }

    // ---- inputs

    private static byte[] sector(byte[] bytes) {
        return Arrays.copyOf(bytes, LAYOUT.sectorBytes());
    }

    /** The sector, and what it would be with each kind of checksum right. */
    private static byte[][] asItIsAndSealed(byte[] bytes) {
        byte[] leader = sector(bytes);
        littleEndian(leader).putInt(168, SanlockChecksum.ofLeader(leader, 0));
        byte[] block = sector(bytes);
        littleEndian(block).putInt(48, SanlockChecksum.ofDiskBlock(block, 0));
        byte[] ours = sector(bytes);
        CRC32C crc = new CRC32C();
        crc.update(ours, 0, 508);
        littleEndian(ours).putInt(508, (int) crc.getValue());
        return new byte[][] {sector(bytes), leader, block, ours};
    }

    private static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static void assertReason(Decoded<?> decoded, Set<LeaseFault> possible) {
        if (decoded instanceof Decoded.Corrupt<?> corrupt) {
            assertThat(corrupt.fault()).isIn(possible);
            assertThat(corrupt.why()).isNotBlank();
        }
    }

    /** What real daemons wrote, what we write, nothing, and nothing but ones. */
    static Stream<byte[]> sectors() {
        byte[] ones = new byte[512];
        Arrays.fill(ones, (byte) 0xFF);
        LeaseNote note = new LeaseNote("demo1", "11111111-1111-1111-1111-111111111111", "vda (rbd:rbd/vm1)", "a", 99);
        Stream<byte[]> others = Stream.of(
                new byte[0],
                new byte[512],
                ones,
                NoteSector.encode(LAYOUT, note, new Owner(3, 7), 42),
                new LockspaceRules(Duration.ofSeconds(10), 254).sector(LAYOUT));
        return Stream.concat(Vectors.all().stream().map(vector -> Arrays.copyOf(vector.sector(), 512)), others);
    }

    static Stream<byte[]> names() {
        return Stream.of(
                        "",
                        "7f0a1c2e-99b2.node-a",
                        "0123abcd-4567ef89.node-a",
                        "0123abcd-4567ef89+10.node-a",
                        "0123abcd-4567ef89+09.node-a",
                        "0123abcd-4567ef89+60.node-a",
                        "0123abcd-4567ef89+10.",
                        "Ångström",
                        "a host\nof two lines",
                        "a rather long name of a machine, longer than a record: ü ü ü")
                .map(name -> name.getBytes(StandardCharsets.UTF_8));
    }
}
