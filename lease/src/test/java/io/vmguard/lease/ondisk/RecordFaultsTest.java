/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** One changed bit of a record is noticed, each fault is named, and what nobody reads is ignored. */
class RecordFaultsTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName SPACE = new LeaseName("space");
    private static final LeaseName RESOURCE = new LeaseName("resource");

    @Test
    void everySingleBitOfTheCoveredBytesCounts() {
        byte[] sector = LeaderRecord.freeResource(LAYOUT, SPACE, RESOURCE, 2000).sector(LAYOUT);
        for (int bit = 0; bit < 168 * 8; bit++) {
            sector[bit / 8] ^= (byte) (1 << bit % 8);
            boolean minorVersion = bit / 8 >= 4 && bit / 8 < 6;
            assertThat(LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, 1))
                    .as("bit %d, minor version: %s", bit, minorVersion)
                    .isInstanceOf(Decoded.Corrupt.class);
            sector[bit / 8] ^= (byte) (1 << bit % 8);
        }
    }

    @Test
    void eachFaultIsNamed() {
        byte[] sector = LeaderRecord.freeResource(LAYOUT, SPACE, RESOURCE, 8).sector(LAYOUT);
        assertThat(fault(LeaderRecord.decodeResource(sector, 0, new LeaseName("other"), RESOURCE, 1)))
                .contains(LeaseFault.LOCKSPACE);
        assertThat(fault(LeaderRecord.decodeResource(sector, 0, SPACE, new LeaseName("other"), 1)))
                .contains(LeaseFault.RESOURCE);
        assertThat(fault(LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, 9)))
                .contains(LeaseFault.NUM_HOSTS);
        assertThat(fault(LeaderRecord.decodeDelta(sector, 0, SPACE))).contains(LeaseFault.MAGIC);
        assertThat(fault(LeaderRecord.decodeResource(new byte[512], 0, SPACE, RESOURCE, 1)))
                .contains(LeaseFault.MAGIC);
        sector[6] = 9;
        assertThat(fault(LeaderRecord.decodeResource(sector, 0, SPACE, RESOURCE, 1)))
                .contains(LeaseFault.VERSION);
    }

    private static Optional<LeaseFault> fault(Decoded<?> decoded) {
        return decoded instanceof Decoded.Corrupt<?> corrupt ? Optional.of(corrupt.fault()) : Optional.empty();
    }

    @Test
    void junkInBytesThatNobodyReadsIsIgnored() {
        byte[] sector = DiskBlock.entering(7, 3).sector(LAYOUT);
        for (int i = 56; i < 512; i++) {
            boolean mode = (i >= 128 && i < 132) || (i >= 136 && i < 144);
            if (!mode) {
                sector[i] = (byte) 0xAA;
            }
        }
        Decoded<DiskBlock> decoded = DiskBlock.decode(sector, 0);
        assertThat(decoded).isEqualTo(new Decoded.Valid<>(DiskBlock.entering(7, 3)));
    }

    @Test
    void aNoteSpeaksOnlyForTheHoldItWasWrittenFor() {
        LeaseNote note =
                new LeaseNote("demo1", "11111111-1111-1111-1111-111111111111", "vda (rbd:rbd/vm1)", "node-a", 99);
        byte[] sector = NoteSector.encode(LAYOUT, note, new Owner(3, 7), 42);
        assertThat(sector).hasSize(512).startsWith(0, 0, 0, 0);
        assertThat(NoteSector.decode(sector, 0, new Owner(3, 7), 42)).contains(note);
        assertThat(NoteSector.decode(sector, 0, new Owner(3, 8), 42)).isEmpty();
        assertThat(NoteSector.decode(sector, 0, new Owner(3, 7), 43)).isEmpty();
    }

    @Test
    void aNoteOfAnyLengthFitsItsSector() {
        String longText = "ü".repeat(400);
        LeaseNote note = new LeaseNote(longText, longText, longText, longText, 1);
        byte[] sector = NoteSector.encode(LAYOUT, note, new Owner(1, 1), 1);
        Optional<LeaseNote> read = NoteSector.decode(sector, 0, new Owner(1, 1), 1);
        assertThat(read).isPresent();
        assertThat(read.get().domainName()).isEqualTo("ü".repeat(60));
    }

    @Test
    void offsetsAreThoseOfTheFormat() {
        assertThat(LAYOUT.diskBlockOffset(1)).isEqualTo(1024);
        assertThat(LAYOUT.diskBlockOffset(2)).isEqualTo(1536);
        assertThat(LAYOUT.noteOffset()).isEqualTo(2047 * 512);
        assertThat(LAYOUT.ballotBytes(2000)).isEqualTo(1 << 20);
        assertThat(LAYOUT.ballotBytes(8)).isEqualTo(8192);
        assertThat(LAYOUT.ballotBytes(254)).isEqualTo(256 * 512);
        assertThat(LeaseLayout.of(4096, 0x10).orElseThrow().diskBlockOffset(1)).isEqualTo(8192);
    }
}
