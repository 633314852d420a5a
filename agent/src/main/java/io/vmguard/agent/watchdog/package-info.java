/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The last resort: the machine is reset when users of lost leases are not proved gone in time. Armed only while leases are held, fed
 * only while they are in time.
 */
@NullMarked
package io.vmguard.agent.watchdog;

import org.jspecify.annotations.NullMarked;
