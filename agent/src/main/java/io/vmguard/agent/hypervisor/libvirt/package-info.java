/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The hypervisor port on libvirt, through JNA. Only the composition root names this package, and only {@link
 * io.vmguard.agent.hypervisor.libvirt.LibvirtHypervisor}.
 */
@NullMarked
package io.vmguard.agent.hypervisor.libvirt;

import org.jspecify.annotations.NullMarked;
