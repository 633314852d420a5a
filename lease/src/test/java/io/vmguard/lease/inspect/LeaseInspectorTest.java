/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a look from outside says of lease directories in all states, on a real file system, and that it changes nothing there. */
class LeaseInspectorTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseNote NOTE = new LeaseNote(
            "demo1", "11111111-1111-1111-1111-111111111111", "vda (rbd:rbd/vm1)", "node-a", 1_767_225_600);
    private static final String NODE_A = "0123abcd-4567cdef.node-a";
    private static final String NODE_B = "89abcdef-01234567.node-b";

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private BuiltDirectory built;

    @BeforeEach
    void twoHosts() {
        built = build(LAYOUT);
    }

    private BuiltDirectory build(LeaseLayout layout) {
        return new BuiltDirectory(dir, layout)
                .lockspace(10)
                .host(1, 7, NODE_A, 1000)
                .host(2, 3, NODE_B, 2000);
    }

    private LeaseInspector inspector() {
        return new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock()));
    }

    private DirectoryInspection inspect() throws IOException {
        return inspector().inspect(Depth.HOLDERS);
    }

    private ResourceInspection only() throws IOException {
        DirectoryInspection directory = inspect();
        assertThat(directory.resources()).hasSize(1);
        return directory.resources().get(0);
    }

    private static List<LeaseFault> faults(ResourceInspection resource) {
        return resource.findings().stream().map(Finding::fault).toList();
    }

    static List<LeaseLayout> geometries() {
        return LeaseLayout.all();
    }

    // ---- what hosts leave behind

    @ParameterizedTest
    @MethodSource("geometries")
    void holdersAreToldInEveryGeometry(LeaseLayout layout) throws IOException {
        build(layout)
                .resource("free")
                .resource("held")
                .held("held", new Owner(2, 3), 42, NOTE)
                .resource("shared")
                .leader("shared", edit -> edit.owner(new Owner(2, 3)).lver(5))
                .block("shared", 1, new DiskBlock(1, 1, 1, 7, 9, 4, true, true, 7));
        DirectoryInspection directory = inspect();
        LockspaceInspection lockspace =
                directory.lockspace(BuiltDirectory.SPACE.value()).orElseThrow();
        assertThat(lockspace.geometry()).isEqualTo(Geometry.of(layout));
        assertThat(lockspace.ioTimeoutSeconds()).isEqualTo(10);
        assertThat(lockspace.findings()).isEmpty();
        assertThat(lockspace.hosts())
                .containsExactly(
                        new HostSlot(new Owner(1, 7), NODE_A, 1000, 10, List.of()),
                        new HostSlot(new Owner(2, 3), NODE_B, 2000, 10, List.of()));
        assertThat(directory.resources())
                .extracting(ResourceInspection::state)
                .containsExactly(State.FREE, State.EXCLUSIVE, State.SHARED);
        assertThat(directory.resources())
                .allSatisfy(r -> assertThat(r.findings()).isEmpty());
        ResourceInspection held = directory.resources().get(1);
        assertThat(held.owner()).contains(new Holder(new Owner(2, 3), Standing.MEMBER, NODE_B));
        assertThat(held.note()).contains(NOTE);
        assertThat(held.leader().orElseThrow().lver()).isEqualTo(42);
        assertThat(held.takeable()).isFalse();
        assertThat(directory.resources().get(2).sharers())
                .containsExactly(new Holder(new Owner(1, 7), Standing.MEMBER, NODE_A));
    }

    @Test
    void anOwnerThatLeftOrCameBackHasLostIt() throws IOException {
        built.host(1, 7, NODE_A, 0).resource("left").held("left", new Owner(1, 7), 1, NOTE);
        built.resource("reborn").held("reborn", new Owner(2, 2), 1, NOTE);
        DirectoryInspection directory = inspect();
        assertThat(directory.resources())
                .extracting(r -> r.owner().orElseThrow().standing())
                .containsExactly(Standing.LEFT, Standing.REBORN);
        assertThat(directory.resources()).allSatisfy(r -> {
            assertThat(r.state()).isEqualTo(State.EXCLUSIVE);
            assertThat(r.takeable()).isTrue();
            assertThat(r.findings()).isEmpty();
        });
    }

    @Test
    void marksOfSharersThatAreGoneCountNoMore() throws IOException {
        built.resource("r")
                .leader("r", edit -> edit.owner(new Owner(1, 7)).lver(5))
                .block("r", 2, new DiskBlock(2, 2, 2, 1, 9, 4, true, true, 1));
        assertThat(only().state()).isEqualTo(State.FREE);
        assertThat(only().sharers()).extracting(Holder::standing).containsExactly(Standing.REBORN);
    }

    @Test
    void whatAnotherHostCommittedAndTheOwnerReleasedIsFree() throws IOException {
        built.resource("r")
                .leader(
                        "r",
                        edit -> edit.owner(new Owner(1, 7)).lver(5).timestamp(9).writer(new Owner(2, 3), 9))
                .block("r", 1, new DiskBlock(1, 1, 1, 7, 9, 5, true, false, 0));
        assertThat(only().state()).isEqualTo(State.FREE);
        built.leader("r", edit -> edit.writer(new Owner(1, 7), 9));
        assertThat(only().state()).isEqualTo(State.EXCLUSIVE);
    }

    @Test
    void anEarlierLifeInALeaderThatALaterOneWroteIsTheLaterOneUntilItReleases() throws IOException {
        built.resource("r")
                .leader(
                        "r",
                        edit -> edit.owner(new Owner(2, 2)).lver(5).timestamp(9).writer(new Owner(2, 3), 9))
                .block("r", 2, new DiskBlock(2, 2, 2, 2, 9, 5, false, false, 0));
        assertThat(only().state()).isEqualTo(State.EXCLUSIVE);
        assertThat(only().owner()).contains(new Holder(new Owner(2, 3), Standing.MEMBER, NODE_B));
        assertThat(only().takeable()).isFalse();
        built.block("r", 2, new DiskBlock(2, 2, 2, 2, 9, 5, true, false, 0));
        assertThat(only().state()).isEqualTo(State.FREE);
    }

    @Test
    void aRequestAndAnAcquireUnderWayAreShown() throws IOException {
        byte[] request = Arrays.copyOfRange(
                LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("r"), 2000), 512, 1024);
        request[8] = 6;
        request[16] = 1;
        built.resource("r")
                .leader(
                        "r",
                        edit -> edit.owner(new Owner(1, 7)).lver(5).timestamp(9).shortHold(true))
                .write("r", 512, request);
        assertThat(only().request()).contains(new ResourceInspection.Request(6, 1));
        assertThat(only().leader().orElseThrow().shortHold()).isTrue();
    }

    @Test
    void hostsThatAskOthersAreSeen() throws IOException {
        built.write(BuiltDirectory.SPACE.value(), LAYOUT.deltaOffset(1) + 256, new byte[] {2, 0, 4});
        assertThat(inspect().lockspaces().get(0).host(1).orElseThrow().asked()).containsExactly(2L, 19L);
    }

    // ---- hazards and damage

    @Test
    void aLockspaceMadeAnewBesideAnOldResourceIsExplained() throws IOException {
        built.resource("r").held("r", new Owner(2, 9), 1, NOTE);
        ResourceInspection resource = only();
        assertThat(resource.owner().orElseThrow().standing()).isEqualTo(Standing.AHEAD);
        assertThat(faults(resource)).containsExactly(LeaseFault.OWNER_LIVE);
        assertThat(resource.findings().get(0).sentence())
                .isEqualTo(dir
                        + "/r at offset 0: it is held by host id 2 in generation 9, which that id has not come to yet: "
                        + "the lockspace was made anew beside this lease (-243). Nobody gets it while host id 2 is taken. Stop "
                        + "vmguard on " + NODE_B
                        + ", run there or elsewhere: vmguard lease release --confirm-dead r, then start "
                        + "vmguard again.");
        built.host(2, 3, NODE_B, 0);
        assertThat(only().findings().get(0).remedy()).contains("Free it before");
    }

    @Test
    void aBrokenDiskBlockIsFoundAmongThoseOfKnownHostsAndElsewhereByTheCloseLook() throws IOException {
        built.resource("near").leader("near", edit -> edit.lver(1));
        built.write("near", LAYOUT.diskBlockOffset(2), new byte[] {1});
        built.resource("far").leader("far", edit -> edit.lver(1));
        built.write("far", LAYOUT.diskBlockOffset(1999), new byte[] {1});
        assertThat(inspect().resources())
                .extracting(LeaseInspectorTest::faults)
                .containsExactly(List.of(), List.of(LeaseFault.DBLOCK_CHECKSUM));
        DirectoryInspection close = inspector().inspect(Depth.EVERY_BLOCK);
        assertThat(close.resources())
                .allSatisfy(r -> assertThat(faults(r)).containsExactly(LeaseFault.DBLOCK_CHECKSUM));
        assertThat(close.resources().get(0).findings().get(0).offset()).isEqualTo(LAYOUT.diskBlockOffset(1999));
        assertThat(close.resources().get(1).findings().get(0).what())
                .isEqualTo("the disk block of host id 2 has a wrong checksum");
    }

    @Test
    void aResourceThatIsOutOfPlaceIsTold() throws IOException {
        LeaseName name = new LeaseName("r");
        built.file(
                "geometry",
                LeaseArea.resource(LeaseLayout.all().get(1), BuiltDirectory.SPACE, new LeaseName("geometry"), 250));
        built.file("elsewhere", LeaseArea.resource(LAYOUT, new LeaseName("other"), new LeaseName("elsewhere"), 2000));
        built.file("renamed", LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, name, 2000));
        built.file(
                "short",
                Arrays.copyOf(LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("short"), 2000), 9000));
        built.file("wide", LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("wide"), 5000));
        assertThat(inspect().resources())
                .extracting(ResourceInspection::file, LeaseInspectorTest::faults)
                .containsExactly(
                        tuple("elsewhere", List.of(LeaseFault.LOCKSPACE)),
                        tuple("geometry", List.of(LeaseFault.GEOMETRY)),
                        tuple("renamed", List.of(LeaseFault.RESOURCE)),
                        tuple("short", List.of(LeaseFault.SHORT)),
                        tuple("wide", List.of(LeaseFault.NUM_HOSTS)));
        assertThat(inspect().resources())
                .allSatisfy(r -> assertThat(r.takeable()).isFalse());
    }

    @Test
    void filesThatAreNoSoundLeasesAreTold() throws IOException {
        built.file("blank", new byte[LAYOUT.areaBytes()]);
        built.file("cleared", LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("cleared"), 2000));
        built.write("cleared", 0, new byte[] {0x16, 0x20, 0x28, 0x11});
        built.file("empty", new byte[0]);
        built.file("index", new byte[1024]).write("index", 0, new byte[] {0x18, 0x20, 0x04, 0x01});
        built.file("readme", "not a lease".getBytes(StandardCharsets.UTF_8));
        built.resource("torn").write("torn", 60, new byte[] {1});
        Files.createDirectory(dir.resolve("subdirectory"));
        built.file(".vmguard-1.tmp", new byte[0]);
        assertThat(inspect().resources())
                .extracting(
                        ResourceInspection::file,
                        ResourceInspection::state,
                        r -> faults(r).toString())
                .containsExactly(
                        tuple("blank", State.CORRUPT, "[MAGIC]"),
                        tuple("cleared", State.CLEARED, "[]"),
                        tuple("empty", State.CORRUPT, "[SHORT]"),
                        tuple("index", State.FOREIGN, "[RESOURCE_INDEX]"),
                        tuple("readme", State.FOREIGN, "[MAGIC]"),
                        tuple("subdirectory", State.FOREIGN, "[MAGIC]"),
                        tuple("torn", State.CORRUPT, "[CHECKSUM]"));
    }

    @Test
    void anOwnerThatCannotExistIsTold() throws IOException {
        built.resource("r").held("r", new Owner(2001, 1), 1, NOTE);
        assertThat(only().findings())
                .extracting(Finding::what)
                .containsExactly("its owner has the impossible host id 2001");
        built.held("r", new Owner(0, 1), 1, NOTE);
        assertThat(only().takeable()).isFalse();
        assertThat(faults(only())).containsExactly(LeaseFault.CHECKSUM);
    }

    @Test
    void aBrokenDeltaLeaseLeavesItsOwnersUndecided() throws IOException {
        built.write(BuiltDirectory.SPACE.value(), LAYOUT.deltaOffset(1), new byte[LAYOUT.sectorBytes()]);
        built.write(BuiltDirectory.SPACE.value(), LAYOUT.deltaOffset(9) + 160, new byte[] {1});
        built.resource("r").held("r", new Owner(1, 7), 1, NOTE);
        DirectoryInspection directory = inspect();
        LockspaceInspection lockspace = directory.lockspaces().get(0);
        assertThat(lockspace.unreadable()).containsExactly(1L, 9L);
        assertThat(lockspace.findings())
                .singleElement()
                .satisfies(finding ->
                        assertThat(finding.what()).startsWith("2 delta leases are not sound, from host id 1 to 9"));
        ResourceInspection resource = directory.resources().get(0);
        assertThat(resource.owner().orElseThrow().standing()).isEqualTo(Standing.UNREADABLE);
        assertThat(resource.takeable()).isFalse();
    }

    @Test
    void lockspacesOfOtherFilesAndShortOnesAreTold() throws IOException {
        built.file("backup", LeaseArea.lockspace(LAYOUT, BuiltDirectory.SPACE, 10));
        built.file("torn", Arrays.copyOf(LeaseArea.lockspace(LAYOUT, new LeaseName("torn"), 10), 5000));
        assertThat(inspect().lockspaces())
                .extracting(l -> l.file() + " "
                        + l.findings().stream().map(Finding::fault).toList())
                .containsExactly("__LIBVIRT__DISKS__ []", "backup [LOCKSPACE]", "torn [SHORT]");
    }

    @Test
    void aDirectoryThatIsNotThereIsSaidSo() {
        LeaseInspector missing = new LeaseInspector(new ReadOnlyDirectory(dir.resolve("missing"), new LinuxClock()));
        assertThatThrownBy(() -> missing.inspect(Depth.HOLDERS))
                .isInstanceOf(IOException.class)
                .hasMessage(dir.resolve("missing") + ": the lease directory does not exist or is no directory");
    }

    @Test
    void aLeaseOfANewerVersionIsLeftToThoseWhoKnowIt() throws IOException {
        built.lockspace(10).resource("r").write("r", 4, new byte[] {4, 0, 7, 0});
        assertThat(only().findings()).singleElement().satisfies(finding -> {
            assertThat(finding.fault()).isEqualTo(LeaseFault.VERSION);
            assertThat(finding.what()).contains("major version 7");
            assertThat(finding.remedy()).contains("leave it").doesNotContain("remove");
        });
    }

    /** Two hosts that count ballots by another step than their ids are spread by meet at one number. */
    @Test
    void aLeaseWithAnotherStepOfItsBallotNumbersIsTold() throws IOException {
        built.lockspace(10).resource("r").write("r", 24, new byte[] {1, 0}).leader("r", edit -> edit);
        assertThat(faults(only())).containsExactly(LeaseFault.GEOMETRY);
    }

    @Test
    void lookingChangesNothing() throws IOException {
        built.resource("r").held("r", new Owner(1, 7), 1, NOTE);
        byte[] before = Files.readAllBytes(dir.resolve("r"));
        Object modified = Files.getLastModifiedTime(dir.resolve("r"));
        inspect();
        inspector().dump(new LeaseName("r"));
        assertThat(dir.resolve("r")).hasBinaryContent(before);
        assertThat(Files.getLastModifiedTime(dir.resolve("r"))).isEqualTo(modified);
    }
}
