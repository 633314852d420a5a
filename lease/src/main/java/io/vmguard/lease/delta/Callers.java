/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostBitmap;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.HashMap;
import java.util.Map;

/** Other hosts that say, by a bit in their delta lease, that they have something for us. For the thread that renews. */
public final class Callers {
    private final LeaseLayout layout;
    private final long self;
    private final long quietNanos;
    private final Map<Long, Long> heardNanos = new HashMap<>();

    /** @param self our host id */
    public Callers(LeaseLayout layout, Timeouts timeouts, long self) {
        this.layout = layout;
        this.self = self;
        this.quietNanos = timeouts.attention().toNanos();
    }

    /**
     * Whether anybody calls who was not heard lately.
     *
     * @param area the lockspace as just read, and already looked at by the table
     * @param nowNanos of that look
     */
    public boolean call(byte[] area, HostTable hosts, long nowNanos) {
        boolean anybody = false;
        for (Map.Entry<Long, HostSighting> host : hosts.all().entrySet()) {
            long id = host.getKey();
            boolean renewed = host.getValue().sound() && host.getValue().lastLiveNanos() == nowNanos;
            boolean marked = HostBitmap.isMarked(area, (int) layout.deltaOffset(id), self);
            boolean quiet = nowNanos - heardNanos.getOrDefault(id, nowNanos - quietNanos) < quietNanos;
            if (id != self && renewed && marked && !quiet) {
                heardNanos.put(id, nowNanos);
                anybody = true;
            }
        }
        return anybody;
    }
}
