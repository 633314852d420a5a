/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The guard: which run of which domain holds which leases, and what happens when they are refused or lost. One thread decides; the
 * libvirt, process and storage sides are ports that may hang without stopping it. Used by the hook server and the composition root.
 */
@NullMarked
package io.vmguard.agent.guard;

import org.jspecify.annotations.NullMarked;
