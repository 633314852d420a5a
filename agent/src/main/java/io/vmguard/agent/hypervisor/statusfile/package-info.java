/* SPDX-License-Identifier: Apache-2.0 */
/**
 * libvirt's status files of active domains, {@code /run/libvirt/qemu/NAME.xml}: they tell of changes that have no event, and can be read
 * while libvirtd hangs. For the wiring only; whoever needs the content gets it from the listener.
 */
@NullMarked
package io.vmguard.agent.hypervisor.statusfile;

import org.jspecify.annotations.NullMarked;
