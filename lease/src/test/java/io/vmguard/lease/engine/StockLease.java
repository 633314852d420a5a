/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * One resource lease of a stock host: how it gives up what it has, by sanlock's rules. {@link StockAcquire} takes it.
 *
 * <p>Other than a real daemon it writes nothing once its lockspace has failed, and tries again after every failed I/O, not after
 * timeouts alone.
 */
final class StockLease {
    static final DiskBlock WIPED = new DiskBlock(0, 0, 0, 0, 0, 0, true, false, 0);
    private static final Duration RETRY = Duration.ofSeconds(1);

    /** As committed, and the block as written last. */
    record Held(LeaderRecord leader, DiskBlock block) {
        LeaseMode mode() {
            return block.shared() ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
        }
    }

    final SimStock.Member member;
    final LeaseName resource;
    final StockIo io;
    final Owner me;

    StockLease(SimStock.Member member, LeaseName resource) {
        this.member = member;
        this.resource = resource;
        this.io = member.io;
        this.me = member.owner;
    }

    long now() {
        return member.now();
    }

    <R> Step<R> write(long offset, byte[] sector, Supplier<Step<R>> then, Supplier<Step<R>> failed) {
        return member.failed ? failed.get() : io.write(Step.Area.RESOURCE, offset, sector, member.limit, then, failed);
    }

    <R> Step<R> writeBlock(DiskBlock block, Supplier<Step<R>> then, Supplier<Step<R>> failed) {
        return write(StockIo.LAYOUT.diskBlockOffset(me.hostId()), block.sector(StockIo.LAYOUT), then, failed);
    }

    /** Until it is written, or the lockspace has failed. */
    <R> Step<R> insistOnBlock(DiskBlock block, Supplier<Step<R>> then) {
        return writeBlock(block, then, () -> again(then, () -> insistOnBlock(block, then)));
    }

    private <R> Step<R> again(Supplier<Step<R>> end, Supplier<Step<R>> more) {
        return member.failed ? end.get() : new Step.Pause<>(RETRY, more);
    }

    /** First the flag, then the leader. */
    <R> Step<R> releaseExclusive(Held held, Supplier<Step<R>> then) {
        Supplier<Step<R>> leader = () -> releaseLeader(Optional.of(held.leader()), then);
        return writeBlock(held.block().asReleased(), leader, leader);
    }

    <R> Step<R> releaseShared(Held held, Supplier<Step<R>> then) {
        return insistOnBlock(held.block().asReleased(), then);
    }

    /** Exclusive to shared: the mark first. */
    <R> Step<R> downgrade(Held held, java.util.function.Function<Held, Step<R>> then) {
        DiskBlock marked = held.block().asShared(me.generation());
        return insistOnBlock(
                marked,
                () -> releaseLeader(Optional.of(held.leader()), () -> then.apply(new Held(held.leader(), marked))));
    }

    /** @param ours as committed; empty: whatever is on disk, if it is written and owned by this host and held */
    <R> Step<R> releaseLeader(Optional<LeaderRecord> ours, Supplier<Step<R>> then) {
        Supplier<Step<R>> more = () -> again(then, () -> releaseLeader(ours, then));
        return io.leader(
                resource,
                leader -> {
                    boolean mine = leader.writer().hostId() == me.hostId()
                            && !leader.isFree()
                            && leader.owner().equals(me)
                            && ours.map(leader::equals).orElse(true);
                    if (!mine) {
                        return then.get(); // written by another, who goes by the flag; or it has gone on
                    }
                    LeaderRecord free = leader.edit()
                            .timestamp(0)
                            .shortHold(false)
                            .writer(me, now())
                            .seal();
                    return write(StockIo.LAYOUT.leaderOffset(), free.sector(StockIo.LAYOUT), then, more);
                },
                more);
    }

    static Optional<DiskBlock> blockIn(byte[] area, long hostId) {
        return DiskBlock.decode(area, (int) StockIo.LAYOUT.diskBlockOffset(hostId))
                        instanceof Decoded.Valid<DiskBlock> valid
                ? Optional.of(valid.value())
                : Optional.empty();
    }
}
