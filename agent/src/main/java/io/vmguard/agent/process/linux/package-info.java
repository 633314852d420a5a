/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Processes on Linux: pidfds, and what /proc says. Only the composition root names this package, and only {@link
 * io.vmguard.agent.process.linux.LinuxQemuProcesses}.
 */
@NullMarked
package io.vmguard.agent.process.linux;

import org.jspecify.annotations.NullMarked;
