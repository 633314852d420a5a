/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What each side of a live migration does with the leases, and when: pure rules from what is known at an instant. Nothing here remembers
 * anything, so an agent that was restarted decides like one that was not.
 */
@NullMarked
package io.vmguard.agent.migration;

import org.jspecify.annotations.NullMarked;
