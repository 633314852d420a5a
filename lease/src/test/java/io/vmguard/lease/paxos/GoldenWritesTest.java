/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.DeltaLeave;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.Vectors;
import io.vmguard.lease.ondisk.Vectors.Vector;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Golden writes: over the area as it stood before, at the same second and under the same names, each machine writes what the sanlock
 * daemon wrote: the same sectors, in the same order, in the same number, byte for byte.
 * Excepted is padding, four bytes of some blocks, that the daemon does not initialise.
 *
 * <p>{@code writes512} was taken at the daemon's system calls on lockspace LY, resource R, host id 1. The areas before an operation
 * are built from the daemon's writes alone, so one wrong write fails one test.
 */
class GoldenWritesTest {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseName SPACE = new LeaseName("LY");
    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);

    private final LeaseBench bench = new LeaseBench(LAYOUT, SPACE, new LeaseName("R"), 2000).usually(2000);
    private final ResourceContext host = bench.host(1);

    /** Lays everything on the disk that the daemon had written before this operation, and sets the clock. */
    private void before(String operation, long second) {
        for (Vector vector : Vectors.of("writes512", "")) {
            if (vector.name().compareTo(operation) < 0) {
                bench.disk.put(vector.area(), vector.offset(), vector.sector());
            }
        }
        bench.clock.at(second);
    }

    private void wroteWhatTheDaemonWrote(String operation) {
        List<Vector> golden = Vectors.of("writes512", operation);
        List<MemoryDisk.Write> writes = bench.disk.writes();
        assertThat(golden).isNotEmpty();
        assertThat(writes).hasSameSizeAs(golden);
        for (int i = 0; i < golden.size(); i++) {
            Vector wanted = golden.get(i);
            assertThat(writes.get(i).area()).as(wanted.name()).isEqualTo(wanted.area());
            assertThat(writes.get(i).offset()).as(wanted.name()).isEqualTo(wanted.offset());
            assertThat(writes.get(i).sector()).as(wanted.name()).isEqualTo(wanted.meaningful());
        }
    }

    private LeaderRecord delta() {
        Decoded<LeaderRecord> decoded = LeaderRecord.decodeDelta(bench.disk.area(Step.Area.LOCKSPACE), 0, SPACE);
        return ((Decoded.Valid<LeaderRecord>) decoded).value();
    }

    private DeltaRenewal.Result renew() {
        DeltaRenewal renewal =
                new DeltaRenewal(SPACE, LAYOUT, TIMEOUTS, bench.clock, delta(), true, Long.MAX_VALUE, Set.of());
        return bench.disk.run(renewal.start());
    }

    @Test
    void joining() {
        before("01-delta-acquire", 3803);
        DeltaJoin join = new DeltaJoin(SPACE, LAYOUT, TIMEOUTS, bench.clock, 1, "hostX", DeltaJoin.Entry.FREE_ONLY);
        assertThat(bench.disk.run(join.start())).isInstanceOf(DeltaJoin.Result.Joined.class);
        wroteWhatTheDaemonWrote("01-delta-acquire");
    }

    @Test
    void renewingTwice() {
        before("02-renewal", 3824);
        assertThat(renew()).isInstanceOf(DeltaRenewal.Result.Renewed.class);
        bench.clock.at(3844);
        assertThat(renew()).isInstanceOf(DeltaRenewal.Result.Renewed.class);
        wroteWhatTheDaemonWrote("02-renewal");
    }

    @Test
    void acquiringExclusively() {
        before("03-ex-acquire", 3825);
        assertThat(bench.disk.run(new PaxosAcquire(host).start())).isInstanceOf(PaxosAcquire.Result.Acquired.class);
        wroteWhatTheDaemonWrote("03-ex-acquire");
    }

    @Test
    void releasingAnExclusiveHold() {
        before("04-ex-release", 3826);
        assertThat(bench.disk.run(new PaxosRelease(host, bench.onDisk(1)).start()))
                .isInstanceOf(PaxosRelease.Result.Released.class);
        wroteWhatTheDaemonWrote("04-ex-release");
    }

    @Test
    void acquiringShared() {
        before("05-sh-acquire", 3827);
        assertThat(bench.disk.run(new PaxosAcquire(host, PaxosAcquire.Want.SHARED).start()))
                .isInstanceOf(PaxosAcquire.Result.Acquired.class);
        wroteWhatTheDaemonWrote("05-sh-acquire");
    }

    @Test
    void convertingFromSharedToExclusive() {
        before("06-sh-to-ex", 3828);
        assertThat(bench.disk.run(new PaxosAcquire(host, PaxosAcquire.Want.UPGRADE).start()))
                .isInstanceOf(PaxosAcquire.Result.Acquired.class);
        wroteWhatTheDaemonWrote("06-sh-to-ex");
    }

    @Test
    void convertingFromExclusiveToShared() {
        before("07-ex-to-sh", 3829);
        assertThat(bench.disk.run(new PaxosDowngrade(host, bench.onDisk(1)).start()))
                .isInstanceOf(PaxosDowngrade.Result.Shared.class);
        wroteWhatTheDaemonWrote("07-ex-to-sh");
    }

    @Test
    void releasingASharedHold() {
        before("08-sh-release", 3829);
        assertThat(bench.disk.run(new PaxosRelease(host, bench.onDisk(1)).start()))
                .isInstanceOf(PaxosRelease.Result.Released.class);
        wroteWhatTheDaemonWrote("08-sh-release");
    }

    @Test
    void leaving() {
        before("09-delta-release", 3845);
        bench.disk.run(new DeltaLeave(LAYOUT, TIMEOUTS.ioTimeout(), delta()).start());
        wroteWhatTheDaemonWrote("09-delta-release");
    }

    @Test
    void requestingFromAnotherHost() {
        // Stage 14: the holder was killed before the picture was taken. Here it still holds.
        LeaseBench asked = new LeaseBench(LAYOUT, new LeaseName("LS"), new LeaseName("R2"), 2000).usually(2000);
        asked.leader(LeaderRecord.at(Vectors.sector("s512/14-request-force.resource.off-000000"), 0)
                .edit()
                .timestamp(2751)
                .seal());
        PaxosRequest request = new PaxosRequest(asked.host(new Owner(1, 2)), RequestMode.FORCE);
        assertThat(asked.disk.run(request.start())).isEqualTo(new PaxosRequest.Result.Asked(new Owner(2, 3), 4));
        assertThat(asked.disk.writes()).singleElement().satisfies(write -> {
            assertThat(write.offset()).isEqualTo(0x200);
            assertThat(write.sector()).isEqualTo(Vectors.sector("s512/14-request-force.resource.off-000200"));
        });
    }

    @Test
    void renewingWithACallForAnotherHost() {
        LeaseName space = new LeaseName("LS");
        byte[] golden = Vectors.sector("s512/14-request-force.lockspace.off-000000");
        bench.disk.put(Step.Area.LOCKSPACE, 0, golden);
        LeaderRecord last = LeaderRecord.at(golden, 0).edit().timestamp(2750).seal();
        bench.disk.put(Step.Area.LOCKSPACE, 0, last.sector(LAYOUT));
        DeltaRenewal renewal = new DeltaRenewal(
                space, LAYOUT, Timeouts.ofSeconds(1), bench.clock.at(2752), last, true, Long.MAX_VALUE, Set.of(2L));
        assertThat(bench.disk.run(renewal.start())).isInstanceOf(DeltaRenewal.Result.Renewed.class);
        assertThat(bench.disk.writes())
                .singleElement()
                .satisfies(write -> assertThat(write.sector()).isEqualTo(golden));
    }

    @Test
    void everyWriteOfTheDaemonIsOneOfTheseTests() {
        List<String> operations = new ArrayList<>();
        for (Vector vector : Vectors.of("writes512", "")) {
            String operation = vector.name().substring(0, vector.name().indexOf("-w"));
            if (!operations.contains(operation)) {
                operations.add(operation);
            }
        }
        assertThat(operations)
                .containsExactly(
                        "01-delta-acquire",
                        "02-renewal",
                        "03-ex-acquire",
                        "04-ex-release",
                        "05-sh-acquire",
                        "06-sh-to-ex",
                        "07-ex-to-sh",
                        "08-sh-release",
                        "09-delta-release");
    }
}
