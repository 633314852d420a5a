/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;

/**
 * What must be remembered of a held resource to release it.
 *
 * @param leader as committed; of a shared hold the one that it was taken by, which is free again
 * @param block our block as we wrote it last
 */
public record HeldRecord(LeaderRecord leader, DiskBlock block) {
    /** How it is held: a shared holder is known by the mark in its block. */
    public LeaseMode mode() {
        return block.shared() ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
    }
}
