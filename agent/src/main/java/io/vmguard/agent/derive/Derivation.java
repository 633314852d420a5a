/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.List;

/**
 * Everything that was decided about the disks of one domain. Each disk is in exactly one of the lists, each in document
 * order.
 *
 * @param leases to be acquired together before the domain may run; no two with the same resource
 * @param unprotected disks that get no lease, and why that is right or unavoidable
 * @param refusals disks that would need a lease but cannot have one: if there is any, the domain must not start
 */
public record Derivation(List<DiskLease> leases, List<Unprotected> unprotected, List<Refusal> refusals) {

    public Derivation {
        leases = List.copyOf(leases);
        unprotected = List.copyOf(unprotected);
        refusals = List.copyOf(refusals);
    }
}
