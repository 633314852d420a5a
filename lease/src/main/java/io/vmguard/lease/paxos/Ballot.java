/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One ballot of Disk Paxos on one disk (Gafni and Lamport, 2000), for one lease version.
 *
 * <pre>
 * phase 1  write: I enter ballot m for version v;      read all: does anybody have a higher m, or a newer v?
 *          take over the proposal with the highest bal, if there is one; else propose myself
 * phase 2  write: I propose this value in ballot m;    read all: the same question. If nobody: the value is chosen
 * </pre>
 *
 * Ballot numbers of different hosts never meet, for host h uses numbers congruent to h modulo max_hosts.
 */
final class Ballot {
    /** How a ballot ended. */
    sealed interface Result {
        /**
         * Chosen for this version.
         *
         * @param block as written in phase 2
         * @param sharers hosts with a shared mark, seen in phase 1
         */
        record Chosen(DiskBlock block, Set<Long> sharers) implements Result {}

        /**
         * Somebody is ahead.
         *
         * @param block as written last
         * @param proposed our value was on disk: whoever is ahead may have read it and carry it on
         */
        record Beaten(DiskBlock block, boolean proposed) implements Result {}

        /** @param proposed phase 2 had begun: the proposal may yet be chosen by others */
        record Failed(LeaseFault fault, String why, boolean proposed) implements Result {}
    }

    private final ResourceContext context;
    private final long lver;
    private final long mbal;
    private final long numHosts;
    private final Owner candidate;
    private final boolean keepsMark;
    private final boolean keepsHold;
    private final Optional<DiskBlock> earlier;
    private final Set<Long> sharers = new TreeSet<>();

    /**
     * @param candidate whom to propose if nobody has proposed anybody yet
     * @param keepsHold we hold the version before exclusively, and go on doing so unless this ballot gives it away
     * @param keepsMark we hold the resource in shared mode and go on holding it so, whatever comes of this
     * @param earlier our block as it stood before, unless it is known what became of its proposal. If it proposes somebody for this
     *     very version, that may be chosen: a life of this host before this one may have died with the leader on its way to the
     *     disk. Then it stays in the block, and is carried on like anybody's
     */
    Ballot(
            ResourceContext context,
            long lver,
            long mbal,
            long numHosts,
            Owner candidate,
            boolean keepsMark,
            boolean keepsHold,
            Optional<DiskBlock> earlier) {
        this.context = context;
        this.lver = lver;
        this.mbal = mbal;
        this.numHosts = numHosts;
        this.candidate = candidate;
        this.keepsMark = keepsMark;
        this.keepsHold = keepsHold;
        this.earlier = earlier.filter(block -> block.lver() == lver && block.bal() != 0 && block.inp() != 0);
    }

    /** The next number of ours above every number seen. */
    static long nextNumber(long highestSeen, long hostId, long step) {
        return highestSeen == 0 ? hostId : highestSeen - highestSeen % step + step + hostId;
    }

    <R> Step<R> start(Function<Result, Step<R>> then) {
        DiskBlock blank = earlier.map(block -> block.entering(mbal)).orElseGet(() -> DiskBlock.entering(mbal, lver));
        DiskBlock entering = notAsIfWaiting(blank);
        return context.writeBlock(
                entering,
                () -> readBlocks(area -> onPhase1(area, entering, then), then, false),
                (fault, why) -> then.apply(new Result.Failed(fault, why, false)));
    }

    private <R> Step<R> onPhase1(byte[] area, DiskBlock entering, Function<Result, Step<R>> then) {
        if (isDecided(area)) {
            return then.apply(new Result.Beaten(entering, false));
        }
        DiskBlock best = null;
        for (long host = 1; host <= numHosts; host++) {
            DiskBlock block = block(area, host);
            if (block == null) {
                continue;
            }
            if (block.shared()) {
                sharers.add(host);
            }
            if (ahead(block)) {
                return then.apply(new Result.Beaten(entering, false));
            }
            boolean proposes = block.lver() == lver && block.inp() != 0 && block.bal() != 0;
            if (proposes && (best == null || block.bal() > best.bal())) {
                best = block;
            }
        }
        DiskBlock proposal = best != null
                ? notAsIfWaiting(entering.proposing(best.inp(), best.inp2(), best.inp3()))
                : entering.proposing(
                        candidate.hostId(),
                        candidate.generation(),
                        context.clock().monotonicSeconds());
        return context.writeBlock(
                proposal,
                () -> readBlocks(second -> onPhase2(second, proposal, then), then, true),
                (fault, why) -> then.apply(new Result.Failed(fault, why, true)));
    }

    /**
     * Who runs a ballot for itself and carries another host's proposal on does not wait for what comes of it, and says so by the released
     * flag: without it our block reads like that of a giver who waits for its receiver, and the lease could be handed "back" to us.
     * The flag opens only what names us as owner, and such a block names another. Not so in a hand-over: the giver still holds the
     * version before.
     */
    private DiskBlock notAsIfWaiting(DiskBlock block) {
        if (keepsHold) {
            return block.giving(context.me().generation());
        }
        boolean another = block.inp() != 0 && block.inp() != context.me().hostId();
        DiskBlock flagged = another && candidate.equals(context.me()) ? block.asReleased() : block;
        return keepsMark ? flagged.keepingMark(context.me().generation()) : flagged;
    }

    private <R> Step<R> onPhase2(byte[] area, DiskBlock proposal, Function<Result, Step<R>> then) {
        if (isDecided(area)) {
            return then.apply(new Result.Beaten(proposal, true));
        }
        for (long host = 1; host <= numHosts; host++) {
            DiskBlock block = block(area, host);
            if (block != null && ahead(block)) {
                return then.apply(new Result.Beaten(proposal, true));
            }
        }
        return then.apply(new Result.Chosen(proposal, Set.copyOf(sharers)));
    }

    /**
     * The leader shows this version already, or a newer one. Then blocks say so too, unless a stock host has wiped its own since, as it does
     * when an acquire fails half-way: the leader is in the same read.
     */
    private boolean isDecided(byte[] area) {
        return context.decodeLeader(area) instanceof Decoded.Valid<LeaderRecord> leader
                && leader.value().lver() >= lver;
    }

    private boolean ahead(DiskBlock block) {
        return block.lver() > lver || (block.lver() == lver && block.mbal() > mbal);
    }

    /** A block that is torn or foreign has no vote here; the read before the ballot refuses it. */
    private @Nullable DiskBlock block(byte[] area, long host) {
        Decoded<DiskBlock> decoded =
                DiskBlock.decode(area, (int) context.layout().diskBlockOffset(host));
        return decoded instanceof Decoded.Valid<DiskBlock> valid ? valid.value() : null;
    }

    private <R> Step<R> readBlocks(Function<byte[], Step<R>> onRead, Function<Result, Step<R>> then, boolean proposed) {
        return context.read(
                0,
                context.layout().ballotBytes(numHosts),
                onRead,
                (fault, why) -> then.apply(new Result.Failed(fault, why, proposed)));
    }
}
