/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.device.linux.IoJournal.Kind;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a process notes is what its successor reads, at every instant; and no other bytes are taken for it. */
class IoJournalTest {
    private static final String BOOT = "3b241101-e2bb-4255-8caf-4136c566a962";

    @TempDir
    Path dir;

    private Path file;
    private IoJournal journal;

    @BeforeEach
    void create() throws IOException {
        file = dir.resolve("LS.journal");
        journal = IoJournal.create(file, BOOT);
    }

    private IoJournal.Left left() throws IOException {
        return IoJournal.read(file, BOOT).orElseThrow();
    }

    @Test
    void whatIsUnderWayIsThereUntilItIsOver() throws IOException {
        byte[] sector = new byte[4096];
        new Random(1).nextBytes(sector);
        IoJournal.Note write = journal.begin(Kind.WRITE, "disk-ü", 1024, sector).orElseThrow();
        IoJournal.Note remove =
                journal.begin(Kind.REMOVE, "other", 0, new byte[0]).orElseThrow();
        assertThat(left().underWay()).hasSize(2);
        IoJournal.Entry entry = left().underWay().get(0);
        assertThat(entry.kind()).isEqualTo(Kind.WRITE);
        assertThat(entry.name()).isEqualTo("disk-ü");
        assertThat(entry.offsetBytes()).isEqualTo(1024);
        assertThat(entry.head()).isEqualTo(Arrays.copyOf(sector, IoJournal.HEAD_BYTES));

        write.close();
        assertThat(left().underWay()).extracting(IoJournal.Entry::name).containsExactly("other");
        remove.close();
        assertThat(left().underWay()).isEmpty();
    }

    @Test
    void withoutRoomForANoteThereIsNone() throws IOException {
        List<IoJournal.Note> notes = new ArrayList<>();
        Optional<IoJournal.Note> next = journal.begin(Kind.WRITE, "R", 0, new byte[512]);
        while (next.isPresent()) {
            notes.add(next.get());
            next = journal.begin(Kind.WRITE, "R", 0, new byte[512]);
        }
        assertThat(left().underWay()).hasSameSizeAs(notes).hasSizeGreaterThan(32);
        notes.get(7).close();
        assertThat(journal.begin(Kind.WRITE, "R", 0, new byte[512])).isPresent();
        assertThat(journal.begin(Kind.WRITE, "x".repeat(97), 0, new byte[512])).isEmpty();
    }

    @Test
    void theLastRenewalIsThere() throws IOException {
        assertThat(left().renewal()).isEmpty();
        journal.renewed(new IoJournal.Renewal(7, 3, 10, 123_456));
        journal.renewed(new IoJournal.Renewal(7, 3, 10, 234_567));
        assertThat(left().renewal()).contains(new IoJournal.Renewal(7, 3, 10, 234_567));
    }

    @Test
    void aNewOneIsEmptyAndLeavesWhoeverReadTheOldOneAlone() throws IOException {
        journal.begin(Kind.WRITE, "R", 0, new byte[512]).orElseThrow();
        IoJournal.create(file, BOOT);
        assertThat(left().underWay()).isEmpty();
        journal.renewed(new IoJournal.Renewal(7, 3, 10, 1));
        assertThat(left().renewal()).isEmpty();
    }

    @Test
    void oneOfAnotherBootOrOfAnotherSizeOrNoneIsNotRead() throws IOException {
        assertThat(IoJournal.read(file, "another-boot")).isEmpty();
        assertThat(IoJournal.read(dir.resolve("none"), BOOT)).isEmpty();
        byte[] whole = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(whole, whole.length / 2));
        assertThat(IoJournal.read(file, BOOT)).isEmpty();
        Files.write(file, Arrays.copyOf(whole, whole.length + 1));
        assertThat(IoJournal.read(file, BOOT)).isEmpty();
        Files.write(file, new byte[whole.length]);
        assertThat(IoJournal.read(file, BOOT)).isEmpty();
    }

    @Test
    void damagedSlotsAreNotReadAsEmptyOnes() throws IOException {
        for (long kind : new long[] {-1, 4, Long.MAX_VALUE}) {
            try (RandomAccessFile raw = new RandomAccessFile(file.toFile(), "rw")) {
                raw.seek(512);
                raw.writeLong(kind);
            }
            assertThat(IoJournal.read(file, BOOT)).as("kind " + kind).isEmpty();
        }
    }

    @Test
    void noBytesAtAllMakeItFail() throws IOException {
        Random random = new Random(20261128);
        byte[] whole = Files.readAllBytes(file);
        for (int i = 0; i < 2000; i++) {
            byte[] damaged = whole.clone();
            for (int n = random.nextInt(1, 40); n > 0; n--) {
                damaged[random.nextInt(72, 4096)] = (byte) random.nextInt();
            }
            Files.write(file, damaged);
            IoJournal.read(file, BOOT)
                    .ifPresent(left -> assertThat(left.underWay())
                            .allSatisfy(entry ->
                                    assertThat(entry.head().length).isLessThanOrEqualTo(IoJournal.HEAD_BYTES)));
        }
    }
}
