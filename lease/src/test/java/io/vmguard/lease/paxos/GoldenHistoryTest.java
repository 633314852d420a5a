/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.DeltaLeave;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.Vectors;
import io.vmguard.lease.ondisk.Vectors.Vector;
import io.vmguard.lease.step.Step;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * The whole recorded life of one lockspace and one resource under two sanlock daemons, lived again by our machines at the same
 * seconds. After each stage the sectors are the daemons', byte for byte, but for two deliberate differences, which are asserted too:
 *
 * <ul>
 *   <li>a refused conversion (stage 08) leaves our block flagged as released, as every other block in shared mode is: a leader that
 *       somebody else committed for us then never keeps others out
 *   <li>a refused shared acquire (stage 11) writes nothing, where the daemon wipes its block
 * </ul>
 */
class GoldenHistoryTest {
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);
    private static final LeaseName SPACE = new LeaseName("__LIBVIRT__DISKS__");
    private static final LeaseName RESOURCE = new LeaseName("9ba8f0215a51a6dc0aa077c427b749c8");
    private static final int FLAGS = 52;

    private final Map<Long, LeaderRecord> deltas = new HashMap<>();
    private LeaseBench bench;
    private String folder;

    private void area(String vectors, LeaseLayout layout) {
        folder = vectors;
        bench = new LeaseBench(layout, SPACE, RESOURCE, layout.maxHosts()).usually(layout.maxHosts());
    }

    private void join(long id, String name, long second) {
        DeltaJoin machine = new DeltaJoin(
                SPACE, bench.layout, TIMEOUTS, bench.clock.at(second), id, name, DeltaJoin.Entry.FREE_ONLY);
        DeltaJoin.Result result = bench.disk.run(machine.start());
        assertThat(result).isInstanceOf(DeltaJoin.Result.Joined.class);
        deltas.put(id, ((DeltaJoin.Result.Joined) result).record());
    }

    private void renew(long id, long second) {
        DeltaRenewal machine = new DeltaRenewal(
                SPACE, bench.layout, TIMEOUTS, bench.clock.at(second), deltas.get(id), true, Long.MAX_VALUE, Set.of());
        DeltaRenewal.Result result = bench.disk.run(machine.start());
        assertThat(result).isInstanceOf(DeltaRenewal.Result.Renewed.class);
        deltas.put(id, ((DeltaRenewal.Result.Renewed) result).record());
        bench.looks(id);
    }

    private PaxosAcquire.Result acquire(long id, PaxosAcquire.Want want, long second) {
        bench.clock.at(second);
        return bench.disk.run(new PaxosAcquire(bench.host(id), want).start());
    }

    private void acquired(long id, PaxosAcquire.Want want, long second) {
        assertThat(acquire(id, want, second)).isInstanceOf(PaxosAcquire.Result.Acquired.class);
    }

    private void refused(long id, PaxosAcquire.Want want, long second, Owner by, boolean shared) {
        PaxosAcquire.Result result = acquire(id, want, second);
        assertThat(result).isInstanceOf(PaxosAcquire.Result.Held.class);
        assertThat(((PaxosAcquire.Result.Held) result).owner()).isEqualTo(by);
        assertThat(((PaxosAcquire.Result.Held) result).shared()).isEqualTo(shared);
    }

    private void release(long id, long second) {
        bench.clock.at(second);
        assertThat(bench.disk.run(new PaxosRelease(bench.host(id), bench.onDisk(id)).start()))
                .isInstanceOf(PaxosRelease.Result.Released.class);
    }

    /** Compares every recorded sector of a stage. */
    private void stageIs(String stage, String... differently) {
        List<Vector> golden = Vectors.of(folder, stage);
        assertThat(golden).isNotEmpty();
        for (Vector vector : golden) {
            if (!List.of(differently).contains(vector.name())) {
                assertThat(sector(vector.area(), vector.offset()))
                        .as(vector.name())
                        .isEqualTo(vector.meaningful());
            }
        }
    }

    private byte[] sector(Step.Area area, int offset) {
        return Arrays.copyOfRange(bench.disk.area(area), offset, offset + bench.layout.sectorBytes());
    }

    private byte[] recorded(String stage, int offset) {
        return Vectors.sector(String.format("%s/%s.resource.off-%06x", folder, stage, offset));
    }

    @Test
    void twoHostsWith512ByteSectors() {
        area("s512", LeaseLayout.SECTOR_512);
        stageIs("01");
        join(1, "hostA", 2246);
        renew(1, 2266);
        stageIs("02");
        acquired(1, PaxosAcquire.Want.EXCLUSIVE, 2274);
        stageIs("03");

        join(2, "hostB", 2300);
        renew(2, 2327);
        renew(1, 2348);
        renew(2, 2347);
        refused(2, PaxosAcquire.Want.EXCLUSIVE, 2349, new Owner(1, 1), false);
        stageIs("04");

        release(1, 2363);
        stageIs("05");
        acquired(1, PaxosAcquire.Want.SHARED, 2365);
        stageIs("06");
        acquired(2, PaxosAcquire.Want.SHARED, 2366);
        stageIs("07");

        refused(1, PaxosAcquire.Want.UPGRADE, 2382, new Owner(2, 1), true);
        String refusedBlock = "08-host1-convert-refused.resource.off-000400";
        stageIs("08", refusedBlock);
        byte[] flagged = recorded("08-host1-convert-refused", 0x400);
        flagged[FLAGS] = 1;
        assertThat(sector(Step.Area.RESOURCE, 0x400)).as(refusedBlock).isEqualTo(flagged);

        release(2, 2383);
        refused(2, PaxosAcquire.Want.EXCLUSIVE, 2384, new Owner(1, 1), true);
        stageIs("09", "09-host2-ex-refused-by-sh.resource.off-000400");
        acquired(1, PaxosAcquire.Want.UPGRADE, 2384);
        stageIs("10");

        refused(2, PaxosAcquire.Want.SHARED, 2384, new Owner(1, 1), false);
        stageIs("11", "11-host2-sh-refused-by-ex.resource.off-000600");
        assertThat(sector(Step.Area.RESOURCE, 0x600))
                .as("nothing written")
                .isEqualTo(recorded("10-host1-converted-ex", 0x600));

        bench.clock.at(2384);
        assertThat(bench.disk.run(new PaxosDowngrade(bench.host(1), bench.onDisk(1)).start()))
                .isInstanceOf(PaxosDowngrade.Result.Shared.class);
        stageIs("12");
        bench.disk.run(new DeltaLeave(bench.layout, TIMEOUTS.ioTimeout(), deltas.get(1L)).start());
        stageIs("13");
    }

    @Test
    void twoHostsWith4096ByteSectors() {
        area("s4096", LeaseLayout.of(4096, 0x10).orElseThrow());
        stageIs("01");
        join(1, "hostA", 2859);
        join(2, "hostB", 2859);
        renew(1, 2879);
        renew(2, 2879);
        stageIs("02");
        acquired(1, PaxosAcquire.Want.EXCLUSIVE, 2900);
        stageIs("03");
        release(1, 2901);
        stageIs("04");
        acquired(1, PaxosAcquire.Want.SHARED, 2903);
        acquired(2, PaxosAcquire.Want.SHARED, 2904);
        stageIs("05");
    }

    @Test
    void aResourceMadeForEightHosts() {
        folder = "s512";
        bench = new LeaseBench(LeaseLayout.SECTOR_512, new LeaseName("LU"), new LeaseName("RN"), 8).usually(2000);
        acquired(1, PaxosAcquire.Want.EXCLUSIVE, 4046);
        release(1, 4046);
        stageIs("17");
        assertThat(bench.disk.reads())
                .extracting(read -> read.length())
                .as("the first look is of the usual size, a ballot reads what takes part")
                .containsExactly(1 << 20, 8192, 8192, 512);
    }

    @Test
    void aRemovedResourceIsMarkedAsSanlockMarksIt() {
        LeaderRecord cleared = LeaderRecord.freeResource(
                        LeaseLayout.SECTOR_512, new LeaseName("LU"), new LeaseName("RC"), 2000)
                .edit()
                .cleared()
                .writer(new Owner(0, 0), 4045)
                .seal();
        byte[] golden = Vectors.sector("s512/16-cleared-resource.resource.off-000000");
        assertThat(cleared.sector(LeaseLayout.SECTOR_512)).isEqualTo(golden);
        bench = new LeaseBench(LeaseLayout.SECTOR_512, new LeaseName("LU"), new LeaseName("RC"), 2000);
        bench.disk.put(Step.Area.RESOURCE, 0, golden);
        PaxosAcquire.Result result = acquire(1, PaxosAcquire.Want.EXCLUSIVE, 5000);
        assertThat(result).isInstanceOf(PaxosAcquire.Result.Failed.class);
        assertThat(((PaxosAcquire.Result.Failed) result).fault()).isEqualTo(LeaseFault.MAGIC);
        assertThat(bench.disk.writes()).isEmpty();
    }
}
