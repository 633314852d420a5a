/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.LeaderRecord;
import java.util.HashMap;
import java.util.Map;

/** What a stock host knows of the others from the reads of its renewals; seconds of its monotonic clock. */
final class StockTable {
    /** Zero where nothing is known. */
    record Slot(long firstCheck, long lastCheck, long lastLive, Owner owner, long timestamp, int ioTimeoutSeconds) {
        static final Slot NEVER = new Slot(0, 0, 0, new Owner(0, 0), 0, 0);
    }

    private final Map<Long, Slot> slots = new HashMap<>();

    void update(byte[] area, long now) {
        for (long id = 1; id <= Simulation.MAX_HOSTS; id++) {
            LeaderRecord seen = LeaderRecord.at(area, (int) Simulation.LAYOUT.deltaOffset(id));
            Slot before = slot(id);
            long first = before.firstCheck() == 0 ? now : before.firstCheck();
            boolean same = before.owner().equals(seen.owner()) && before.timestamp() == seen.timestamp();
            boolean bad = seen.magic() != LeaderRecord.DELTA_MAGIC;
            if (same) {
                slots.put(
                        id,
                        new Slot(
                                first,
                                now,
                                before.lastLive(),
                                before.owner(),
                                before.timestamp(),
                                before.ioTimeoutSeconds()));
            } else {
                slots.put(
                        id,
                        new Slot(
                                first,
                                now,
                                now,
                                bad ? before.owner() : seen.owner(),
                                seen.timestamp(),
                                bad ? before.ioTimeoutSeconds() : seen.ioTimeoutSeconds()));
            }
        }
    }

    Slot slot(long id) {
        return slots.getOrDefault(id, Slot.NEVER);
    }

    /** From here alone, without a look at the disk: a host that has joined since the last renewal counts as gone. */
    boolean mayHoldShared(long id, long generation, long now, int ownTimeoutSeconds) {
        Slot slot = slot(id);
        if (slot.lastCheck() == 0) {
            return true;
        }
        if (slot.timestamp() == 0 || slot.owner().generation() > generation) {
            return false;
        }
        long since = slot.lastLive() == 0 ? slot.firstCheck() : slot.lastLive();
        return now - since <= deadAfter(slot.ioTimeoutSeconds(), ownTimeoutSeconds);
    }

    static long deadAfter(int ioTimeoutSeconds, int ownTimeoutSeconds) {
        return 8L * (ioTimeoutSeconds == 0 ? ownTimeoutSeconds : ioTimeoutSeconds) + 60;
    }
}
