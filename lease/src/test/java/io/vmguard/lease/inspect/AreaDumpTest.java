/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.AreaDump.Field;
import io.vmguard.lease.inspect.AreaDump.Sector;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.BuiltDirectory;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A dump leaves no byte untold, and reads the sectors of real daemons as the published tables do. */
class AreaDumpTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private AreaDump dump(String file) {
        return new LeaseInspector(new ReadOnlyDirectory(dir, new LinuxClock()))
                .dump(new LeaseName(file))
                .orElseThrow();
    }

    /** Lays the sectors of one stage of a real daemon's history over a free area. */
    private void stage(String file, byte[] area, String prefix) throws IOException, URISyntaxException {
        Path root = Path.of(AreaDumpTest.class.getResource("/vectors/README.md").toURI())
                .getParent();
        BuiltDirectory built = new BuiltDirectory(dir, LAYOUT).file(file, area);
        try (Stream<Path> vectors = Files.list(root.resolve("s512"))) {
            for (Path vector : vectors.toList()) {
                String name = String.valueOf(vector.getFileName());
                if (name.startsWith(prefix)) {
                    int offset = Integer.parseInt(name.substring(name.indexOf("off-") + 4, name.indexOf(".bin")), 16);
                    built.write(file, offset, Files.readAllBytes(vector));
                }
            }
        }
    }

    private static Map<String, String> values(Sector sector) {
        return sector.fields().stream()
                .filter(field -> !field.name().isEmpty())
                .collect(Collectors.toMap(Field::name, Field::value));
    }

    private static Map<String, String> meanings(Sector sector) {
        return sector.fields().stream()
                .filter(field -> !field.name().isEmpty())
                .collect(Collectors.toMap(Field::name, Field::meaning));
    }

    @Test
    void aSharedResourceOfRealDaemonsIsReadAsPublished() throws Exception {
        stage(
                "r",
                LeaseArea.resource(LAYOUT, new LeaseName("LX"), new LeaseName("r"), 2000),
                "07-host1-host2-shared.resource");
        AreaDump dump = dump("r");
        assertThat(dump.title()).isEqualTo("resource, 512-byte sectors in areas of 1 MiB for 2000 hosts");
        assertThat(dump.sectors())
                .extracting(Sector::title)
                .containsExactly(
                        "leader record", "request record", "disk block of host id 1", "disk block of host id 2");
        Map<String, String> leader = values(dump.sectors().get(0));
        assertThat(leader)
                .containsEntry("magic", "0x06152010")
                .containsEntry("owner_id", "2")
                .containsEntry("lver", "3")
                .containsEntry("timestamp", "0")
                .containsEntry("checksum", "0xb34cba30");
        assertThat(meanings(dump.sectors().get(0))).containsEntry("checksum", "right, over bytes 0 to 167");
        assertThat(values(dump.sectors().get(3)))
                .containsEntry("mbal", "4002")
                .containsEntry("inp3", "2366")
                .containsEntry("checksum", "0x964453f3")
                .containsEntry("mode generation", "1");
        assertThat(meanings(dump.sectors().get(3)))
                .containsEntry("flags", "RELEASED")
                .containsEntry("mode flags", "SHARED");
        assertThat(dump.sectors().get(3).offset()).isEqualTo(0x600);
    }

    @Test
    void aLockspaceOfRealDaemonsIsReadAsPublished() throws Exception {
        stage("l", LeaseArea.lockspace(LAYOUT, new LeaseName("LX"), 10), "14-request-force.lockspace");
        AreaDump dump = dump("l");
        assertThat(dump.sectors())
                .isNotEmpty()
                .allSatisfy(s -> assertThat(s.title()).startsWith("delta lease of host id "));
        assertThat(dump.remarks())
                .contains((2000 - dump.sectors().size()) + " delta leases were never taken and are left out");
    }

    @Test
    void everyByteThatIsNotZeroIsInSomeField() throws Exception {
        byte[] area = LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("r"), 8);
        new java.util.Random(1).nextBytes(area);
        System.arraycopy(LeaseArea.resource(LAYOUT, BuiltDirectory.SPACE, new LeaseName("r"), 8), 0, area, 0, 512);
        java.util.Arrays.fill(area, 20 * 512, area.length, (byte) 0); // fewer unknown sectors than are cut off
        new BuiltDirectory(dir, LAYOUT).file("r", area);
        boolean[] told = new boolean[area.length];
        for (Sector sector : dump("r").sectors()) {
            for (Field field : sector.fields()) {
                java.util.Arrays.fill(told, (int) field.offset(), (int) field.offset() + field.bytes(), true);
            }
        }
        for (int i = 0; i < area.length; i++) {
            assertThat(told[i] || area[i] == 0).as("byte %d", i).isTrue();
        }
    }

    @Test
    void fieldsOfALeaderCoverItOnce() throws Exception {
        stage(
                "r",
                LeaseArea.resource(LAYOUT, new LeaseName("LX"), new LeaseName("r"), 2000),
                "03-host1-exclusive.resource");
        boolean[] told = new boolean[200];
        for (Field field : dump("r").sectors().get(0).fields()) {
            for (int i = 0; i < field.bytes(); i++) {
                assertThat(told[(int) field.offset() + i])
                        .as("%s twice", field.name())
                        .isFalse();
                told[(int) field.offset() + i] = true;
            }
        }
        for (int i = 0; i < 200; i++) {
            boolean unused = i >= 160 && i < 168 || i == 172 || i == 173;
            assertThat(told[i]).as("byte %d", i).isEqualTo(!unused);
        }
    }

    @Test
    void ourNoteIsReadAndAStaleOneIsSaidToBe() {
        LeaseNote note = new LeaseNote("demo1", "u", "vda", "node-a", Long.MAX_VALUE);
        BuiltDirectory built = new BuiltDirectory(dir, LAYOUT).resource("r").held("r", new Owner(3, 1), 7, note);
        Sector sector = dump("r").sectors().get(2);
        assertThat(sector.title()).isEqualTo("note of vmguard");
        assertThat(values(sector)).containsEntry("domain name", "\"demo1\"").containsEntry("host name", "\"node-a\"");
        assertThat(meanings(sector)).containsEntry("lver", "of the hold that the leader shows");
        built.leader("r", edit -> edit.lver(8));
        assertThat(meanings(dump("r").sectors().get(2))).containsEntry("lver", "of another hold: the note is stale");
    }

    @Test
    void whatIsNoLeaseIsShownAsBytesUpToALimit() {
        byte[] bytes = new byte[1 << 20];
        java.util.Arrays.fill(bytes, (byte) 7);
        new BuiltDirectory(dir, LAYOUT).file("f", bytes);
        AreaDump dump = dump("f");
        assertThat(dump.title()).isEqualTo("not a lease");
        assertThat(dump.sectors()).hasSize(32);
        assertThat(dump.sectors().get(1).fields().get(0))
                .isEqualTo(new Field(512, 16, "", List.of("07").get(0) + " 07".repeat(15), ""));
        assertThat(dump.remarks()).contains("2016 more sectors hold unknown bytes");
    }
}
