/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.domain.OnLockFailure;
import java.util.UUID;

/**
 * An active domain with the leases that its live XML calls for.
 *
 * @param disks as it shows them
 * @param xml the live XML itself; not to be changed
 */
record ListedDomain(
        UUID uuid, String name, Derivation derivation, LiveDisks disks, OnLockFailure onLockFailure, byte[] xml) {}
