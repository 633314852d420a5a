/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.function.Function;
import java.util.function.Supplier;

/** The few I/Os of a stock host. */
final class StockIo {
    static final LeaseLayout LAYOUT = Simulation.LAYOUT;

    private final Duration limit;

    StockIo(Duration limit) {
        this.limit = limit;
    }

    <R> Step<R> read(
            Step.Area area, long offset, int length, Function<byte[], Step<R>> then, Supplier<Step<R>> failed) {
        return new Step.Read<>(
                area,
                offset,
                length,
                limit,
                outcome -> outcome instanceof IoOutcome.Done done ? then.apply(done.bytes()) : failed.get());
    }

    <R> Step<R> write(
            Step.Area area,
            long offset,
            byte[] sector,
            Duration within,
            Supplier<Step<R>> then,
            Supplier<Step<R>> failed) {
        return new Step.Write<>(
                area, offset, sector, within, outcome -> outcome instanceof IoOutcome.Done ? then.get() : failed.get());
    }

    <R> Step<R> delta(long hostId, Function<LeaderRecord, Step<R>> then, Supplier<Step<R>> failed) {
        return read(
                Step.Area.LOCKSPACE,
                LAYOUT.deltaOffset(hostId),
                LAYOUT.sectorBytes(),
                bytes -> LeaderRecord.decodeDelta(bytes, 0, Simulation.LOCKSPACE)
                        .fold(then, (fault, why) -> failed.get()),
                failed);
    }

    <R> Step<R> leader(LeaseName resource, Function<LeaderRecord, Step<R>> then, Supplier<Step<R>> failed) {
        return read(
                Step.Area.RESOURCE,
                LAYOUT.leaderOffset(),
                LAYOUT.sectorBytes(),
                bytes -> decode(bytes, resource).fold(then, (fault, why) -> failed.get()),
                failed);
    }

    static Decoded<LeaderRecord> decode(byte[] area, LeaseName resource) {
        return LeaderRecord.decodeResource(area, 0, Simulation.LOCKSPACE, resource, 1);
    }

    <R> Step<R> block(long hostId, Function<DiskBlock, Step<R>> then, Supplier<Step<R>> failed) {
        return read(
                Step.Area.RESOURCE,
                LAYOUT.diskBlockOffset(hostId),
                LAYOUT.sectorBytes(),
                bytes -> DiskBlock.decode(bytes, 0).fold(then, (fault, why) -> failed.get()),
                failed);
    }
}
