/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.delta;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.HandClock;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/** A lockspace on a disk in memory, made with an io_timeout of 5 s. */
final class DeltaBench {
    static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    static final LeaseName SPACE = new LeaseName("space");

    /** Of the host under test; another one than what stands on the disk. */
    static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);

    final HandClock clock = new HandClock();
    final MemoryDisk disk = new MemoryDisk(LeaseArea.lockspace(LAYOUT, SPACE, 5), new byte[0], clock);

    byte[] area() {
        return disk.area(Step.Area.LOCKSPACE);
    }

    LeaderRecord record(long id) {
        return LeaderRecord.at(area(), (int) LAYOUT.deltaOffset(id));
    }

    void put(long id, byte[] sector) {
        disk.put(Step.Area.LOCKSPACE, LAYOUT.deltaOffset(id), sector);
    }

    /** Puts a changed record of this host id on the disk. */
    LeaderRecord put(long id, UnaryOperator<LeaderRecord.Editor> change) {
        LeaderRecord changed = change.apply(record(id).edit()).seal();
        put(id, changed.sector(LAYOUT));
        return changed;
    }

    /** A host as it renews its delta lease. */
    LeaderRecord put(long id, long generation, String name, long timestamp) {
        return put(
                id, edit -> edit.owner(new Owner(id, generation)).hostName(name).timestamp(timestamp));
    }

    /** Overwrites a delta lease with bytes that are no record; every bit of its bitmap is set. */
    void ruin(long id) {
        byte[] garbage = new byte[LAYOUT.sectorBytes()];
        Arrays.fill(garbage, (byte) 0xFF);
        put(id, garbage);
    }
}
