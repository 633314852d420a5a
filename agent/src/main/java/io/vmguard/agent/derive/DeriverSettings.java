/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.identity.IdentityRules;

/**
 * What the operators have laid down about leases; the same on all hosts of a fleet, but for the place.
 *
 * @param identity how storage is identified
 * @param domainLease every domain holds a lease on its UUID
 * @param lockspace of this host's leases
 * @param leaseDir absolute path of the directory they are in
 */
public record DeriverSettings(IdentityRules identity, boolean domainLease, String lockspace, String leaseDir) {}
