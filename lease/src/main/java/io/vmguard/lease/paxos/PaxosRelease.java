/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Locale;
import java.util.function.Function;

/**
 * Gives an exclusive resource lease back: first the released flag in our block, then the leader.
 *
 * <p>In this order, because a host that finds the leader committed for us by somebody else goes by the flag alone. If somebody else
 * wrote the leader it is left as it is.
 */
public final class PaxosRelease {
    /** How a release ended. */
    public sealed interface Result {
        record Released() implements Result {}

        /** The leader is not the one we committed. */
        record NotOurs(LeaseFault fault, String why) implements Result {}

        /** Not known; release again. */
        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;
    private final HeldRecord held;

    public PaxosRelease(ResourceContext context, HeldRecord held) {
        this.context = context;
        this.held = held;
    }

    public Step<Result> start() {
        return run(Step::end);
    }

    <R> Step<R> run(Function<Result, Step<R>> then) {
        DiskBlock released = held.block().asReleased();
        return context.writeBlock(
                released,
                () -> readLeader(then),
                (fault, why) -> fault == LeaseFault.NO_MEMBERSHIP
                        ? then.apply(new Result.Failed(fault, why))
                        : readLeader(then)); // the flag helps others sooner; the leader is what counts
    }

    private <R> Step<R> readLeader(Function<Result, Step<R>> then) {
        return context.readLeader(
                leader -> onLeader(leader, then), (fault, why) -> then.apply(new Result.Failed(fault, why)));
    }

    private <R> Step<R> onLeader(LeaderRecord leader, Function<Result, Step<R>> then) {
        if (leader.writer().hostId() != context.me().hostId()) {
            return then.apply(new Result.Released());
        }
        boolean alreadyFree = leader.isFree()
                && leader.owner().equals(context.me())
                && leader.lver() == held.leader().lver();
        if (alreadyFree) {
            return then.apply(new Result.Released()); // an earlier try of ours got through
        }
        if (!leader.equals(held.leader())) {
            return then.apply(new Result.NotOurs(
                    LeaseFault.LEADER_CHANGED,
                    String.format(
                            Locale.ROOT,
                            "owner %s, version %d instead of owner %s, version %d",
                            leader.owner(),
                            leader.lver(),
                            context.me(),
                            held.leader().lver())));
        }
        LeaderRecord free = leader.edit()
                .timestamp(0)
                .shortHold(false)
                .writer(context.me(), context.clock().monotonicSeconds())
                .seal();
        return context.write(
                context.layout().leaderOffset(),
                free.sector(context.layout()),
                () -> then.apply(new Result.Released()),
                (fault, why) -> then.apply(new Result.Failed(fault, why)));
    }
}
