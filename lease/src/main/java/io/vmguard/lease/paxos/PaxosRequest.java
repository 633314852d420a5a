/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.RequestRecord;
import io.vmguard.lease.step.Step;

/**
 * Asks the holder of an exclusive lease to give it up, and finds out whether we are asked.
 *
 * <p>Written only if the leader is held, by another host, in no other mode, and for exactly the next version. A request with a higher
 * version, or to a host that holds the resource shared, makes a stock daemon send a signal to its own process group: it dies with its
 * helper, and its users go on without supervision.
 */
public final class PaxosRequest {
    /** How it ended. */
    public sealed interface Result {
        record Asked(Owner holder, long lver) implements Result {}

        record Free() implements Result {}

        /** Nothing was written. */
        record Refused(LeaseFault fault, String why) implements Result {}

        record Failed(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;
    private final RequestMode mode;

    public PaxosRequest(ResourceContext context, RequestMode mode) {
        this.context = context;
        this.mode = mode;
    }

    public Step<Result> start() {
        return context.readLeader(this::onLeader, PaxosRequest::failed);
    }

    private Step<Result> onLeader(LeaderRecord leader) {
        Owner holder = leader.owner();
        if (leader.isFree()) {
            return Step.end(new Result.Free());
        }
        if (holder.hostId() == context.me().hostId()) {
            return refused(LeaseFault.NOT_OWNER, "this host holds it itself");
        }
        if (holder.hostId() < 1 || holder.hostId() > leader.numHosts()) {
            return refused(LeaseFault.NUM_HOSTS, "its owner has the impossible host id " + holder.hostId());
        }
        return context.readBlock(
                holder.hostId(),
                block -> block.shared()
                        ? refused(LeaseFault.NOT_OWNER, "host id " + holder.hostId() + " holds it shared")
                        : context.read(
                                context.layout().requestOffset(),
                                context.layout().sectorBytes(),
                                bytes -> RequestRecord.decode(bytes, 0)
                                        .fold(standing -> ask(leader, standing), PaxosRequest::refused),
                                PaxosRequest::failed),
                PaxosRequest::failed);
    }

    private Step<Result> ask(LeaderRecord leader, RequestRecord standing) {
        long lver = leader.lver() + 1;
        if (standing.lver() > lver) {
            return refused(LeaseFault.REQUEST_LVER, "version " + standing.lver() + " is asked for already");
        }
        return context.write(
                context.layout().requestOffset(),
                new RequestRecord(lver, mode.code()).sector(context.layout()),
                () -> Step.end(new Result.Asked(leader.owner(), lver)),
                PaxosRequest::failed);
    }

    /**
     * What a resource that we hold is asked for.
     *
     * @param lver of our hold
     * @return a machine that results in the force mode: 0 if nobody asks, or it cannot be told
     */
    public static Step<Integer> asked(ResourceContext context, long lver) {
        return context.read(
                context.layout().requestOffset(),
                context.layout().sectorBytes(),
                bytes -> Step.end(RequestRecord.decode(bytes, 0)
                        .fold(record -> record.lver() > lver ? record.forceMode() : 0, (fault, why) -> 0)),
                (fault, why) -> Step.end(0));
    }

    private static Step<Result> refused(LeaseFault fault, String why) {
        return Step.end(new Result.Refused(fault, why));
    }

    private static Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why));
    }
}
