/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The five geometries of the format, and no sixth. */
class LeaseLayoutTest {
    @ParameterizedTest
    @CsvSource({
        "512,  0x10, 1, 2000",
        "4096, 0x10, 1,  250",
        "4096, 0x20, 2,  500",
        "4096, 0x40, 4, 1000",
        "4096, 0x80, 8, 2000",
        // Before minor version 4 there were no align flags.
        "512,  0x00, 1, 2000",
        "4096, 0x00, 8, 2000",
        // Other flags do not matter.
        "512,  0x11, 1, 2000",
        "4096, 0x101, 8, 2000",
    })
    void aLeaderNamesItsGeometry(int sectorBytes, String flags, int mebibytes, int maxHosts) {
        LeaseLayout layout = LeaseLayout.of(sectorBytes, Integer.decode(flags)).orElseThrow();
        assertThat(layout.sectorBytes()).isEqualTo(sectorBytes);
        assertThat(layout.areaBytes()).isEqualTo(mebibytes << 20);
        assertThat(layout.maxHosts()).isEqualTo(maxHosts);
        assertThat(LeaseLayout.all()).hasSize(5).contains(layout);
        assertThat(layout.leaderOffset()).isZero();
        assertThat(layout.requestOffset()).isEqualTo(sectorBytes);
        assertThat(layout.noteOffset()).isEqualTo((mebibytes << 20) - sectorBytes);
        assertThat(layout.deltaOffset(1)).isZero();
        assertThat(layout.deltaOffset(maxHosts)).isEqualTo((maxHosts - 1L) * sectorBytes);
        assertThat(layout.diskBlockOffset(1)).isEqualTo(2L * sectorBytes);
        assertThat(layout.diskBlockOffset(maxHosts)).isEqualTo((maxHosts + 1L) * sectorBytes);
        assertThat(layout.ballotBytes(maxHosts)).isEqualTo(layout.areaBytes());
    }

    @ParameterizedTest
    @CsvSource({"512, 0x20", "512, 0x30", "4096, 0x30", "4096, 0xF0", "1024, 0x10", "0, 0x00", "-1, 0x80"})
    void anyOtherIsNone(int sectorBytes, String flags) {
        assertThat(LeaseLayout.of(sectorBytes, Integer.decode(flags))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"1, 4", "2, 4", "3, 8", "6, 8", "7, 16", "254, 256", "255, 512", "1022, 1024", "1023, 2048"})
    void aBallotReadsTheNextPowerOfTwoOfSectors(long numHosts, int sectors) {
        assertThat(LeaseLayout.SECTOR_512.ballotBytes(numHosts)).isEqualTo(sectors * 512);
    }

    @Test
    void aHostIdOutsideTheGeometryHasNoSector() {
        LeaseLayout layout = LeaseLayout.of(4096, 0x10).orElseThrow();
        for (long id : new long[] {-1, 0, 251}) {
            assertThatThrownBy(() -> layout.deltaOffset(id)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> layout.diskBlockOffset(id)).isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> layout.ballotBytes(id))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("1..250");
        }
    }
}
