/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.delta.Callers;
import io.vmguard.lease.delta.HostSighting;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Sees, with each renewal of one membership, what becomes of the other hosts and who calls this one. Of the thread that renews. */
final class HostWatch {
    private final Membership membership;
    private final LockspaceListener listener;
    private final Callers callers;
    private final Map<Long, HostStatus> statuses = new HashMap<>();

    HostWatch(Membership membership, LockspaceListener listener) {
        this.membership = membership;
        this.listener = listener;
        this.callers = new Callers(membership.layout, membership.timeouts, membership.owner.hostId());
    }

    /**
     * Tells the listener of hosts whose status has changed.
     *
     * @param area the whole lockspace
     * @param askedNanos boot clock, before it was asked for
     * @param nowNanos boot clock
     */
    void look(byte[] area, long askedNanos, long nowNanos) {
        membership.hosts.update(area, askedNanos, nowNanos);
        for (HostView host : views(membership, nowNanos)) {
            HostStatus before = statuses.put(host.owner().hostId(), host.status());
            boolean first = before == null && host.status() == HostStatus.FREE;
            if (before != host.status() && !host.self() && !first) {
                listener.hostChanged(host);
            }
        }
    }

    /** Whether another host has something for us in this area. */
    boolean isCalled(byte[] area, long nowNanos) {
        return callers.call(area, membership.hosts, nowNanos);
    }

    /** All host ids that were ever used, with what is known of their hosts. */
    static List<HostView> views(Membership current, long nowNanos) {
        List<HostView> views = new ArrayList<>();
        for (Map.Entry<Long, HostSighting> entry : current.hosts.all().entrySet()) {
            HostSighting sighting = entry.getValue();
            boolean self = entry.getKey() == current.owner.hostId();
            HostStatus status = self ? HostStatus.LIVE : sighting.status(nowNanos);
            boolean free = status == HostStatus.FREE;
            views.add(new HostView(
                    sighting.owner(),
                    sighting.name(),
                    status,
                    self
                            ? Optional.of(Duration.ofNanos(current.ageNanos()))
                            : Optional.of(sighting.silentFor(nowNanos)),
                    free || self ? Optional.empty() : Optional.of(sighting.deadIn(nowNanos)),
                    self));
        }
        return views;
    }
}
