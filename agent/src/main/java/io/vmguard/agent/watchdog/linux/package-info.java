/* SPDX-License-Identifier: Apache-2.0 */
/** Watchdog devices, wdmd, and the console of a Linux machine. */
@NullMarked
package io.vmguard.agent.watchdog.linux;

import org.jspecify.annotations.NullMarked;
