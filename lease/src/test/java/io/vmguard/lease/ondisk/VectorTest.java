/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Golden bytes: sectors written by real sanlock daemons decode as sound and encode to the same bytes. */
class VectorTest {
    private static final LeaseName LOCKSPACE = new LeaseName("__LIBVIRT__DISKS__");

    static List<Vectors.Vector> vectors() {
        return Vectors.all();
    }

    private static LeaseLayout layout(byte[] sector) {
        return LeaseLayout.of(sector.length, 0x10).orElseThrow();
    }

    @ParameterizedTest
    @MethodSource("vectors")
    void everySectorOfARealDaemonSurvivesDecodingAndEncoding(Vectors.Vector vector) {
        byte[] sector = vector.sector();
        String name = vector.name();
        LeaderRecord raw = LeaderRecord.at(sector, 0);
        LeaseName space = raw.spaceName().isEmpty() ? LOCKSPACE : new LeaseName(raw.spaceName());
        byte[] encoded;
        if (name.contains(".lockspace.")) {
            encoded = valid(LeaderRecord.decodeDelta(sector, 0, space)).sector(layout(sector));
            System.arraycopy(sector, 256, encoded, 256, 256); // the bitmap is not part of the record
        } else if (name.endsWith("off-000000") && raw.magic() == LeaderRecord.CLEARED_MAGIC) {
            assertThat(LeaderRecord.decodeResource(sector, 0, space, new LeaseName("RC"), 1))
                    .isInstanceOf(Decoded.Corrupt.class);
            return;
        } else if (name.endsWith("off-000000")) {
            LeaseName resource = new LeaseName(raw.resourceName());
            encoded = valid(LeaderRecord.decodeResource(sector, 0, space, resource, 1))
                    .sector(layout(sector));
        } else if (vector.offset() == layout(sector).requestOffset()) {
            encoded = valid(RequestRecord.decode(sector, 0)).sector(layout(sector));
        } else {
            encoded = valid(DiskBlock.decode(sector, 0)).sector(layout(sector));
        }
        assertThat(encoded).isEqualTo(vector.meaningful());
    }

    private static <T> T valid(Decoded<T> decoded) {
        assertThat(decoded).isInstanceOf(Decoded.Valid.class);
        return ((Decoded.Valid<T>) decoded).value();
    }

    @Test
    void aNewLockspaceHasTheBytesThatSanlockWrites() {
        for (LeaseLayout layout :
                List.of(LeaseLayout.SECTOR_512, LeaseLayout.of(4096, 0x10).orElseThrow())) {
            String dir = layout.sectorBytes() == 512 ? "s512" : "s4096";
            byte[] area = LeaseArea.lockspace(layout, LOCKSPACE, 10);
            byte[] golden = Vectors.sector(dir + "/01-init.lockspace.off-000000");
            for (int id = 1; id <= layout.maxHosts(); id++) {
                int offset = (int) layout.deltaOffset(id);
                assertThat(Arrays.copyOfRange(area, offset, offset + layout.sectorBytes()))
                        .isEqualTo(golden);
            }
            int end = layout.maxHosts() * layout.sectorBytes();
            assertThat(Arrays.copyOfRange(area, end, area.length)).containsOnly(0);
        }
    }

    @Test
    void aNewResourceHasTheBytesThatSanlockWrites() {
        LeaseName name = new LeaseName("9ba8f0215a51a6dc0aa077c427b749c8");
        byte[] area = LeaseArea.resource(LeaseLayout.SECTOR_512, LOCKSPACE, name, 2000);
        assertThat(Arrays.copyOf(area, 512)).isEqualTo(Vectors.sector("s512/01-init.resource.off-000000"));
        byte[] request = Vectors.sector("s512/01-init.resource.off-000200");
        Arrays.fill(request, 20, 24, (byte) 0); // padding, garbage in the daemon's write
        assertThat(Arrays.copyOfRange(area, 512, 1024)).isEqualTo(request);
        assertThat(Arrays.copyOfRange(area, 1024, area.length)).containsOnly(0);
    }

    @Test
    void anEditMakesTheVeryRecordThatTheDaemonWroteNext() {
        LeaseName space = new LeaseName("LY");
        LeaderRecord before = valid(
                LeaderRecord.decodeDelta(Vectors.sector("writes512/02-renewal-w1.lockspace.off-000000"), 0, space));
        LeaderRecord renewed =
                before.edit().timestamp(3844).ioTimeoutSeconds(10).noEvent().seal();
        assertThat(renewed.sector(LeaseLayout.SECTOR_512))
                .isEqualTo(Vectors.sector("writes512/02-renewal-w2.lockspace.off-000000"));
        LeaseName resource = new LeaseName("R");
        LeaderRecord free = valid(LeaderRecord.decodeResource(
                Vectors.sector("writes512/04-ex-release-w2.resource.off-000000"), 0, space, resource, 1));
        LeaderRecord held = valid(LeaderRecord.decodeResource(
                Vectors.sector("writes512/03-ex-acquire-w3.resource.off-000000"), 0, space, resource, 1));
        assertThat(held.edit().timestamp(0).writer(new Owner(1, 1), 3826).seal())
                .isEqualTo(free);
    }

    @Test
    void phasesOfABallotAreTheBytesThatTheDaemonWrote() {
        DiskBlock entering = DiskBlock.entering(1, 1);
        assertThat(entering.sector(LeaseLayout.SECTOR_512))
                .isEqualTo(Vectors.sector("writes512/03-ex-acquire-w1.resource.off-000400"));
        DiskBlock proposing = entering.proposing(1, 1, 3825);
        assertThat(proposing.sector(LeaseLayout.SECTOR_512))
                .isEqualTo(Vectors.sector("writes512/03-ex-acquire-w2.resource.off-000400"));
        assertThat(proposing.asReleased().sector(LeaseLayout.SECTOR_512))
                .isEqualTo(Vectors.sector("writes512/04-ex-release-w1.resource.off-000400"));
    }

    @Test
    void checksumsAreThoseOfThePublishedTable() {
        assertThat(SanlockChecksum.ofLeader(new byte[168], 0)).isEqualTo(0x7e11fbd1);
        assertThat(SanlockChecksum.ofDiskBlock(new byte[48], 0)).isEqualTo(0xcb5ad842);
    }

    @Test
    void namesOfForeignBytesKeepTheirBytes() {
        LeaseName umlaut = new LeaseName("größe");
        LeaderRecord record = LeaderRecord.freeDelta(LeaseLayout.SECTOR_512, umlaut, 10);
        assertThat(record.spaceName().getBytes(StandardCharsets.ISO_8859_1))
                .isEqualTo("größe".getBytes(StandardCharsets.UTF_8));
        assertThat(LeaderRecord.decodeDelta(record.sector(LeaseLayout.SECTOR_512), 0, umlaut))
                .isInstanceOf(Decoded.Valid.class);
    }
}
