/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Locale;
import java.util.function.Function;

/** Frees the leader that we committed: the last part of every way out of an exclusive hold. */
final class LeaderRelease {
    private final ResourceContext context;
    private final LeaderRecord ours;

    /** @param ours the leader as we committed it, or as another host committed it for us */
    LeaderRelease(ResourceContext context, LeaderRecord ours) {
        this.context = context;
        this.ours = ours;
    }

    <R> Step<R> run(Function<PaxosRelease.Result, Step<R>> then) {
        return context.readLeader(
                leader -> onLeader(leader, then),
                (fault, why) -> then.apply(new PaxosRelease.Result.Failed(fault, why)));
    }

    private <R> Step<R> onLeader(LeaderRecord leader, Function<PaxosRelease.Result, Step<R>> then) {
        if (leader.writer().hostId() != context.me().hostId()) {
            return then.apply(new PaxosRelease.Result.Released()); // others go by the flag in our block
        }
        boolean alreadyFree = leader.isFree() && leader.owner().equals(context.me()) && leader.lver() == ours.lver();
        if (alreadyFree) {
            return then.apply(new PaxosRelease.Result.Released()); // an earlier try of ours got through
        }
        if (!leader.equals(ours)) {
            return then.apply(new PaxosRelease.Result.NotOurs(
                    leader.lver() == ours.lver() ? LeaseFault.NOT_OWNER : LeaseFault.LEADER_CHANGED,
                    String.format(
                            Locale.ROOT,
                            "owner %s, version %d instead of owner %s, version %d",
                            leader.owner(),
                            leader.lver(),
                            context.me(),
                            ours.lver())));
        }
        LeaderRecord free = leader.edit()
                .timestamp(0)
                .shortHold(false)
                .writer(context.me(), context.clock().monotonicSeconds())
                .seal();
        return context.writeLeader(
                free,
                () -> then.apply(new PaxosRelease.Result.Released()),
                (fault, why) -> then.apply(new PaxosRelease.Result.Failed(fault, why)));
    }
}
