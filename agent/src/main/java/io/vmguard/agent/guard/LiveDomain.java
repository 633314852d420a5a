/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;

/**
 * A running domain as it was at one moment.
 *
 * @param derivation the leases that it calls for
 * @param begunNanos boot clock: not before this was it looked at
 */
record LiveDomain(String name, Derivation derivation, LiveDisks disks, long begunNanos) {}
