/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;

/** Which leases a domain needs, and what it comes to use while it runs. */
public interface StorageLeases extends DomainLeases {

    /** The leases of one disk, as if its domain had no other. */
    Derivation disk(DiskSpec disk);

    /** The leases of one image that is about to be written or read, without what is below it. */
    Derivation image(String target, DiskSource source, LeaseMode mode);
}
