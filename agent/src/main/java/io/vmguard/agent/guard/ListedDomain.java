/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import java.util.UUID;

/** An active domain with the leases that its live XML calls for. */
record ListedDomain(UUID uuid, String name, Derivation derivation) {}
