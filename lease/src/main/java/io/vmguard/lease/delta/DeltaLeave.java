/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;

/**
 * Gives our host id back: our last record with timestamp 0. To be run only after a successful renewal and with no lease in use, for
 * it opens all our leases at once.
 */
public final class DeltaLeave {
    private final LeaseLayout layout;
    private final Duration limit;
    private final LeaderRecord last;

    public DeltaLeave(LeaseLayout layout, Duration limit, LeaderRecord last) {
        this.layout = layout;
        this.limit = limit;
        this.last = last;
    }

    /** Results in the outcome of the one write. */
    public Step<IoOutcome> start() {
        LeaderRecord free = last.edit().timestamp(0).seal();
        return new Step.Write<>(
                Step.Area.LOCKSPACE, layout.deltaOffset(last.owner().hostId()), free.sector(layout), limit, Step::end);
    }
}
