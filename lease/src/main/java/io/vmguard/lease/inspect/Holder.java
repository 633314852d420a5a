/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.HostName;

/**
 * A membership that a resource names as owner or sharer.
 *
 * @param hostName of the host id, which by now may be another machine's; empty if it cannot be read
 */
public record Holder(Owner owner, Standing standing, String hostName) {
    /** The machine as people know it. */
    public String node() {
        return HostName.node(hostName);
    }
}
