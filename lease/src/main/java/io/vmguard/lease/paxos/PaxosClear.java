/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.step.Step;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/**
 * Makes a resource that we hold exclusively unusable for good, so that its file can be removed: whoever opened the file before the
 * removal fails on it instead of owning a lease that nobody else can see.
 */
public final class PaxosClear {
    private final ResourceContext context;
    private final HeldRecord held;

    public PaxosClear(ResourceContext context, HeldRecord held) {
        this.context = context;
        this.held = held;
    }

    /** Results in whatever the two make of it. */
    public <R> Step<R> start(Supplier<R> cleared, BiFunction<LeaseFault, String, R> failed) {
        return context.readLeader(
                leader -> leader.equals(held.leader())
                        ? context.writeLeader(
                                leader.edit()
                                        .cleared()
                                        .timestamp(0)
                                        .writer(context.me(), context.clock().monotonicSeconds())
                                        .seal(),
                                () -> Step.end(cleared.get()),
                                (fault, why) -> Step.end(failed.apply(fault, why)))
                        : Step.end(failed.apply(LeaseFault.LEADER_CHANGED, "the leader now says " + leader)),
                (fault, why) -> Step.end(failed.apply(fault, why)));
    }
}
