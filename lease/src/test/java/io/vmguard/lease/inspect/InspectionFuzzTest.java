/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.inspect.AreaDump.Field;
import io.vmguard.lease.inspect.AreaDump.Sector;
import io.vmguard.lease.inspect.ResourceInspection.State;
import io.vmguard.lease.ondisk.AnyArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever lies in a file, who looks at it gets an answer; and what is wrong with it is said by a finding that names file and offset. */
class InspectionFuzzTest {
    @MethodSource("areas")
    @FuzzTest
    void aDumpTellsEveryByteThatIsNotZero(byte[] bytes) {
        byte[] file = AnyArea.of(bytes).bytes();
        Look look = look(file);
        LeaseLayout layout = look.layout().orElse(LeaseLayout.SECTOR_512);
        byte[] area = ((IoOutcome.Done) look.readArea(layout.areaBytes())).bytes();
        AreaDump dump = AreaDumper.dump(look, layout, area);
        assertThat(dump.title()).isNotBlank();
        boolean leftOut = dump.remarks().stream().anyMatch(remark -> remark.contains("more sectors hold unknown"));
        if (!leftOut && look.kind() == Look.Kind.RESOURCE) {
            assertTold(dump, area, layout);
        }
    }

    private static void assertTold(AreaDump dump, byte[] area, LeaseLayout layout) {
        byte[] untold = Arrays.copyOf(area, area.length / layout.sectorBytes() * layout.sectorBytes());
        for (Sector sector : dump.sectors()) {
            for (Field field : sector.fields()) {
                int begin = (int) field.offset();
                assertThat(begin + field.bytes()).isLessThanOrEqualTo(untold.length);
                Arrays.fill(untold, begin, begin + field.bytes(), (byte) 0);
            }
        }
        assertThat(Arrays.equals(untold, new byte[untold.length])).isTrue();
    }

    @MethodSource("areas")
    @FuzzTest
    void aResourceIsJudged(byte[] bytes) {
        byte[] file = AnyArea.of(bytes).bytes();
        // The lockspace beside it is made of the same bytes, so it may be of another geometry, or none.
        Look beside = look(AnyArea.of(Arrays.copyOfRange(bytes, bytes.length / 2, bytes.length))
                .bytes());
        for (LeaseInspector.Depth depth : LeaseInspector.Depth.values()) {
            Optional<LockspaceInspection> lockspace = beside.kind() == Look.Kind.LOCKSPACE
                    ? Optional.of(LockspaceReader.read(beside).inspection())
                    : Optional.empty();
            ResourceInspection seen =
                    ResourceReader.read(look(file), name -> lockspace, depth).judge(lockspace);
            if (seen.state() == State.CORRUPT || seen.state() == State.FOREIGN) {
                assertThat(seen.findings()).isNotEmpty();
            }
            seen.findings().forEach(InspectionFuzzTest::assertSentence);
        }
    }

    @MethodSource("areas")
    @FuzzTest
    void aLockspaceIsRead(byte[] bytes) {
        LockspaceInspection seen =
                LockspaceReader.read(look(AnyArea.of(bytes).bytes())).inspection();
        seen.findings().forEach(InspectionFuzzTest::assertSentence);
        assertThat(seen.hosts()).allSatisfy(host -> assertThat(host.asked()).allMatch(id -> id >= 1));
        if (seen.findings().stream().noneMatch(finding -> finding.fault() == LeaseFault.GEOMETRY)) {
            assertThat(seen.hosts().size() + seen.unreadable().size())
                    .isLessThanOrEqualTo(seen.geometry().maxHosts());
        }
    }

    private static void assertSentence(Finding finding) {
        assertThat(finding.file()).isEqualTo("/mnt/leases/lease");
        assertThat(finding.offset()).isNotNegative();
        assertThat(finding.what()).isNotBlank();
    }

    private static Look look(byte[] file) {
        LeaseFiles.Entry entry = new LeaseFiles.Entry("lease", true, file.length, 0);
        LeaseFile memory = new InMemory(file);
        byte[] head = ((IoOutcome.Done) Look.head(entry, memory)).bytes();
        return new Look(entry, "/mnt/leases/lease", memory, head);
    }

    /** Reads as a directory does: whole sectors that are there, or short. */
    private record InMemory(byte[] file) implements LeaseFile {
        @Override
        public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
            assertThat(offsetBytes % 512).isZero();
            assertThat(lengthBytes % 512).isZero();
            return offsetBytes + lengthBytes > file.length
                    ? new IoOutcome.Failed(LeaseFault.SHORT, "short")
                    : new IoOutcome.Done(Arrays.copyOfRange(file, (int) offsetBytes, (int) offsetBytes + lengthBytes));
        }

        @Override
        public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
            throw new AssertionError("who looks does not write");
        }

        @Override
        public boolean stillNamed() {
            return true;
        }

        @Override
        public void close() {}
    }

    static Stream<byte[]> areas() {
        return AnyArea.seeds();
    }
}
