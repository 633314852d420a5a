/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.concurrent.CompletableFuture;

/** What can be done to leases that this host does not use. As in {@link Lockspace}, no method blocks. */
public interface LeaseUpkeep {
    /** Asks another host, on disk, to give a resource up; refused where that would do harm to a stock host. */
    CompletableFuture<RequestResult> request(LeaseName resource, RequestMode mode);

    /**
     * Writes down beside a resource that this host holds exclusively who holds it and what for, now instead of by and by, so that it
     * stands there when the resource has been given back.
     *
     * @return whether storage has taken it; false also if this host does not hold the resource
     */
    CompletableFuture<Boolean> writeDown(LeaseName resource);

    /** Removes the file of a resource that nobody holds, under its own lease. */
    CompletableFuture<RemoveResult> remove(LeaseName resource);
}
