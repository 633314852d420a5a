/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.util.Locale;
import java.util.function.BiFunction;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/**
 * What every resource machine needs: who we are, which resource, and the few I/Os that all of them do.
 *
 * @param usualHosts for how many hosts resources of this lockspace are usually made; decides how much the first read takes
 * @param me our membership, under which the lease is held
 * @param member whether that membership is still in time; asked before each write, because nothing may be written under a lost one
 */
public record ResourceContext(
        LeaseName lockspace,
        LeaseName resource,
        LeaseLayout layout,
        int usualHosts,
        Timeouts timeouts,
        Owner me,
        HostTable hosts,
        BooleanSupplier member,
        LeaseClock clock,
        RandomGenerator random) {

    /** Reads sectors of the resource. */
    <R> Step<R> read(
            long offset, int length, Function<byte[], Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return new Step.Read<>(
                Step.Area.RESOURCE, offset, length, timeouts.ioTimeout(), outcome -> onRead(outcome, then, failed));
    }

    /** Reads and verifies the leader. */
    <R> Step<R> readLeader(Function<LeaderRecord, Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return read(
                layout.leaderOffset(),
                layout.sectorBytes(),
                bytes -> decodeLeader(bytes).fold(then, failed),
                failed);
    }

    /** Also of the lockspace's geometry: of another one, every offset would be another host's. */
    Decoded<LeaderRecord> decodeLeader(byte[] area) {
        return LeaderRecord.decodeResource(area, 0, lockspace, resource, me.hostId())
                .fold(
                        leader -> leader.fits(layout)
                                ? new Decoded.Valid<>(leader)
                                : new Decoded.Corrupt<>(
                                        LeaseFault.GEOMETRY,
                                        String.format(
                                                Locale.ROOT,
                                                "sector size %d, align flag 0x%x, %d of %d hosts; its lockspace has"
                                                        + " sector size %d, align flag 0x%x, %d hosts",
                                                leader.sectorSize(),
                                                leader.flags() & LeaseLayout.ALIGN_FLAGS,
                                                leader.numHosts(),
                                                leader.maxHosts(),
                                                layout.sectorBytes(),
                                                layout.flag(),
                                                layout.maxHosts())),
                        Decoded.Corrupt::new);
    }

    /** Reads and verifies the delta lease of a host. */
    <R> Step<R> readDelta(
            long hostId, Function<LeaderRecord, Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return new Step.Read<>(
                Step.Area.LOCKSPACE,
                layout.deltaOffset(hostId),
                layout.sectorBytes(),
                timeouts.ioTimeout(),
                outcome -> onRead(
                        outcome,
                        bytes -> LeaderRecord.decodeDelta(bytes, 0, lockspace).fold(then, failed),
                        failed));
    }

    /** Reads and verifies the disk block of a host. */
    <R> Step<R> readBlock(
            long hostId, Function<DiskBlock, Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return read(
                layout.diskBlockOffset(hostId),
                layout.sectorBytes(),
                bytes -> DiskBlock.decode(bytes, 0).fold(then, failed),
                failed);
    }

    /** Writes the leader. */
    <R> Step<R> writeLeader(
            LeaderRecord leader, Supplier<Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return write(layout.leaderOffset(), leader.sector(layout), then, failed);
    }

    /** Writes our own disk block. */
    <R> Step<R> writeBlock(DiskBlock block, Supplier<Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return write(layout.diskBlockOffset(me.hostId()), block.sector(layout), then, failed);
    }

    <R> Step<R> write(
            long offset, byte[] sector, Supplier<Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        if (!member.getAsBoolean()) {
            return failed.apply(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile");
        }
        return new Step.Write<>(Step.Area.RESOURCE, offset, sector, timeouts.ioTimeout(), outcome -> {
            if (outcome instanceof IoOutcome.Failed f) {
                return failed.apply(f.fault(), f.why());
            }
            return then.get();
        });
    }

    private static <R> Step<R> onRead(
            IoOutcome outcome, Function<byte[], Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        if (outcome instanceof IoOutcome.Failed f) {
            return failed.apply(f.fault(), f.why());
        }
        return then.apply(((IoOutcome.Done) outcome).bytes());
    }
}
