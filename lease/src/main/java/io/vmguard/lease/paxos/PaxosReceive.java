/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Optional;

/**
 * The receiver's side of {@link PaxosHandOver}.
 *
 * <pre>
 * prepare   the giver holds it: take the released flag out of our block, and leave a word beside the lease
 * confirm   the leader names us, and nobody shares it: put the decided value into our block, then write the leader ourselves
 *                                                                                             -> ours as if we had won it
 * decline   set the released flag: the giver will not give, or, if it has given already, we give it back
 * </pre>
 */
public final class PaxosReceive {
    /** How a step ended. */
    public sealed interface Result {
        /** The giver may give. */
        record Prepared() implements Result {}

        /** Ours, on disk and confirmed. */
        record Confirmed(HeldRecord held) implements Result {}

        /** The giver still owns it. */
        record NotYet() implements Result {}

        /** We do not own it and shall not: it was never given, is given back, or is somebody's. */
        record NotOurs(LeaseFault fault, String why) implements Result {}

        /** Storage did not say; the same again. */
        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;
    private final Owner giver;

    public PaxosReceive(ResourceContext context, Owner giver) {
        this.context = context;
        this.giver = giver;
    }

    /** Results in Prepared, NotOurs or Failed. */
    public Step<Result> prepare() {
        return Look.take(
                context,
                look -> {
                    if (isOurs(look.leader())) {
                        return Step.end(new Result.Prepared()); // a second call, after the step
                    }
                    if (!isGivers(look.leader())) {
                        return notOurs(look.leader());
                    }
                    DiskBlock mine = look.block(context, context.me().hostId());
                    return mine.released() || mine.shared()
                            ? context.writeBlock(
                                    mine.asExclusive(), () -> sayPrepared(look.leader()), PaxosReceive::failed)
                            : sayPrepared(look.leader());
                },
                PaxosReceive::failed);
    }

    /**
     * The block of a host that has never had the lease has no flag either, so the flag alone does not say that it is prepared. What
     * the caller has said already in the same place, and means as much, stays.
     */
    private Step<Result> sayPrepared(LeaderRecord leader) {
        return PaxosWords.isPrepared(
                context,
                context.me(),
                leader.lver(),
                said -> said
                        ? Step.end(new Result.Prepared())
                        : PaxosWords.sayPrepared(
                                context, leader.lver(), () -> Step.end(new Result.Prepared()), PaxosReceive::failed),
                PaxosReceive::failed);
    }

    /** Results in Confirmed, NotYet, NotOurs or Failed. */
    public Step<Result> confirm() {
        // One sector first: this is asked again and again until the giver has given.
        return context.readLeader(
                leader -> isGivers(leader)
                        ? Step.end(new Result.NotYet())
                        : Look.take(context, look -> confirm(leader, look), PaxosReceive::failed),
                PaxosReceive::failed);
    }

    /** @param before as read first: the marks that were set before it was written are in the look */
    private Step<Result> confirm(LeaderRecord before, Look look) {
        LeaderRecord leader = look.leader();
        if (!isOurs(leader)) {
            return isGivers(leader) ? Step.end(new Result.NotYet()) : notOurs(leader);
        }
        if (!leader.equals(before)) {
            return Step.end(new Result.NotYet());
        }
        DiskBlock mine = look.block(context, context.me().hostId());
        if (mine.released()) {
            return notOurs(leader); // declined: others may be taking it
        }
        if (look.highestLver() > leader.lver()) {
            // A hold of ours that is long over, written again by a late write of somebody: a block is further. What is
            // given to us
            // is the highest version that there is.
            return Step.end(new Result.NotYet());
        }
        Optional<Owner> sharer = look.liveSharer(context);
        if (sharer.isPresent()) {
            // The giver kept it, went on to shared mode, and another host has carried its proposal on.
            return Step.end(new Result.NotOurs(
                    LeaseFault.OWNER_LIVE, "host id " + sharer.get().hostId() + " shares it"));
        }
        DiskBlock decided =
                DiskBlock.decided(look.nextNumber(context), context.me(), leader.timestamp(), leader.lver());
        LeaderRecord confirmed = leader.edit()
                .writer(context.me(), context.clock().monotonicSeconds())
                .seal();
        return context.writeBlock(
                decided,
                () -> context.writeLeader(
                        confirmed,
                        () -> Step.end(new Result.Confirmed(new HeldRecord(confirmed, decided))),
                        PaxosReceive::failed),
                PaxosReceive::failed);
    }

    /** Results in NotOurs or Failed. */
    public Step<Result> decline() {
        return Look.take(
                context,
                look -> isOurs(look.leader())
                        ? giveBack(look)
                        : context.writeBlock(
                                look.block(context, context.me().hostId()).asReleased(),
                                this::afterFlag,
                                PaxosReceive::failed),
                PaxosReceive::failed);
    }

    /** The giver's step may have come between our look and our flag. */
    private Step<Result> afterFlag() {
        return Look.take(
                context, look -> isOurs(look.leader()) ? giveBack(look) : notOurs(look.leader()), PaxosReceive::failed);
    }

    /**
     * Straight back to the giver, so that no third host can step in; or to everybody, if the giver cannot have it, or waits no more:
     * as long as it does, its block proposes us without a flag.
     */
    private Step<Result> giveBack(Look look) {
        boolean waits = giver.hostId() >= 1
                && giver.hostId() <= look.leader().numHosts()
                && look.block(context, giver.hostId()).proposed().equals(context.me())
                && !look.block(context, giver.hostId()).released();
        if (!waits) {
            return release(look);
        }
        HeldRecord held =
                new HeldRecord(look.leader(), look.block(context, context.me().hostId()));
        return PaxosHandOver.back(context, held, giver).start().andThen(result -> {
            if (result instanceof PaxosHandOver.Result.Given given) {
                return Step.end(new Result.NotOurs(LeaseFault.NOT_OWNER, "given back: " + given.leader()));
            }
            if (result instanceof PaxosHandOver.Result.Kept) {
                // Looked at anew: the attempt may have changed our block, and a confirmation of ours the leader.
                return Look.take(context, this::release, PaxosReceive::failed);
            }
            return result instanceof PaxosHandOver.Result.Unknown unknown
                    ? failed(unknown.fault(), unknown.why())
                    : notOurs(look.leader());
        });
    }

    /** By our flag if the giver signed the leader, by freeing it if we did. */
    private Step<Result> release(Look look) {
        if (!isOurs(look.leader())) {
            return notOurs(look.leader());
        }
        HeldRecord held =
                new HeldRecord(look.leader(), look.block(context, context.me().hostId()));
        return new PaxosRelease(context, held)
                .run(result -> result instanceof PaxosRelease.Result.Failed failed
                        ? failed(failed.fault(), failed.why())
                        : notOurs(look.leader()));
    }

    private boolean isOurs(LeaderRecord leader) {
        return !leader.isFree() && leader.owner().equals(context.me());
    }

    private boolean isGivers(LeaderRecord leader) {
        return !leader.isFree() && leader.owner().equals(giver);
    }

    private static Step<Result> notOurs(LeaderRecord leader) {
        return Step.end(new Result.NotOurs(LeaseFault.NOT_OWNER, "the leader says " + leader));
    }

    private static Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why));
    }
}
