/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Supplier;

/** How a stock host takes a lease: it waits for silent owners, forgets its own proposals, and looks at sharers after its commit. */
final class StockAcquire {
    enum Want {
        EXCLUSIVE,
        SHARED,
        UPGRADE
    }

    private static final int SHARED_RETRIES = 8;
    private static final Duration SECOND = Duration.ofSeconds(1);

    private final StockLease lease;
    private final SimStock.Member member;
    private final Want want;
    /** As written last in this acquire. */
    private Optional<DiskBlock> written = Optional.empty();

    private DiskBlock mine = StockLease.WIPED;
    private final Set<Long> sharers = new TreeSet<>();
    private int sharedRetries;

    StockAcquire(StockLease lease, Want want) {
        this.lease = lease;
        this.member = lease.member;
        this.want = want;
    }

    /** Results in what is held now, or nothing. A refused conversion is still held shared, and its caller knows. */
    Step<Optional<StockLease.Held>> start() {
        return lease.io.read(
                Step.Area.RESOURCE,
                0,
                StockIo.LAYOUT.ballotBytes(Simulation.MAX_HOSTS),
                this::onArea,
                StockAcquire::nothing);
    }

    private static Step<Optional<StockLease.Held>> nothing() {
        return Step.end(Optional.empty());
    }

    private Step<Optional<StockLease.Held>> onArea(byte[] area) {
        if (!(StockIo.decode(area, lease.resource) instanceof Decoded.Valid<LeaderRecord> valid)) {
            return nothing();
        }
        long max = 0;
        for (long id = 1; id <= Simulation.MAX_HOSTS; id++) {
            Optional<DiskBlock> block = StockLease.blockIn(area, id);
            if (block.isEmpty()) {
                return nothing();
            }
            max = Math.max(max, block.get().mbal());
        }
        LeaderRecord leader = valid.value();
        long number =
                max == 0 ? lease.me.hostId() : max - max % leader.maxHosts() + leader.maxHosts() + lease.me.hostId();
        Owner owner = leader.owner();
        boolean own = owner.hostId() == lease.me.hostId() && owner.generation() <= lease.me.generation();
        if (leader.isFree() || own) {
            return onLeader(leader, number, leader);
        }
        StockTable.Slot slot = member.table.slot(owner.hostId());
        boolean known =
                slot.lastCheck() != 0 && slot.lastLive() != 0 && slot.owner().equals(owner);
        return watch(leader, number, slot, known ? slot.lastLive() : lease.now(), known ? slot.timestamp() : 0);
    }

    // ---- is the owner gone?

    private Step<Optional<StockLease.Held>> watch(
            LeaderRecord leader, long number, StockTable.Slot slot, long since, long seen) {
        Owner owner = leader.owner();
        return lease.io.delta(
                owner.hostId(),
                delta -> {
                    if (delta.isFree()
                            || delta.owner().hostId() != owner.hostId()
                            || delta.owner().generation() > owner.generation()) {
                        return pass(leader, number);
                    }
                    if (seen == 0) {
                        return sleep(leader, number, slot, since, delta.timestamp());
                    }
                    if (delta.timestamp() != seen || (slot.lastLive() != 0 && slot.lastCheck() == slot.lastLive())) {
                        return leader.writer().hostId() == owner.hostId()
                                ? refused(leader)
                                : lease.io.block(
                                        owner.hostId(),
                                        block -> block.released() ? pass(leader, number) : refused(leader),
                                        StockAcquire::nothing);
                    }
                    if (lease.now() - since
                            > StockTable.deadAfter(slot.ioTimeoutSeconds(), member.ioTimeoutSeconds())) {
                        return pass(leader, number);
                    }
                    return sleep(leader, number, slot, since, seen);
                },
                StockAcquire::nothing);
    }

    private Step<Optional<StockLease.Held>> sleep(
            LeaderRecord leader, long number, StockTable.Slot slot, long since, long seen) {
        return pause(
                SECOND,
                () -> lease.io.leader(
                        lease.resource,
                        now -> now.equals(leader) ? watch(leader, number, slot, since, seen) : start(),
                        StockAcquire::nothing));
    }

    private Step<Optional<StockLease.Held>> pause(Duration length, Supplier<Step<Optional<StockLease.Held>>> then) {
        return member.failed || member.isLeaving() ? nothing() : new Step.Pause<>(length, then);
    }

    private Duration upToASecond() {
        return Duration.ofMillis(member.random().nextInt(1000));
    }

    /** Another has it. A host that wanted it shared wipes its own block. */
    private Step<Optional<StockLease.Held>> refused(LeaderRecord leader) {
        if (want != Want.SHARED) {
            return nothing();
        }
        if (leader.isShortHold() && sharedRetries < SHARED_RETRIES) {
            sharedRetries++;
            return pause(upToASecond(), this::start);
        }
        return lease.writeBlock(StockLease.WIPED, StockAcquire::nothing, StockAcquire::nothing);
    }

    // ---- ballots

    private Step<Optional<StockLease.Held>> pass(LeaderRecord leader, long number) {
        return lease.io.leader(lease.resource, now -> onLeader(leader, number, now), StockAcquire::nothing);
    }

    private Step<Optional<StockLease.Held>> onLeader(LeaderRecord leader, long number, LeaderRecord now) {
        long next = leader.lver() + 1;
        if (now.lver() == next) {
            return now.owner().equals(lease.me) ? committedByAnother(now) : refused(now);
        }
        return now.equals(leader) ? phase1(leader, number, next) : start();
    }

    private Step<Optional<StockLease.Held>> phase1(LeaderRecord leader, long number, long next) {
        DiskBlock blank = DiskBlock.entering(number, next);
        DiskBlock entering = want == Want.UPGRADE ? blank.keepingMark(lease.me.generation()) : blank;
        sharers.clear();
        wrote(entering);
        return lease.writeBlock(
                entering,
                () -> readBlocks(area -> propose(leader, number, next, entering, area), StockAcquire::nothing),
                StockAcquire::nothing);
    }

    private void wrote(DiskBlock block) {
        mine = block;
        written = Optional.of(block);
    }

    /** What a release after a refused conversion goes by. */
    Optional<DiskBlock> lastBlock() {
        return written;
    }

    private Step<Optional<StockLease.Held>> propose(
            LeaderRecord leader, long number, long next, DiskBlock entering, byte[] area) {
        DiskBlock best = null;
        for (long id = 1; id <= Simulation.MAX_HOSTS; id++) {
            DiskBlock block = StockLease.blockIn(area, id).orElse(null);
            if (block == null) {
                continue;
            }
            if (block.shared()) {
                sharers.add(id);
            }
            if (block.lver() < next) {
                continue;
            }
            if (block.lver() > next || block.mbal() > number) {
                return lost(leader, number);
            }
            if (block.inp() != 0 && block.bal() != 0 && (best == null || block.bal() > best.bal())) {
                best = block;
            }
        }
        DiskBlock proposal = best != null
                ? entering.proposing(best.inp(), best.inp2(), best.inp3())
                : entering.proposing(lease.me.hostId(), lease.me.generation(), lease.now());
        wrote(proposal);
        return lease.writeBlock(
                proposal,
                () -> readBlocks(second -> decide(leader, number, next, second), () -> undo(Optional.empty())),
                () -> undo(Optional.empty()));
    }

    private Step<Optional<StockLease.Held>> decide(LeaderRecord leader, long number, long next, byte[] area) {
        for (long id = 1; id <= Simulation.MAX_HOSTS; id++) {
            Optional<DiskBlock> block = StockLease.blockIn(area, id);
            if (block.isPresent()
                    && (block.get().lver() > next
                            || (block.get().lver() == next && block.get().mbal() > number))) {
                return lost(leader, number);
            }
        }
        return commit(leader);
    }

    private Step<Optional<StockLease.Held>> lost(LeaderRecord leader, long number) {
        // Whoever waits for it or not: another may be committing what it proposed.
        return member.failed
                ? nothing()
                : new Step.Pause<>(upToASecond(), () -> pass(leader, number + leader.maxHosts()));
    }

    private Step<Optional<StockLease.Held>> readBlocks(
            Function<byte[], Step<Optional<StockLease.Held>>> then, Supplier<Step<Optional<StockLease.Held>>> failed) {
        return lease.io.read(Step.Area.RESOURCE, 0, StockIo.LAYOUT.ballotBytes(Simulation.MAX_HOSTS), then, failed);
    }

    private Step<Optional<StockLease.Held>> commit(LeaderRecord leader) {
        LeaderRecord.Editor editor = leader.edit()
                .lver(mine.lver())
                .owner(mine.proposed())
                .timestamp(mine.inp3())
                .writer(lease.me, lease.now());
        boolean forMe = mine.inp() == lease.me.hostId();
        LeaderRecord committed = (forMe ? editor.shortHold(want == Want.SHARED) : editor).seal();
        return lease.write(
                StockIo.LAYOUT.leaderOffset(),
                committed.sector(StockIo.LAYOUT),
                () -> forMe ? won(committed) : refused(committed),
                () -> undo(Optional.of(committed)));
    }

    /** It may have been won without anybody knowing. The mark of a conversion stays. */
    private Step<Optional<StockLease.Held>> undo(Optional<LeaderRecord> committed) {
        member.undoes(lease.resource, mine.lver());
        Supplier<Step<Optional<StockLease.Held>>> leader = () -> lease.releaseLeader(committed, StockAcquire::nothing);
        return want == Want.UPGRADE ? leader.get() : lease.insistOnBlock(StockLease.WIPED, leader);
    }

    // ---- won

    private Step<Optional<StockLease.Held>> won(LeaderRecord leader) {
        StockLease.Held held = new StockLease.Held(leader, mine);
        if (want == Want.SHARED) {
            DiskBlock marked = mine.asShared(lease.me.generation());
            return lease.writeBlock(
                    marked,
                    () -> lease.releaseLeader(Optional.of(leader), () -> has(new StockLease.Held(leader, marked))),
                    () -> undo(Optional.of(leader)));
        }
        sharers.remove(lease.me.hostId());
        return nextSharer(held, sharers.iterator());
    }

    /**
     * Its lost ballot may have ended before all marks were read. By the letter of its rules a stock host does not read them again, and
     * so may hold a lease exclusively beside a sharer: docs/simulation.md. This one does.
     */
    private Step<Optional<StockLease.Held>> committedByAnother(LeaderRecord leader) {
        return readBlocks(
                area -> {
                    for (long id = 1; id <= Simulation.MAX_HOSTS; id++) {
                        if (StockLease.blockIn(area, id)
                                .filter(DiskBlock::shared)
                                .isPresent()) {
                            sharers.add(id);
                        }
                    }
                    return won(leader);
                },
                () -> undo(Optional.of(leader)));
    }

    private static Step<Optional<StockLease.Held>> has(StockLease.Held held) {
        return Step.end(Optional.of(held));
    }

    private Step<Optional<StockLease.Held>> nextSharer(StockLease.Held held, Iterator<Long> others) {
        if (!others.hasNext()) {
            return want == Want.UPGRADE ? dropMark(held) : has(held);
        }
        long id = others.next();
        return lease.io.block(id, block -> onSharer(held, others, id, block), () -> giveUp(held));
    }

    private Step<Optional<StockLease.Held>> onSharer(
            StockLease.Held held, Iterator<Long> others, long id, DiskBlock block) {
        if (!block.shared() || block.sharedGeneration() == 0) {
            return nextSharer(held, others);
        }
        if (member.table.mayHoldShared(id, block.sharedGeneration(), lease.now(), member.ioTimeoutSeconds())) {
            return giveUp(held);
        }
        return lease.write(
                StockIo.LAYOUT.diskBlockOffset(id),
                new byte[StockIo.LAYOUT.sectorBytes()],
                () -> nextSharer(held, others),
                () -> giveUp(held));
    }

    private Step<Optional<StockLease.Held>> dropMark(StockLease.Held held) {
        DiskBlock exclusive = held.block().asExclusive();
        return lease.insistOnBlock(exclusive, () -> has(new StockLease.Held(held.leader(), exclusive)));
    }

    private Step<Optional<StockLease.Held>> giveUp(StockLease.Held held) {
        return want == Want.UPGRADE
                ? lease.releaseLeader(Optional.of(held.leader()), StockAcquire::nothing)
                : lease.releaseExclusive(held, StockAcquire::nothing);
    }
}
