/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.HostName;
import java.util.List;

/**
 * The delta lease of a host id that was taken at least once.
 *
 * @param owner host id and its latest generation
 * @param hostName of the machine that took it last
 * @param timestamp on that machine's monotonic clock, in seconds; 0 = free
 * @param ioTimeoutSeconds its T; 0 if it never said
 * @param asked host ids that it has recently asked for something
 */
public record HostSlot(Owner owner, String hostName, long timestamp, int ioTimeoutSeconds, List<Long> asked) {
    /** The machine as people know it. */
    public String node() {
        return HostName.node(hostName);
    }

    public boolean isFree() {
        return timestamp == 0;
    }
}
