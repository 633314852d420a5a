/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What operators ask the agent to put in order: leases of dead hosts, files of leases that nobody uses. Done under the protocol, as a
 * member, and written down. Knows the lease engine's face and its inspector.
 */
@NullMarked
package io.vmguard.agent.upkeep;

import org.jspecify.annotations.NullMarked;
