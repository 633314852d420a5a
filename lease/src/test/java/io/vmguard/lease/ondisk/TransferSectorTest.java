/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.TransferWord.Side;
import io.vmguard.lease.TransferWord.State;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TransferSectorTest {
    private static final Owner HOST = new Owner(1999, 7);

    @ParameterizedTest
    @EnumSource(State.class)
    void everyWordIsReadAsItWasWritten(State state) {
        TransferWord word = new TransferWord(HOST, Long.MIN_VALUE + 3, 77, state);
        for (LeaseLayout layout : LeaseLayout.all()) {
            byte[] sector = TransferSector.encode(layout, word);
            assertThat(sector).hasSize(layout.sectorBytes());
            assertThat(TransferSector.decode(sector, 0, state.side())).contains(word);
        }
    }

    @Test
    void aWordInThePlaceOfTheOtherSideCountsForNothing() {
        byte[] sector = encoded();
        assertThat(TransferSector.decode(sector, 0, Side.RECEIVER)).isEmpty();
    }

    @Test
    void aSectorWithAnyBitChangedHoldsNoWord() {
        byte[] sector = encoded();
        for (int bit = 0; bit < sector.length * 8; bit++) {
            sector[bit / 8] ^= (byte) (1 << bit % 8);
            assertThat(TransferSector.decode(sector, 0, Side.GIVER)).isEmpty();
            sector[bit / 8] ^= (byte) (1 << bit % 8);
        }
        assertThat(TransferSector.decode(new byte[512], 0, Side.GIVER)).isEmpty();
    }

    @Test
    void wordsStandBetweenTheLastDiskBlockAndTheNote() {
        for (LeaseLayout layout : LeaseLayout.all()) {
            long giver = layout.wordOffset(Side.GIVER);
            long receiver = layout.wordOffset(Side.RECEIVER);
            assertThat(giver)
                    .as(layout.toString())
                    .isGreaterThan(layout.diskBlockOffset(layout.maxHosts()))
                    .isEqualTo(receiver - layout.sectorBytes());
            assertThat(receiver).isEqualTo(layout.noteOffset() - layout.sectorBytes());
            assertThat(giver / layout.sectorBytes())
                    .as("not sanlock's lock value block")
                    .isNotEqualTo(2002);
        }
    }

    private static byte[] encoded() {
        return TransferSector.encode(LeaseLayout.SECTOR_512, new TransferWord(HOST, 42, 7, State.OFFERED));
    }
}
