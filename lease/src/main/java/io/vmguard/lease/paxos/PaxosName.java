/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;

/**
 * Gives an area that no resource has yet to one: writes its leader, and nothing else, under the lease on the names of all areas.
 *
 * <pre>
 * LOOK   the area still has its stand-in's name
 * NAME   the same leader with the resource's name: from now on it is an ordinary free resource
 * </pre>
 *
 * Not under the area's own lease: whoever loses a race for that may still commit the winner, which would put the stand-in's name back
 * over the resource's. No ballot is ever run for a stand-in.
 */
public final class PaxosName {
    /** How it ended. */
    public sealed interface Result {
        record Named() implements Result {}

        /** @param unknown the name may be there or come yet */
        record Failed(LeaseFault fault, String why, boolean unknown) implements Result {}
    }

    private final ResourceContext area;
    private final LeaseName resource;

    /** @param area the stand-in, in the area */
    public PaxosName(ResourceContext area, LeaseName resource) {
        this.area = area;
        this.resource = resource;
    }

    public Step<Result> start() {
        return area.readLeader(this::name, (fault, why) -> Step.end(new Result.Failed(fault, why, false)));
    }

    private Step<Result> name(LeaderRecord standIn) {
        if (!standIn.isFree() || standIn.lver() != 0) {
            return Step.end(new Result.Failed(LeaseFault.NOT_OWNER, "somebody uses an area without a name", false));
        }
        LeaderRecord named =
                LeaderRecord.freeResource(area.layout(), area.lockspace(), resource, (int) standIn.numHosts());
        return area.writeLeader(
                named,
                () -> Step.end(new Result.Named()),
                (fault, why) -> Step.end(new Result.Failed(fault, why, fault != LeaseFault.NO_MEMBERSHIP)));
    }
}
