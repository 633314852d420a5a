/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

/**
 * What the operators have laid down; the same on all hosts of a fleet.
 *
 * @param compat the lease that libvirt's sanlock plug-in takes is held as well
 * @param refuseUnidentified storage that cannot be identified is refused; otherwise its path is its name
 * @param clusters the clusters of storage that are told apart
 */
public record IdentityRules(boolean compat, boolean refuseUnidentified, StorageClusters clusters) {

    /** Without any word from operators. */
    public static final IdentityRules DEFAULT = new IdentityRules(true, false, StorageClusters.NONE);
}
