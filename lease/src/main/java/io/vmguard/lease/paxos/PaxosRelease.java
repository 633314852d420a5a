/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.step.Step;
import java.util.function.Function;

/**
 * Gives a resource lease back.
 *
 * <pre>
 * exclusive   the released flag in our block, then the leader
 * shared      our mark goes; the leader is not ours
 * </pre>
 *
 * In this order, because a host that finds the leader committed for us by somebody else goes by the flag alone. If somebody else
 * wrote the leader it is left as it is. If the flag cannot be written the leader is freed all the same, and the release is not done.
 */
public final class PaxosRelease {
    /** How a release ended. */
    public sealed interface Result {
        record Released() implements Result {}

        /** The leader is not the one we committed. */
        record NotOurs(LeaseFault fault, String why) implements Result {}

        /** Not known, or done but for the flag; release again. */
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
        boolean shared = held.mode() == LeaseMode.SHARED;
        return context.writeBlock(
                held.block().asReleased(),
                () -> shared ? then.apply(new Result.Released()) : freeLeader(then),
                (fault, why) -> shared || fault == LeaseFault.NO_MEMBERSHIP
                        ? then.apply(new Result.Failed(fault, why))
                        : freeLeader(result -> then.apply(unflagged(result, fault, why))));
    }

    /**
     * The leader is free as soon as it can be, but only the flag makes the release last: whoever carries our ballot on may still commit us
     * into the leader, and we would own what nobody uses.
     */
    private static Result unflagged(Result result, LeaseFault fault, String why) {
        return result instanceof Result.Released ? new Result.Failed(fault, why) : result;
    }

    private <R> Step<R> freeLeader(Function<Result, Step<R>> then) {
        return new LeaderRelease(context, held.leader()).run(then);
    }
}
