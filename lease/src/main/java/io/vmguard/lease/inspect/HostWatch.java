/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Looks at a lockspace again and again, as a member would, without being one. One look tells members from those who left; two looks
 * tell who lives; who is dead takes as long to tell as it takes a member.
 *
 * <p>Not for several threads.
 */
public final class HostWatch {
    private static final Timeouts STOCK = Timeouts.ofSeconds(10);

    private final LeaseInspector inspector;
    private final LeaseName lockspace;
    private final LeaseClock clock;

    private @Nullable HostTable table;

    public HostWatch(LeaseInspector inspector, LeaseName lockspace, LeaseClock clock) {
        this.inspector = inspector;
        this.lockspace = lockspace;
        this.clock = clock;
    }

    /** Looks once more; what is found counts from this moment on. */
    public Optional<LockspaceInspection> look() {
        long askedNanos = clock.bootNanos();
        return inspector.lockspaceArea(lockspace).map(read -> {
            read.area().ifPresent(area -> tableFor(read.layout()).update(area, askedNanos, clock.bootNanos()));
            return read.inspection();
        });
    }

    private HostTable tableFor(LeaseLayout layout) {
        HostTable current = table;
        if (current == null) {
            current = new HostTable(lockspace, layout, STOCK);
            table = current;
        }
        return current;
    }

    /** What all looks so far tell of each host id that was ever taken; nothing before the first. */
    public List<HostView> hosts() {
        List<HostView> hosts = new ArrayList<>();
        if (table != null) {
            long nowNanos = clock.bootNanos();
            table.all().values().forEach(sighting -> hosts.add(view(sighting, nowNanos)));
        }
        return hosts;
    }

    private static HostView view(HostSighting sighting, long nowNanos) {
        HostStatus status = sighting.status(nowNanos);
        return new HostView(
                sighting.owner(),
                sighting.name(),
                status,
                Optional.of(sighting.silentFor(nowNanos)),
                status == HostStatus.FREE ? Optional.empty() : Optional.of(sighting.deadIn(nowNanos)),
                false);
    }
}
