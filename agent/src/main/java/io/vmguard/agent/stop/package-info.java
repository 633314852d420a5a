/* SPDX-License-Identifier: Apache-2.0 */
/** Ending the agent for good: what becomes of the domains is somebody's choice, and is said before it happens. */
@NullMarked
package io.vmguard.agent.stop;

import org.jspecify.annotations.NullMarked;
