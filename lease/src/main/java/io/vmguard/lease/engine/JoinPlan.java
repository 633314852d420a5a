/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.delta.DeltaJoin;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;

/**
 * Which host id to take, and how: pure.
 *
 * <p>In every doubt another free id is taken. An id costs one sector; taking over the id of a living host costs disks.
 *
 * @param hostId to take
 * @param entry how to treat its record if it is not free
 */
record JoinPlan(long hostId, DeltaJoin.Entry entry) {
    /** Two hosts that start together should not want the same id; people like small numbers. */
    private static final int CHOICE = 8;

    /**
     * @param area the lockspace as just read
     * @param maxHosts the highest id that the lockspace's resources are made for
     * @param ownThisBoot id whose record is proved to be this boot's own, with nothing of that life left
     * @param excluded ids lost to others during this join
     * @return empty if no id can be had
     */
    static Optional<JoinPlan> choose(
            byte[] area,
            LeaseLayout layout,
            int maxHosts,
            LeaseName lockspace,
            Optional<Long> forced,
            Optional<Long> ownThisBoot,
            Optional<RememberedHostId> remembered,
            Set<Long> excluded,
            RandomGenerator random) {
        Optional<Long> earlier = remembered
                .filter(r -> record(area, layout, lockspace, r.hostId())
                        .filter(r::isExactly)
                        .isPresent())
                .map(RememberedHostId::hostId);
        // A record of this boot that we do not know to have been written in time may have landed late, over that of a
        // host
        // that had waited until we were dead: his users may live, and what he held is not ours.
        Optional<Long> undisturbed = ownThisBoot.filter(id -> earlier.equals(Optional.of(id)));
        if (forced.isPresent()) {
            long id = forced.get();
            if (undisturbed.equals(forced)) {
                return Optional.of(new JoinPlan(id, DeltaJoin.Entry.OWN_THIS_BOOT));
            }
            return Optional.of(new JoinPlan(
                    id, earlier.equals(forced) ? DeltaJoin.Entry.OWN_EARLIER_LIFE : DeltaJoin.Entry.WAIT_UNTIL_DEAD));
        }
        if (undisturbed.isPresent() && !excluded.contains(undisturbed.get())) {
            return Optional.of(new JoinPlan(undisturbed.get(), DeltaJoin.Entry.OWN_THIS_BOOT));
        }
        if (earlier.isPresent() && !excluded.contains(earlier.get())) {
            boolean free = isFree(area, layout, lockspace, earlier.get());
            return Optional.of(
                    new JoinPlan(earlier.get(), free ? DeltaJoin.Entry.FREE_ONLY : DeltaJoin.Entry.OWN_EARLIER_LIFE));
        }
        return anyFree(area, layout, maxHosts, lockspace, remembered, excluded, random);
    }

    private static Optional<JoinPlan> anyFree(
            byte[] area,
            LeaseLayout layout,
            int maxHosts,
            LeaseName lockspace,
            Optional<RememberedHostId> remembered,
            Set<Long> excluded,
            RandomGenerator random) {
        Optional<Long> before = remembered
                .map(RememberedHostId::hostId)
                .filter(id -> !excluded.contains(id) && isFree(area, layout, lockspace, id));
        if (before.isPresent()) {
            return Optional.of(new JoinPlan(before.get(), DeltaJoin.Entry.FREE_ONLY));
        }
        List<Long> free = new ArrayList<>();
        for (long id = 1; id <= maxHosts && free.size() < CHOICE; id++) {
            if (!excluded.contains(id) && isFree(area, layout, lockspace, id)) {
                free.add(id);
            }
        }
        return free.isEmpty()
                ? Optional.empty()
                : Optional.of(new JoinPlan(free.get(random.nextInt(free.size())), DeltaJoin.Entry.FREE_ONLY));
    }

    private static boolean isFree(byte[] area, LeaseLayout layout, LeaseName lockspace, long id) {
        return record(area, layout, lockspace, id).map(LeaderRecord::isFree).orElse(false);
    }

    /** A sound record, or nothing. */
    static Optional<LeaderRecord> record(byte[] area, LeaseLayout layout, LeaseName lockspace, long hostId) {
        if (hostId < 1 || hostId > layout.maxHosts()) {
            return Optional.empty();
        }
        Decoded<LeaderRecord> decoded = LeaderRecord.decodeDelta(area, (int) layout.deltaOffset(hostId), lockspace);
        return decoded instanceof Decoded.Valid<LeaderRecord> valid ? Optional.of(valid.value()) : Optional.empty();
    }
}
