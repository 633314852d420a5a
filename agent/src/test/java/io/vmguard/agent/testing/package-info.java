/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Fakes of the agent's ports, for every test that needs a host without libvirt, QEMU or storage. They keep the contracts of the
 * ports, do nothing by themselves, and are told what to answer.
 */
@NullMarked
package io.vmguard.agent.testing;

import org.jspecify.annotations.NullMarked;
