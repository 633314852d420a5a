/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a block says in each phase of a ballot, and which bytes make it one; and the note on the holder. */
class DiskBlockTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final DiskBlock PROPOSING = DiskBlock.entering(2003, 5).proposing(3, 7, 1000);

    @Test
    void eachPhaseHasItsValues() {
        assertThat(DiskBlock.entering(2003, 5)).isEqualTo(new DiskBlock(2003, 0, 0, 0, 0, 5, false, false, 0));
        assertThat(PROPOSING).isEqualTo(new DiskBlock(2003, 2003, 3, 7, 1000, 5, false, false, 0));
        assertThat(DiskBlock.decided(2003, new Owner(3, 7), 1000, 5)).isEqualTo(PROPOSING);
        assertThat(PROPOSING.proposed()).isEqualTo(new Owner(3, 7));
        assertThat(PROPOSING.asReleased()).isEqualTo(new DiskBlock(2003, 2003, 3, 7, 1000, 5, true, false, 0));
        DiskBlock shared = PROPOSING.asShared(7);
        assertThat(shared).isEqualTo(new DiskBlock(2003, 2003, 3, 7, 1000, 5, true, true, 7));
        assertThat(shared.asReleased()).isEqualTo(PROPOSING.asReleased());
        assertThat(shared.asExclusive()).isEqualTo(PROPOSING);
        DiskBlock entering = DiskBlock.entering(4003, 6).keepingMark(7);
        assertThat(entering).isEqualTo(new DiskBlock(4003, 0, 0, 0, 0, 6, false, true, 7));
        assertThat(entering.proposing(3, 7, 1001))
                .as("the mark stays through a ballot")
                .isEqualTo(new DiskBlock(4003, 4003, 3, 7, 1001, 6, false, true, 7));
        assertThat(PROPOSING.asReleased().keepingMark(8).released()).isTrue();
    }

    @Test
    void everyFieldHasItsPlace() {
        ByteBuffer bytes = ByteBuffer.wrap(PROPOSING.asShared(9).sector(LAYOUT)).order(ByteOrder.LITTLE_ENDIAN);
        assertThat(bytes.getLong(0)).isEqualTo(2003);
        assertThat(bytes.getLong(8)).isEqualTo(2003);
        assertThat(bytes.getLong(16)).isEqualTo(3);
        assertThat(bytes.getLong(24)).isEqualTo(7);
        assertThat(bytes.getLong(32)).isEqualTo(1000);
        assertThat(bytes.getLong(40)).isEqualTo(5);
        assertThat(bytes.getInt(52)).isEqualTo(1);
        assertThat(bytes.getInt(128)).isEqualTo(1);
        assertThat(bytes.getLong(136)).isEqualTo(9);
        assertThat(DiskBlock.decode(bytes.array(), 0)).isEqualTo(new Decoded.Valid<>(PROPOSING.asShared(9)));
    }

    /** Stock hosts look at the generation only if the mark is set. */
    @Test
    void aGenerationWithoutAMarkIsThatOfAHostThatGives() {
        DiskBlock giving = PROPOSING.giving(9);
        byte[] sector = giving.sector(LAYOUT);
        assertThat(sector[128]).isZero();
        assertThat(sector[136]).isEqualTo((byte) 9);
        assertThat(DiskBlock.decode(sector, 0)).isEqualTo(new Decoded.Valid<>(giving));
        assertThat(giving.isGiving()).isTrue();
        assertThat(giving.sharedGeneration()).isZero();
        assertThat(giving.asReleased().isGiving()).isFalse();
        assertThat(giving.asExclusive().isGiving()).isFalse();
        assertThat(PROPOSING.asShared(9).isGiving()).isFalse();
        assertThat(PROPOSING.keepingMark(9).isGiving()).isFalse();
    }

    /** The checksum, mbal, bal, inp and lver make a block one that must be sound; the rest does not. */
    @ParameterizedTest
    @CsvSource({
        "0, false", "7, false", "8, false", "16, false", "40, false", "48, false", "51, false",
        "24, true", "32, true", "52, true", "56, true", "128, true", "136, true", "511, true",
    })
    void anEmptyBlockIsSoundAndAnythingElseNeedsAChecksum(int offset, boolean sound) {
        byte[] area = new byte[1024];
        assertThat(DiskBlock.decode(area, 512)).isInstanceOf(Decoded.Valid.class);
        area[512 + offset] = 2;
        assertThat(DiskBlock.decode(area, 512) instanceof Decoded.Valid).isEqualTo(sound);
    }

    @Test
    void onlyTheFlagsThatAreKnownAreRead() {
        byte[] sector = PROPOSING.sector(LAYOUT);
        sector[52] = (byte) 0xFE;
        sector[128] = (byte) 0xFE;
        assertThat(DiskBlock.decode(sector, 0)).isEqualTo(new Decoded.Valid<>(PROPOSING));
    }

    /** Number, proposed owner, version. The leader shows version 5. */
    @ParameterizedTest
    @CsvSource({
        "2003, 3, 7, 6, true",
        "2003, 3, 7, 9, true",
        "2003, 3, 7, 5, false",
        "0, 3, 7, 6, false",
        "2003, 3, 8, 6, false",
        "2003, 2, 7, 6, false",
    })
    void aProposalForAVersionThatTheLeaderDoesNotShowIsUndecided(
            long bal, long inp, long inp2, long lver, boolean undecided) {
        DiskBlock block = new DiskBlock(2003, bal, inp, inp2, 1000, lver, false, false, 0);
        assertThat(block.undecided(new Owner(3, 7), 5)).isEqualTo(undecided);
    }

    // ---- the note

    private static final LeaseNote NOTE = new LeaseNote("demo1", "uuid", "vda", "node-a", 99);
    private static final Owner OWNER = new Owner(3, 7);

    private static byte[] note(LeaseNote note) {
        return NoteSector.encode(LAYOUT, note, OWNER, 5);
    }

    @Test
    void aNoteEndsInTheStandardChecksum() {
        byte[] sector = note(NOTE);
        assertThat(ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN).getInt(508))
                .isEqualTo(crc32c(sector));
    }

    private static int crc32c(byte[] sector) {
        CRC32C crc = new CRC32C();
        crc.update(sector, 0, 508);
        return (int) crc.getValue();
    }

    @ParameterizedTest
    @CsvSource({"0", "4", "8", "16", "24", "508"})
    void aNoteThatWasChangedIsNone(int offset) {
        byte[] area = new byte[1024];
        System.arraycopy(note(NOTE), 0, area, 512, 512);
        assertThat(NoteSector.decode(area, 512, OWNER, 5)).contains(NOTE);
        area[512 + offset] ^= 1;
        assertThat(NoteSector.decode(area, 512, OWNER, 5)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"4, 7, 5", "3, 8, 5", "3, 7, 6"})
    void aNoteOfAnotherHoldIsNone(long id, long generation, long lver) {
        assertThat(NoteSector.decode(note(NOTE), 0, new Owner(id, generation), lver))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"121", "32767", "-1"})
    void aTextThatIsLongerThanItCanBeIsNone(short length) {
        byte[] sector = note(NOTE);
        ByteBuffer bytes = ByteBuffer.wrap(sector).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putShort(40, length);
        bytes.putInt(508, crc32c(sector));
        assertThat(NoteSector.decode(sector, 0, OWNER, 5)).isEmpty();
    }

    @Test
    void theLongestTextsFitExactly() {
        LeaseNote longest =
                new LeaseNote("d".repeat(120), "u".repeat(36), "k".repeat(180), "h".repeat(64), Long.MAX_VALUE);
        assertThat(NoteSector.decode(note(longest), 0, OWNER, 5)).contains(longest);
        LeaseNote longer = new LeaseNote("d".repeat(121), "u".repeat(37), "k".repeat(181), "h".repeat(65), 1);
        LeaseNote cut = new LeaseNote("d".repeat(120), "u".repeat(36), "k".repeat(180), "h".repeat(64), 1);
        assertThat(NoteSector.decode(note(longer), 0, OWNER, 5)).contains(cut);
    }

    @Test
    void aTextMayBeEmptyAndIsCutBetweenCharacters() {
        LeaseNote empty = new LeaseNote("", "", "", "", 1);
        assertThat(NoteSector.decode(note(empty), 0, OWNER, 5)).contains(empty);
        LeaseNote odd = new LeaseNote("a" + "ü".repeat(100), "", "", "", 1);
        LeaseNote cut = new LeaseNote("a" + "ü".repeat(59), "", "", "", 1);
        assertThat(NoteSector.decode(note(odd), 0, OWNER, 5)).contains(cut);
    }

    @Test
    void aNoteFillsTheSectorOfItsGeometry() {
        byte[] sector = NoteSector.encode(LeaseLayout.of(4096, 0x10).orElseThrow(), NOTE, OWNER, 5);
        assertThat(sector).hasSize(4096);
        assertThat(Arrays.copyOfRange(sector, 0, 4)).containsOnly(0);
        assertThat(Arrays.copyOfRange(sector, 512, 4096)).containsOnly(0);
        assertThat(NoteSector.decode(sector, 0, OWNER, 5)).contains(NOTE);
    }
}
