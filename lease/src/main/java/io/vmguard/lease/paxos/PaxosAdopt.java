/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;

/** Finds out whether a resource is held by this very membership, for a process that continues it after a restart. Writes nothing. */
public final class PaxosAdopt {
    /** How it ended. */
    public sealed interface Result {
        record Held(HeldRecord held) implements Result {}

        /** This membership does not hold it. */
        record NotHeld() implements Result {}

        /** A release was cut short: the leader still names us. Acquiring and releasing once more ends it. */
        record HalfReleased() implements Result {}

        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;

    public PaxosAdopt(ResourceContext context) {
        this.context = context;
    }

    public Step<Result> start() {
        return context.readLeader(this::onLeader, PaxosAdopt::failed);
    }

    private Step<Result> onLeader(LeaderRecord leader) {
        if (leader.isFree() || !leader.owner().equals(context.me())) {
            return Step.end(new Result.NotHeld());
        }
        return context.read(
                context.layout().diskBlockOffset(context.me().hostId()),
                context.layout().sectorBytes(),
                bytes -> DiskBlock.decode(bytes, 0).fold(block -> Step.end(judge(leader, block)), PaxosAdopt::failed),
                PaxosAdopt::failed);
    }

    private static Result judge(LeaderRecord leader, DiskBlock block) {
        return block.released() || block.lver() != leader.lver()
                ? new Result.HalfReleased()
                : new Result.Held(new HeldRecord(leader, block));
    }

    private static Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why));
    }
}
