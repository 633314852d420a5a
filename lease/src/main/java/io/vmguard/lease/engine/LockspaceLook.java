/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.step.IoOutcome;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A lockspace before we are a member: of the right kind and name, with rules that we can live by.
 *
 * @param area as read
 */
record LockspaceLook(LeaseLayout layout, LockspaceRules rules, byte[] area) {
    /** Holds the first sector of either size, which says how large everything is. */
    private static final int FIRST_LOOK_BYTES = 4096;

    /** @return corrupt with half a sentence, to be put behind the file's name */
    static Decoded<LockspaceLook> take(LeaseFile file, LeaseName lockspace, Duration limit) {
        IoOutcome first = file.read(0, FIRST_LOOK_BYTES, limit);
        if (first instanceof IoOutcome.Failed failed) {
            return new Decoded.Corrupt<>(failed.fault(), failed.why());
        }
        return layout(((IoOutcome.Done) first).bytes())
                .fold(layout -> takeAll(file, lockspace, layout, limit), Decoded.Corrupt::new);
    }

    private static Decoded<LeaseLayout> layout(byte[] firstSector) {
        LeaderRecord first = LeaderRecord.at(firstSector, 0);
        if (first.magic() == LeaderRecord.INDEX_MAGIC) {
            return new Decoded.Corrupt<>(LeaseFault.RESOURCE_INDEX, LeaseFault.RESOURCE_INDEX.text());
        }
        if (first.magic() != LeaderRecord.DELTA_MAGIC) {
            return new Decoded.Corrupt<>(
                    LeaseFault.MAGIC,
                    "this is no lockspace (" + first + "). Set lease_dir or lockspace to another one, or move the file"
                            + " away if you know what it is");
        }
        Optional<LeaseLayout> layout = LeaseLayout.of(first.sectorSize(), first.flags());
        return layout.<Decoded<LeaseLayout>>map(Decoded.Valid::new)
                .orElseGet(() -> new Decoded.Corrupt<>(
                        LeaseFault.GEOMETRY,
                        String.format(
                                Locale.ROOT,
                                "the lockspace has sectors of %d bytes and align flag 0x%x, which is no geometry of"
                                        + " the format",
                                first.sectorSize(),
                                first.flags())));
    }

    private static Decoded<LockspaceLook> takeAll(
            LeaseFile file, LeaseName lockspace, LeaseLayout layout, Duration limit) {
        IoOutcome all = file.read(0, layout.areaBytes(), limit);
        if (all instanceof IoOutcome.Failed failed) {
            return new Decoded.Corrupt<>(failed.fault(), failed.why());
        }
        byte[] area = ((IoOutcome.Done) all).bytes();
        if (!anySound(area, layout, lockspace)) {
            return LeaderRecord.decodeDelta(area, 0, lockspace)
                    .fold(
                            ok -> new Decoded.Corrupt<>(LeaseFault.CHECKSUM, LeaseFault.CHECKSUM.text()),
                            (fault, why) -> new Decoded.Corrupt<>(
                                    fault,
                                    why + ". The file's lockspace and the setting lockspace (" + lockspace
                                            + ") must be the same"));
        }
        return LockspaceRules.decode(area, layout)
                .fold(
                        rules -> new Decoded.Valid<>(new LockspaceLook(layout, rules, area)),
                        (fault, why) -> new Decoded.Corrupt<>(
                                fault, why + ". Use the version of vmguard that the other hosts have"));
    }

    /** One damaged record must not lock out the hosts that own the others. */
    private static boolean anySound(byte[] area, LeaseLayout layout, LeaseName lockspace) {
        for (long id = 1; id <= layout.maxHosts(); id++) {
            if (JoinPlan.record(area, layout, lockspace, id).isPresent()) {
                return true;
            }
        }
        return false;
    }

    /** Why a host with these settings must not join; empty if it may. */
    Optional<Decoded.Corrupt<LockspaceLook>> objection(Timeouts timeouts, OptionalInt hostId) {
        if (!rules.watchdog().equals(timeouts.watchdog())) {
            return Optional.of(new Decoded.Corrupt<>(
                    LeaseFault.RULES,
                    String.format(
                            Locale.ROOT,
                            "its hosts have agreed on watchdog_timeout %d s, and this host is set to %d s. Set"
                                    + " watchdog_timeout: %1$ds here",
                            rules.watchdog().toSeconds(),
                            timeouts.watchdog().toSeconds())));
        }
        if (hostId.isPresent() && hostId.getAsInt() > rules.maxHosts()) {
            return Optional.of(new Decoded.Corrupt<>(
                    LeaseFault.HOST_ID,
                    String.format(
                            Locale.ROOT,
                            "host_id %d is beyond the %d hosts that its leases are made for. Give this host a smaller"
                                    + " one, or 'auto'",
                            hostId.getAsInt(),
                            rules.maxHosts())));
        }
        return Optional.empty();
    }
}
