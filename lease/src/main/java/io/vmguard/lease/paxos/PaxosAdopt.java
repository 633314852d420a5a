/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;

/** Finds out whether and how this very membership holds a resource, from the disk alone. Writes nothing. */
public final class PaxosAdopt {
    /** How it ended. */
    public sealed interface Result {
        /** In the mode that the record says. */
        record Held(HeldRecord held) implements Result {}

        /** This membership does not hold it. */
        record NotHeld() implements Result {}

        /** Not held, but a proposal of ours is not decided yet: whoever runs the next ballot may make us the owner. */
        record Proposed() implements Result {}

        /** A release, or the way to or from shared mode, was cut short: the leader still names us. */
        record HalfReleased(HeldRecord held) implements Result {}

        /**
         * Held exclusively, but the leader shows an older version, by a late write of somebody. What our block proposes is not to be carried
         * on: it is a hand-over that came to nothing.
         */
        record Overwritten(HeldRecord held) implements Result {}

        /**
         * Given by us to another host, which has not confirmed: our block keeps the way back open, so that it comes to us and to nobody else if
         * it is not wanted there.
         */
        record Given(Owner receiver) implements Result {}

        /** Given to us by another host, and not confirmed: its use has not begun. */
        record Unconfirmed(LeaderRecord leader) implements Result {}

        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;

    public PaxosAdopt(ResourceContext context) {
        this.context = context;
    }

    public Step<Result> start() {
        return context.readLeader(
                leader -> context.readBlock(
                        context.me().hostId(), block -> Step.end(judge(leader, block)), PaxosAdopt::failed),
                PaxosAdopt::failed);
    }

    private Result judge(LeaderRecord leader, DiskBlock block) {
        boolean owner = !leader.isFree() && leader.owner().equals(context.me());
        boolean marked =
                block.shared() && block.sharedGeneration() == context.me().generation();
        boolean giving = block.isGiving()
                && block.modeGeneration() == context.me().generation()
                && block.lver() > leader.lver() + 1;
        if (giving) {
            return new Result.Overwritten(new HeldRecord(leader, block));
        }
        if (block.isAwaiting(leader, context.me())) {
            return new Result.Given(leader.owner());
        }
        if (!owner && !marked) {
            boolean committed = !leader.isFree() && leader.holder().equals(context.me());
            return committed || block.undecided(context.me(), leader.lver())
                    ? new Result.Proposed()
                    : new Result.NotHeld();
        }
        if (!owner) {
            return new Result.Held(new HeldRecord(leader, block));
        }
        if (marked || block.released()) {
            // Between exclusive and shared, or on the way out.
            return new Result.HalfReleased(new HeldRecord(leader, block));
        }
        boolean writtenByUs = leader.writer().hostId() == context.me().hostId();
        // Newer than the leader: held, and a ballot for the next version came to nothing. Its user may live.
        return writtenByUs || block.lver() >= leader.lver()
                ? new Result.Held(new HeldRecord(leader, block))
                : new Result.Unconfirmed(leader);
    }

    private static Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why));
    }
}
