/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;

/**
 * What must be remembered of a held resource to release it.
 *
 * @param leader as committed
 * @param block the last ballot block we wrote
 */
public record HeldRecord(LeaderRecord leader, DiskBlock block) {}
