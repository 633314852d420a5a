/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rules are written once and read by every host: what cannot be understood is never taken for the stock rules. */
class LockspaceRulesTest {
    private static final LeaseName SPACE = new LeaseName("space");
    private static final LeaseLayout BIG_SECTORS = LeaseLayout.of(4096, 0x10).orElseThrow();

    private static LockspaceRules rules(int watchdog, int maxHosts) {
        return new LockspaceRules(Duration.ofSeconds(watchdog), maxHosts);
    }

    private static Decoded<LockspaceRules> decode(LeaseLayout layout, byte[] sector) {
        byte[] area = new byte[layout.areaBytes()];
        System.arraycopy(sector, 0, area, (int) layout.noteOffset(), sector.length);
        return LockspaceRules.decode(area, layout);
    }

    private static void corrupt(Decoded<LockspaceRules> decoded, LeaseFault fault, String why) {
        assertThat(decoded).isInstanceOf(Decoded.Corrupt.class);
        assertThat(((Decoded.Corrupt<LockspaceRules>) decoded).fault()).isEqualTo(fault);
        assertThat(((Decoded.Corrupt<LockspaceRules>) decoded).why()).contains(why);
    }

    @Test
    void theirBytesAreThese() {
        byte[] sector = rules(26, 254).sector(LeaseLayout.SECTOR_512);
        ByteBuffer bytes = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        assertThat(sector).hasSize(512);
        assertThat(Arrays.copyOf(sector, 8)).containsExactly(0, 0, 0, 0, 'V', 'G', 'L', '1');
        assertThat(bytes.getInt(8)).isEqualTo(26);
        assertThat(bytes.getInt(12)).isEqualTo(254);
        assertThat(Arrays.copyOfRange(sector, 16, 508)).containsOnly(0);
        CRC32C crc = new CRC32C();
        crc.update(sector, 0, 508);
        assertThat(bytes.getInt(508)).isEqualTo((int) crc.getValue());
    }

    @ParameterizedTest
    @CsvSource({"10, 1", "26, 254", "60, 250", "59, 2000"})
    void whatWasWrittenIsRead(int watchdog, int maxHosts) {
        LeaseLayout layout = maxHosts > 250 ? LeaseLayout.SECTOR_512 : BIG_SECTORS;
        byte[] sector = rules(watchdog, maxHosts).sector(layout);
        assertThat(sector).hasSize(layout.sectorBytes());
        assertThat(decode(layout, sector)).isEqualTo(new Decoded.Valid<>(rules(watchdog, maxHosts)));
    }

    @Test
    void nothingThereMeansTheStockRules() {
        assertThat(decode(BIG_SECTORS, new byte[4096])).isEqualTo(new Decoded.Valid<>(rules(60, 250)));
        assertThat(LockspaceRules.stock(LeaseLayout.SECTOR_512)).isEqualTo(rules(60, 2000));
    }

    @ParameterizedTest
    @CsvSource({"9, 254", "61, 254", "-1, 254", "26, 0", "26, -1", "26, 2001"})
    void rulesOutOfRangeAreNotUnderstood(int watchdog, int maxHosts) {
        byte[] sector = rules(watchdog, maxHosts).sector(LeaseLayout.SECTOR_512);
        corrupt(
                decode(LeaseLayout.SECTOR_512, sector),
                LeaseFault.VERSION,
                "watchdog " + watchdog + " s, " + maxHosts + " hosts");
    }

    @Test
    void anotherMagicOrAChangedByteIsNotUnderstood() {
        byte[] sector = rules(26, 254).sector(LeaseLayout.SECTOR_512);
        for (int i = 0; i < 512; i++) {
            sector[i] ^= 1;
            corrupt(
                    decode(LeaseLayout.SECTOR_512, sector),
                    i < 8 ? LeaseFault.VERSION : LeaseFault.CHECKSUM,
                    "offset 1048064");
            sector[i] ^= 1;
        }
    }

    @Test
    void aNewLockspaceCarriesItsRulesUnlessTheyAreTheStockOnes() {
        LeaseLayout layout = LeaseLayout.SECTOR_512;
        byte[] stock = LeaseArea.lockspace(layout, SPACE, 10, LockspaceRules.stock(layout));
        assertThat(stock).isEqualTo(LeaseArea.lockspace(layout, SPACE, 10));
        byte[] fast = LeaseArea.lockspace(layout, SPACE, 10, rules(26, 254));
        assertThat(LockspaceRules.decode(fast, layout)).isEqualTo(new Decoded.Valid<>(rules(26, 254)));
        Arrays.fill(fast, (int) layout.noteOffset(), fast.length, (byte) 0);
        assertThat(fast).isEqualTo(stock);
        assertThat(Timeouts.STOCK_WATCHDOG).isEqualTo(Duration.ofSeconds(60));
    }
}
