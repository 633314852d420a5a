/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The QEMU process behind a domain: the only proof that nobody writes to its disks any more, and the way to end it without
 * the hypervisor's help. A port; {@code process.linux} implements it.
 */
@NullMarked
package io.vmguard.agent.process;

import org.jspecify.annotations.NullMarked;
