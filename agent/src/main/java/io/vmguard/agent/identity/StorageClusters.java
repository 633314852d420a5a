/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

/**
 * What the operators say of clusters that share a lease directory.
 *
 * @param ceph of Ceph: RBD and CephFS
 * @param gluster trusted pools of GlusterFS
 */
public record StorageClusters(Clusters ceph, Clusters gluster) {

    /** One of each kind, or several that are not told apart. */
    public static final StorageClusters NONE = new StorageClusters(Clusters.NONE, Clusters.NONE);
}
