/* SPDX-License-Identifier: Apache-2.0 */
/** By when a host that cannot renew must have stopped its domains, and who sees to it. Knows the lease protocol's times and nothing else. */
@NullMarked
package io.vmguard.agent.fence;

import org.jspecify.annotations.NullMarked;
