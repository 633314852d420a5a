/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.R1;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.Mounted;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * Lease directories and lease files as they should not be. Each gives a fault and a sentence that names the file and the way out; not
 * a byte of what was there changes; and the host goes on.
 */
@Execution(ExecutionMode.CONCURRENT)
class BadLeaseFilesTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final FileTime LONG_AGO = FileTime.fromMillis(1_000_000_000_000L);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private Path leases;

    @BeforeEach
    void aLeaseDirectory() throws IOException {
        leases = Files.createDirectory(dir.resolve("leases"));
    }

    // ---- the directory

    @Test
    void aMissingDirectoryIsNotMade() throws IOException {
        Files.delete(leases);
        assertJoinFails(LeaseFault.MISSING, leases + ": ", "does not exist", "set lease_dir");
        assertThat(leases).doesNotExist();
    }

    @Test
    void aFileInThePlaceOfTheDirectoryIsLeftAlone() throws IOException {
        Files.delete(leases);
        Files.writeString(leases, "precious");
        assertJoinFails(LeaseFault.SHORT, leases + ": ", "read gave 8 of 4096 bytes");
        assertThat(leases).hasContent("precious");
    }

    @Test
    void aReadOnlyDirectoryIsSaidToBeReadOnly() throws IOException {
        try (Mounted readOnly = Mounted.readOnly(leases)) {
            assertJoinFails(LeaseFault.IO, leases.resolve("LS") + ": ", "read-only", "Mount it read-write");
            assertThat(leases).isEmptyDirectory();
            assertThat(readOnly).isNotNull();
        }
    }

    @Test
    void aReadOnlyLockspaceIsSaidToBeReadOnly() throws IOException {
        byte[] lockspace = put(LS, LeaseArea.lockspace(LAYOUT, LS, 1));
        try (Mounted readOnly = Mounted.readOnly(leases)) {
            assertJoinFails(LeaseFault.IO, leases.resolve("LS") + ": ", "read-only", "Mount it read-write");
            assertThat(readOnly).isNotNull();
        }
        assertThat(leases.resolve("LS")).hasBinaryContent(lockspace);
    }

    @Test
    void aFileSystemWithoutDirectIoIsRefused() throws IOException {
        try (Mounted inMemory = Mounted.ramfs(leases)) {
            assertJoinFails(LeaseFault.IO, leases.resolve("LS") + ": ", "direct I/O", "Put lease_dir on");
            assertThat(leases).as("nothing half-made is left").isEmptyDirectory();
            assertThat(inMemory).isNotNull();
        }
    }

    @Test
    void aFullFileSystemIsSaidToBeFullAndNothingHalfMadeIsLeft() throws IOException {
        try (Mounted small = Mounted.tmpfs(leases, 512)) {
            skipWithoutDirectIo();
            assertJoinFails(LeaseFault.IO, leases.resolve("LS") + ": ", "no space left", "Make room");
            assertThat(leases).isEmptyDirectory();
            assertThat(small).isNotNull();
        }
    }

    @Test
    void aFileSystemThatIsFullRefusesNewLeasesButKeepsTheOldOnes() throws IOException {
        try (Mounted small = Mounted.tmpfs(leases, 2560)) {
            skipWithoutDirectIo();
            try (LiveHost host = Machine.at(leases, dir.resolve("a")).member()) {
                assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
                AcquireResult.CannotTell cannot = (AcquireResult.CannotTell) host.acquire(new LeaseName("R2"));
                assertThat(cannot.fault()).isEqualTo(LeaseFault.IO);
                assertThat(cannot.why()).contains(leases.resolve("R2").toString(), "no space left", "Make room");
                assertThat(cannot.undetermined()).isFalse();
                assertThat(host.engine.view().held()).containsOnlyKeys(R1);
                assertThat(names()).containsExactly("LS", "R1");
            }
            assertThat(small).isNotNull();
        }
    }

    private void skipWithoutDirectIo() {
        // The other cause of a refusal would hide the one that is tested.
        Path probe = leases.resolve("probe");
        try {
            Process process = new ProcessBuilder(
                            "dd", "if=/dev/zero", "of=" + probe, "bs=512", "count=1", "oflag=direct", "status=none")
                    .redirectErrorStream(true)
                    .start();
            process.getInputStream().readAllBytes();
            Mounted.skipUnless(process.waitFor() == 0, "needs a tmpfs with direct I/O (Linux 6.6 or newer)");
            Files.deleteIfExists(probe);
        } catch (IOException e) {
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    // ---- the lockspace file

    @Test
    void aFileOfAnotherFormatIsNotTakenForALockspace() throws IOException {
        byte[] text = new byte[LAYOUT.areaBytes()];
        Arrays.fill(text, (byte) 'x');
        assertLockspaceRefused(text, LeaseFault.MAGIC, "this is no lockspace", "move the file away");
    }

    @Test
    void aResourceIsNotTakenForALockspace() throws IOException {
        assertLockspaceRefused(
                LeaseArea.resource(LAYOUT, LS, R1, LAYOUT.maxHosts()), LeaseFault.MAGIC, "this is no lockspace");
    }

    @Test
    void aLockspaceOfAnotherNameIsRefusedAndNamed() throws IOException {
        assertLockspaceRefused(
                LeaseArea.lockspace(LAYOUT, new LeaseName("OTHER"), 1),
                LeaseFault.LOCKSPACE,
                "'OTHER'",
                "must be the same");
    }

    @Test
    void aLockspaceOfNoGeometryOfTheFormatIsRefused() throws IOException {
        LeaseLayout none = new LeaseLayout(2048, 1 << 20, 500, 0x10);
        assertLockspaceRefused(
                LeaseArea.lockspace(none, LS, 1), LeaseFault.GEOMETRY, "2048 bytes", "no geometry of the format");
    }

    @Test
    void anEmptyLockspaceFileIsSaidToBeUnfinished() throws IOException {
        assertLockspaceRefused(new byte[0], LeaseFault.SHORT, "has 0 bytes", "remove it and try again");
    }

    @Test
    void aTruncatedLockspaceFileIsSaidToBeUnfinished() throws IOException {
        byte[] half = Arrays.copyOf(LeaseArea.lockspace(LAYOUT, LS, 1), LAYOUT.areaBytes() / 2);
        assertLockspaceRefused(
                half, LeaseFault.SHORT, "has 524288 bytes instead of 1048576", "remove it and try again");
    }

    @Test
    void aLockspaceFileOfZeroesIsSaidToBeUnfinished() throws IOException {
        assertLockspaceRefused(new byte[LAYOUT.areaBytes()], LeaseFault.MAGIC, "all zeroes", "remove it and try again");
    }

    @Test
    void oneDamagedRecordDoesNotLockOutTheOtherHosts() throws IOException {
        byte[] area = LeaseArea.lockspace(LAYOUT, LS, 1);
        Arrays.fill(area, 0, 200, (byte) 0x5a);
        System.arraycopy(LeaseArea.lockspace(LAYOUT, LS, 1), 0, area, 0, 32); // its head is sound
        put(LS, area);
        try (LiveHost host = Machine.at(leases, dir.resolve("a")).member()) {
            assertThat(host.owner().hostId()).isNotEqualTo(1);
        }
    }

    @Test
    void aResourceIndexIsNotTakenForALockspace() throws IOException {
        byte[] index = LeaseArea.lockspace(LAYOUT, LS, 1);
        ByteBuffer.wrap(index).order(ByteOrder.LITTLE_ENDIAN).putInt(LeaderRecord.INDEX_MAGIC);
        assertLockspaceRefused(index, LeaseFault.RESOURCE_INDEX, "a resource index, which vmguard does not use");
    }

    @Test
    void aLockspaceOfANewerFormatIsRefused() throws IOException {
        byte[] newer = LeaseArea.lockspace(LAYOUT, LS, 1);
        for (int offset = 0; offset < LAYOUT.maxHosts() * LAYOUT.sectorBytes(); offset += LAYOUT.sectorBytes()) {
            newer[offset + 6] = 4;
        }
        assertLockspaceRefused(newer, LeaseFault.VERSION, "delta lease of major version 4");
    }

    /** A host that cannot remember whether it ever was a member has most likely been one, and its directory is not mounted. */
    @Test
    void aHostWhoseMemoryIsDamagedMakesNoLockspace() throws IOException {
        Path memory = Files.createDirectories(dir.resolve("a/state")).resolve("LS.host-id");
        Files.write(memory, new byte[] {'h', 'o', 's', 't', '=', (byte) 0xFF});
        assertJoinFails(LeaseFault.MISSING, leases.resolve("LS") + ": ", "is it mounted?", "remove " + memory);
        assertThat(leases).isEmptyDirectory();
    }

    private void assertLockspaceRefused(byte[] content, LeaseFault fault, String... words) throws IOException {
        put(LS, content);
        String[] all = Arrays.copyOf(words, words.length + 1);
        all[words.length] = leases.resolve("LS").toString();
        assertJoinFails(fault, all);
        assertThat(leases.resolve("LS")).hasBinaryContent(content);
        assertThat(names()).containsExactly("LS");
    }

    private void assertJoinFails(LeaseFault fault, String... words) {
        try (LiveHost host = Machine.at(leases, dir.resolve("a")).join()) {
            host.awaitEvent("joinFailed");
            assertThat(host.events)
                    .singleElement()
                    .satisfies(event -> assertThat(event)
                            .startsWith("joinFailed " + fault + " ")
                            .contains(words));
            assertThat(host.engine.member()).isFalse();
            assertThat(host.acquire(R1)).isInstanceOfSatisfying(AcquireResult.CannotTell.class, cannot -> {
                assertThat(cannot.fault()).isEqualTo(LeaseFault.NO_MEMBERSHIP);
                assertThat(cannot.why()).contains(words);
            });
        }
    }

    // ---- a resource file

    @Test
    void badResourceFilesAreEachRefusedWithTheirFaultAndLeftAsTheyAre() throws IOException {
        byte[] sound = LeaseArea.resource(LAYOUT, LS, R1, LAYOUT.maxHosts());
        byte[] cleared = sound.clone();
        System.arraycopy(new byte[] {0x16, 0x20, 0x28, 0x11}, 0, cleared, 0, 4);
        byte[] torn = sound.clone();
        torn[57] ^= 1;
        byte[] flipped = sound.clone();
        flipped[152] ^= 1;
        byte[] badBlock = sound.clone();
        badBlock[(int) LAYOUT.diskBlockOffset(1500)] = 7;
        byte[] text = new byte[LAYOUT.areaBytes()];
        Arrays.fill(text, (byte) 'x');
        byte[] index = sound.clone();
        ByteBuffer.wrap(index).order(ByteOrder.LITTLE_ENDIAN).putInt(LeaderRecord.INDEX_MAGIC);
        byte[] newer = sound.clone();
        newer[6] = 7;
        // Another kind of lease in another format, as a later sanlock might have.
        byte[] newerKind = sound.clone();
        ByteBuffer.wrap(newerKind).order(ByteOrder.LITTLE_ENDIAN).putInt(0x20240101);

        try (LiveHost host = Machine.at(leases, dir.resolve("a")).member()) {
            assertRefused(host, new byte[0], LeaseFault.SHORT, "has 0 bytes");
            assertRefused(host, Arrays.copyOf(sound, 4096), LeaseFault.SHORT, "has 4096 bytes");
            assertRefused(host, new byte[LAYOUT.areaBytes()], LeaseFault.MAGIC, "all zeroes");
            assertRefused(host, text, LeaseFault.MAGIC, "not a resource lease");
            assertRefused(host, cleared, LeaseFault.MAGIC, "deliberately removed");
            assertRefused(host, LeaseArea.lockspace(LAYOUT, LS, 1), LeaseFault.MAGIC, "not a resource lease");
            assertRefused(
                    host,
                    LeaseArea.resource(LAYOUT, LS, new LeaseName("R2"), LAYOUT.maxHosts()),
                    LeaseFault.RESOURCE,
                    "the lease of 'R2'");
            assertRefused(
                    host,
                    LeaseArea.resource(LAYOUT, new LeaseName("OTHER"), R1, LAYOUT.maxHosts()),
                    LeaseFault.LOCKSPACE,
                    "lockspace 'OTHER'");
            assertRefused(host, torn, LeaseFault.LOCKSPACE, "lockspace");
            assertRefused(host, flipped, LeaseFault.CHECKSUM, "checksum");
            assertRefused(host, badBlock, LeaseFault.DBLOCK_CHECKSUM, "host id 1500");
            assertRefused(
                    host,
                    LeaseArea.resource(LeaseLayout.all().get(4), LS, R1, 2000),
                    LeaseFault.GEOMETRY,
                    "sector size 4096");
            assertRefused(host, LeaseArea.resource(LAYOUT, LS, R1, 2001), LeaseFault.GEOMETRY, "2001 of 2000 hosts");
            assertRefused(host, LeaseArea.resource(LAYOUT, LS, R1, 0), LeaseFault.NUM_HOSTS, "made for 0 hosts");
            assertRefused(host, index, LeaseFault.RESOURCE_INDEX, "a resource index, which vmguard does not use");
            assertRefused(host, newer, LeaseFault.VERSION, "major version 7");
            assertRefused(host, newerKind, LeaseFault.MAGIC, "magic 0x20240101 is not a resource lease");

            // Put right, it can be had: no refusal has left anything behind.
            Files.delete(leases.resolve("R1"));
            assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(host.engine.view().undetermined()).isEmpty();
            assertThat(host.events).containsExactly("joined " + host.owner());
        }
    }

    private void assertRefused(LiveHost host, byte[] content, LeaseFault fault, String word) throws IOException {
        put(R1, content);
        AcquireResult.CannotTell cannot = (AcquireResult.CannotTell) host.acquire(R1);
        assertThat(cannot.fault()).as(cannot.why()).isEqualTo(fault);
        assertThat(cannot.why())
                .startsWith(leases.resolve("R1") + ": ")
                .contains(word)
                .containsAnyOf("remove it and try again", "remove the file", "move it away and try again");
        assertThat(cannot.undetermined()).isFalse();
        assertThat(leases.resolve("R1")).hasBinaryContent(content);
        assertThat(host.engine.view().held()).isEmpty();
        assertThat(names()).containsExactly("LS", "R1");
    }

    /** Long ago, or it would be waited for its creator to finish. */
    private byte[] put(LeaseName name, byte[] content) throws IOException {
        Path file = leases.resolve(name.value());
        Files.write(file, content);
        Files.setLastModifiedTime(file, LONG_AGO);
        return content;
    }

    /** Hidden ones too. */
    private Stream<String> names() throws IOException {
        try (Stream<Path> files = Files.list(leases)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList().stream();
        }
    }
}
