/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the agent needs of a hypervisor: the running domains, their events, an end to one of them, and what a pool's volume
 * stands for. A port: no libvirt types here. The guard uses it, {@code hypervisor.libvirt} implements it.
 */
@NullMarked
package io.vmguard.agent.hypervisor;

import org.jspecify.annotations.NullMarked;
