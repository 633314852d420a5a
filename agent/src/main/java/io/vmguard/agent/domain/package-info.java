/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a libvirt domain XML says about storage, as records. Reads bytes, decides nothing, touches neither disk nor
 * libvirt. Used by the derivation of leases, the hook server and the {@code explain} command.
 */
@NullMarked
package io.vmguard.agent.domain;

import org.jspecify.annotations.NullMarked;
