/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.HostBitmap;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.step.IoOutcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** Makes sense of a lockspace area, slot by slot. */
final class LockspaceReader {
    private static final String REMAKE =
            "Nobody can join or stay with it. If it cannot be brought back, stop vmguard and sanlock on "
                    + "every host, remove it together with all resources of this lockspace, and make it anew: vmguard lease init";

    private final Look look;
    private final List<Finding> findings = new ArrayList<>();
    private final List<HostSlot> hosts = new ArrayList<>();
    private final TreeSet<Long> unreadable = new TreeSet<>();
    private String name;
    private int ioTimeoutSeconds;
    private Optional<LockspaceRules> rules = Optional.empty();

    private Decoded.@Nullable Corrupt<LeaderRecord> firstFault;

    private LockspaceReader(Look look) {
        this.look = look;
        this.name = look.entry().name();
    }

    /**
     * The same look for who keeps count of changes.
     *
     * @param area all of it; empty if that could not be read
     */
    record Area(LockspaceInspection inspection, LeaseLayout layout, Optional<byte[]> area) {}

    /** Whatever lies in the file; never fails. */
    static Area read(Look look) {
        return new LockspaceReader(look).read();
    }

    private Area read() {
        Optional<LeaseLayout> known = look.layout();
        LeaseLayout layout = known.orElse(LeaseLayout.SECTOR_512);
        if (known.isEmpty()) {
            findings.add(look.finding(
                    LeaseFault.GEOMETRY,
                    0,
                    "it says " + look.record().sectorSize() + "-byte sectors and flags "
                            + look.record().flags() + ", which no lockspace has",
                    REMAKE));
        } else if (look.entry().bytes() < layout.areaBytes()) {
            findings.add(look.finding(
                    LeaseFault.SHORT,
                    look.entry().bytes(),
                    "it ends after " + look.entry().bytes() + " of " + layout.areaBytes() + " bytes",
                    REMAKE));
        }
        Optional<byte[]> area = area(layout);
        area.ifPresent(bytes -> slots(bytes, layout));
        LockspaceInspection inspection = new LockspaceInspection(
                look.entry().name(),
                name,
                Geometry.of(layout),
                ioTimeoutSeconds,
                rules.map(LockspaceRules::watchdog),
                rules.map(LockspaceRules::maxHosts),
                hosts,
                unreadable,
                findings);
        return new Area(inspection, layout, area.filter(bytes -> bytes.length == layout.areaBytes()));
    }

    private Optional<byte[]> area(LeaseLayout layout) {
        IoOutcome outcome = look.readArea(layout.areaBytes());
        if (outcome instanceof IoOutcome.Failed failed) {
            findings.add(look.unreadable(failed, 0));
            return Optional.empty();
        }
        return Optional.of(((IoOutcome.Done) outcome).bytes());
    }

    private void slots(byte[] area, LeaseLayout layout) {
        int there = Math.min(layout.maxHosts(), area.length / layout.sectorBytes());
        String onDisk = firstSoundName(area, layout, there);
        name = Look.name(onDisk);
        Optional<LeaseName> space = Look.leaseName(onDisk);
        if (onDisk.isEmpty()) {
            findings.add(look.finding(LeaseFault.CHECKSUM, 0, "no delta lease in it is sound", REMAKE));
        } else if (space.isEmpty() || !name.equals(look.entry().name())) {
            findings.add(look.finding(
                    LeaseFault.LOCKSPACE,
                    0,
                    "it holds the lockspace '" + name + "', which its hosts look for in a file of that name",
                    "If it was renamed, name it as it was."));
        }
        for (long id = 1; id <= there && space.isPresent(); id++) {
            slot(area, layout, id, space.get());
        }
        summarise(layout);
        if (area.length == layout.areaBytes()) {
            rules = LockspaceRules.decode(area, layout).fold(Optional::of, (fault, why) -> {
                findings.add(look.finding(
                        fault,
                        layout.noteOffset(),
                        why,
                        "Use the version of vmguard that made it; this one does not join."));
                return Optional.empty();
            });
        }
    }

    private void slot(byte[] area, LeaseLayout layout, long id, LeaseName space) {
        int offset = (int) layout.deltaOffset(id);
        Decoded<LeaderRecord> decoded = LeaderRecord.decodeDelta(area, offset, space);
        if (decoded instanceof Decoded.Corrupt<LeaderRecord> corrupt) {
            unreadable.add(id);
            firstFault = firstFault == null ? corrupt : firstFault;
            return;
        }
        LeaderRecord record = LeaderRecord.at(area, offset);
        if (LeaderRecord.isUnusedDelta(area, offset)) {
            ioTimeoutSeconds = record.ioTimeoutSeconds();
            return;
        }
        hosts.add(new HostSlot(
                new Owner(id, record.owner().generation()),
                Look.name(record.resourceName()),
                record.timestamp(),
                record.ioTimeoutSeconds(),
                marked(area, offset, layout)));
    }

    /** One broken sector is news; the hundredth is not. */
    private void summarise(LeaseLayout layout) {
        if (firstFault == null) {
            return;
        }
        String who = unreadable.size() == 1
                ? "the delta lease of host id " + unreadable.first() + " is not sound"
                : unreadable.size() + " delta leases are not sound, from host id " + unreadable.first() + " to "
                        + unreadable.last();
        findings.add(look.finding(
                firstFault.fault(),
                layout.deltaOffset(unreadable.first()),
                who + ": " + firstFault.why(),
                "A host with such an id loses its membership and stops its domains; what it held stays closed to "
                        + "everybody, because nothing can prove that host dead. When every host can be stopped, remove the "
                        + "lockspace together with all its resources and make it anew: vmguard lease init"));
    }

    /** The name that the slots are measured by: what the first one with a right checksum says. */
    private static String firstSoundName(byte[] area, LeaseLayout layout, int slots) {
        for (long id = 1; id <= slots; id++) {
            LeaderRecord record = LeaderRecord.at(area, (int) layout.deltaOffset(id));
            if (record.magic() == LeaderRecord.DELTA_MAGIC && Look.sound(record)) {
                return record.spaceName();
            }
        }
        return "";
    }

    /** Host ids that are marked in a delta lease. */
    static List<Long> marked(byte[] area, int offset, LeaseLayout layout) {
        return LongStream.rangeClosed(1, layout.maxHosts())
                .filter(id -> HostBitmap.isMarked(area, offset, id))
                .boxed()
                .toList();
    }
}
