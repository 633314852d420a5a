/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.step.Step;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * Turns an exclusive hold into a shared one: first our mark, then the leader is freed. In this order there is no instant at which
 * another host could take it exclusively.
 */
public final class PaxosDowngrade {
    /** How it ended. */
    public sealed interface Result {
        /** Held in shared mode, on disk. */
        record Shared(HeldRecord held) implements Result {}

        /** Not known: held exclusively or shared. Downgrade again. */
        record Failed(LeaseFault fault, String why) implements Result {}

        default <T> T fold(Function<HeldRecord, T> shared, BiFunction<LeaseFault, String, T> failed) {
            if (this instanceof Shared s) {
                return shared.apply(s.held());
            }
            Failed f = (Failed) this;
            return failed.apply(f.fault(), f.why());
        }
    }

    private final ResourceContext context;
    private final HeldRecord held;

    public PaxosDowngrade(ResourceContext context, HeldRecord held) {
        this.context = context;
        this.held = held;
    }

    public Step<Result> start() {
        return run(Step::end);
    }

    <R> Step<R> run(Function<Result, Step<R>> then) {
        DiskBlock marked = held.block().asShared(context.me().generation());
        HeldRecord shared = new HeldRecord(held.leader(), marked);
        return context.writeBlock(
                marked,
                () -> new LeaderRelease(context, held.leader()).run(result -> then.apply(outcome(result, shared))),
                (fault, why) -> then.apply(new Result.Failed(fault, why)));
    }

    private static Result outcome(PaxosRelease.Result result, HeldRecord shared) {
        if (result instanceof PaxosRelease.Result.Released) {
            return new Result.Shared(shared);
        }
        if (result instanceof PaxosRelease.Result.NotOurs notOurs) {
            return new Result.Failed(notOurs.fault(), notOurs.why());
        }
        PaxosRelease.Result.Failed failed = (PaxosRelease.Result.Failed) result;
        return new Result.Failed(failed.fault(), failed.why());
    }
}
