/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * What killed agents of this boot may still change on disk, although they decide nothing any more: pure.
 *
 * @param underWay there is such an agent at all. Nothing of it lands any more once it is gone
 * @param renewal a renewal of the very membership that is to be continued may land
 * @param resources that a write or a removal may change
 * @param other something else may happen, or what cannot be told; for people
 */
record Remains(boolean underWay, boolean renewal, Set<LeaseName> resources, Optional<String> other) {
    static final Remains NONE = new Remains(false, false, Set.of(), Optional.empty());

    Remains {
        resources = Set.copyOf(resources);
    }

    /**
     * @param dying the journals of those that are not gone; empty: one that is of no use
     * @param before the local record of the membership to be continued
     */
    static Remains of(
            List<Optional<IoJournal.Left>> dying,
            LeaseName lockspace,
            Timeouts timeouts,
            Optional<LocalRecord> before) {
        boolean renewal = false;
        Set<LeaseName> resources = new TreeSet<>(java.util.Comparator.comparing(LeaseName::value));
        Optional<String> other = Optional.empty();
        for (Optional<IoJournal.Left> left : dying) {
            if (left.isEmpty()) {
                other = Optional.of("its journal is not to be read");
                continue;
            }
            for (IoJournal.Entry entry : left.get().underWay()) {
                boolean onLockspace = entry.name().equals(lockspace.value());
                if (entry.kind() == IoJournal.Kind.RECORD) {
                    other = Optional.of("it was writing the local record of leases");
                } else if (onLockspace && isRenewal(entry, lockspace, timeouts, before)) {
                    renewal = true;
                } else if (onLockspace) {
                    other = Optional.of("it was joining or leaving, or had another io_timeout");
                } else {
                    Optional<LeaseName> resource = name(entry.name());
                    resource.ifPresent(resources::add);
                    other = resource.isPresent() ? other : Optional.of("its journal is not to be understood");
                }
            }
        }
        return new Remains(!dying.isEmpty(), renewal, resources, other);
    }

    /**
     * Others judge us by the io_timeout that stands on disk, so one that is not ours must not come back: it might promise us less time
     * than we take.
     */
    private static boolean isRenewal(
            IoJournal.Entry entry, LeaseName lockspace, Timeouts timeouts, Optional<LocalRecord> before) {
        if (entry.kind() != IoJournal.Kind.WRITE || entry.head().length < LeaderRecord.BYTES || before.isEmpty()) {
            return false;
        }
        byte[] sector = Arrays.copyOf(entry.head(), LeaseLayout.SECTOR_512.sectorBytes());
        return LeaderRecord.decodeDelta(sector, 0, lockspace) instanceof Decoded.Valid<LeaderRecord> valid
                && !valid.value().isFree()
                && valid.value().owner().equals(before.get().owner())
                && valid.value().resourceName().equals(before.get().hostName())
                && valid.value().ioTimeoutSeconds() == timeouts.ioTimeoutSeconds();
    }

    private static Optional<LeaseName> name(String text) {
        try {
            return Optional.of(new LeaseName(text));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
