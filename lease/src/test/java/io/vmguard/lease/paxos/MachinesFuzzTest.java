/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.Callers;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.ondisk.AnyArea;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.HandClock;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.MethodSource;

/** On whatever lies in the areas the machines come to an end with a result, and write nothing that is not theirs to write. */
class MachinesFuzzTest {
    private static final Owner ME = new Owner(1, 2);

    private final HandClock clock = new HandClock();
    private final Timeouts timeouts = Timeouts.ofSeconds(10);

    @MethodSource("areas")
    @FuzzTest
    void anAcquireEnds(byte[] bytes) {
        for (PaxosAcquire.Want want : PaxosAcquire.Want.values()) {
            Bench bench = bench(bytes);
            PaxosAcquire.Result result = bench.run(new PaxosAcquire(bench.context, want).start());
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                bench.run(new PaxosRelease(bench.context, acquired.held()).start());
            }
            bench.assertOwnWrites();
        }
    }

    @MethodSource("areas")
    @FuzzTest
    void aRequestEnds(byte[] bytes) {
        Bench bench = bench(bytes);
        bench.run(new PaxosRequest(bench.context, RequestMode.values()[0]).start());
        bench.run(PaxosRequest.asked(bench.context, 3));
        bench.run(new PaxosAdopt(bench.context).start());
        bench.assertOwnWrites();
    }

    @MethodSource("areas")
    @FuzzTest
    void aHandOverEndsOnBothSides(byte[] bytes) {
        Bench bench = bench(bytes);
        Owner other = new Owner(2, 1);
        bench.run(new PaxosReceive(bench.context, other).prepare());
        bench.run(new PaxosReceive(bench.context, other).confirm());
        bench.run(PaxosHandOver.progress(bench.context, other));
        bench.run(new PaxosReceive(bench.context, other).decline());
        bench.assertOwnWrites();
    }

    @MethodSource("areas")
    @FuzzTest
    void aLockspaceIsLookedAtAndJoined(byte[] bytes) {
        AnyArea any = lockspace(bytes);
        byte[] area = any.whole();
        HostTable hosts = new HostTable(AnyArea.SPACE, any.layout(), timeouts);
        Callers callers = new Callers(any.layout(), timeouts, 1);
        for (int look = 0; look < 2; look++) {
            hosts.update(area, clock.bootNanos(), clock.bootNanos());
            callers.call(area, hosts, clock.bootNanos());
            clock.pass(Duration.ofSeconds(100));
        }
        for (Map.Entry<Long, HostSighting> host : hosts.all().entrySet()) {
            HostSighting sighting = host.getValue();
            assertThat(sighting.status(clock.bootNanos())).isNotNull();
            assertThat(sighting.deadNanos())
                    .isGreaterThan(sighting.timeouts().renewalFailed().toNanos());
            hosts.mayHoldShared(host.getKey(), 1);
        }
        for (DeltaJoin.Entry entry : DeltaJoin.Entry.values()) {
            MemoryDisk disk = new MemoryDisk(area, new byte[0], clock);
            disk.run(new DeltaJoin(AnyArea.SPACE, any.layout(), timeouts, clock, 2, "a", entry).start());
            assertThat(disk.writes())
                    .allSatisfy(write ->
                            assertThat(write.offset()).isEqualTo(any.layout().deltaOffset(2)));
        }
    }

    private Bench bench(byte[] bytes) {
        AnyArea resource = AnyArea.of(bytes);
        // The other half of the bytes makes the lockspace, which decides the geometry.
        AnyArea lockspace = lockspace(Arrays.copyOfRange(bytes, bytes.length / 2, bytes.length));
        LeaseLayout layout = lockspace.layout();
        return new Bench(lockspace.whole(), Arrays.copyOf(resource.bytes(), layout.areaBytes()), layout);
    }

    /** Of the right kind at first: a host is no member of anything else. */
    private static AnyArea lockspace(byte[] bytes) {
        byte[] program = bytes.clone();
        if (program.length > 0) {
            program[0] = 0;
        }
        return AnyArea.of(program);
    }

    /** Host 1 of generation 2 in a lockspace that it has looked at twice. */
    private final class Bench {
        private final LeaseLayout layout;
        private final MemoryDisk disk;
        private final ResourceContext context;
        private final Set<Long> marked = new HashSet<>();

        Bench(byte[] lockspace, byte[] resource, LeaseLayout layout) {
            this.layout = layout;
            this.disk = new MemoryDisk(lockspace, resource, clock);
            HostTable hosts = new HostTable(AnyArea.SPACE, layout, timeouts);
            hosts.update(lockspace, clock.bootNanos(), clock.bootNanos());
            clock.pass(Duration.ofSeconds(200));
            hosts.update(lockspace, clock.bootNanos(), clock.bootNanos());
            this.context = new ResourceContext(
                    AnyArea.SPACE, AnyArea.RESOURCE, layout, 8, timeouts, ME, hosts, () -> true, clock, new Random(1));
            for (long id = 1; id <= layout.maxHosts(); id++) {
                if ((resource[(int) layout.diskBlockOffset(id) + 128] & 1) != 0) {
                    marked.add(id);
                }
            }
        }

        <R> R run(Step<R> machine) {
            R result = disk.run(machine);
            assertThat(result).isNotNull();
            return result;
        }

        /** The leader, our own block, a request for the next version; and zeroes over the mark of a dead sharer. */
        void assertOwnWrites() {
            for (MemoryDisk.Write write : disk.writes()) {
                assertThat(write.area()).isEqualTo(Step.Area.RESOURCE);
                assertThat(write.sector()).hasSize(layout.sectorBytes());
                boolean ours = write.offset() == 0
                        || write.offset() == layout.requestOffset()
                        || write.offset() == layout.diskBlockOffset(ME.hostId());
                if (write.offset() == 0) {
                    LeaderRecord leader = LeaderRecord.at(write.sector(), 0);
                    assertThat(leader.edit().seal()).isEqualTo(leader);
                    assertThat(leader.writer().hostId()).isEqualTo(ME.hostId());
                }
                if (!ours) {
                    assertThat(marked).contains(write.offset() / layout.sectorBytes() - 1);
                    assertThat(Arrays.equals(write.sector(), new byte[layout.sectorBytes()]))
                            .isTrue();
                }
            }
        }
    }

    static Stream<byte[]> areas() {
        return AnyArea.seeds();
    }
}
