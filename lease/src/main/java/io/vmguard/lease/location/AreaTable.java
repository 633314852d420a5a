/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.step.IoOutcome;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/**
 * What the sectors of a device say of its areas; remembers nothing.
 *
 * @param lockspace whose device it is
 * @param areas areas for resources, behind the lockspace
 */
record AreaTable(String lockspace, LeaseLayout layout, int areas) {
    /** Holds a leader record, whatever the sector size. */
    static final int HEAD_BYTES = 4096;

    /** A look is worth waiting for; nothing depends on it in time. */
    static final Duration LIMIT = Duration.ofSeconds(60);

    /** What one area is. */
    enum Kind {
        NAMED,
        FREE,
        /** Whose it is cannot be told: it may be any lease. */
        DAMAGED
    }

    /** @param name of a resource of this lockspace; empty unless it has one */
    record Area(Kind kind, String name, String why) {}

    /** @return corrupt with half a sentence, to be put behind the device's name */
    static Decoded<AreaTable> read(LeaseFile device) {
        IoOutcome head = device.read(0, HEAD_BYTES, LIMIT);
        if (head instanceof IoOutcome.Failed failed) {
            return new Decoded.Corrupt<>(failed.fault(), failed.why());
        }
        byte[] sector = ((IoOutcome.Done) head).bytes();
        LeaderRecord first = LeaderRecord.at(sector, 0);
        if (first.magic() != LeaderRecord.DELTA_MAGIC) {
            return new Decoded.Corrupt<>(
                    LeaseFault.MAGIC,
                    (Arrays.equals(sector, new byte[sector.length])
                                    ? "the device is empty"
                                    : "the device begins with something else than a lockspace")
                            + ". Make one with vmguard lease init, on one host, once");
        }
        Optional<LeaseLayout> layout = LeaseLayout.of(first.sectorSize(), first.flags());
        return layout.isEmpty()
                ? new Decoded.Corrupt<>(LeaseFault.GEOMETRY, "its lockspace has no geometry of the format")
                : ruled(device, name(first.spaceName()), layout.get());
    }

    private static Decoded<AreaTable> ruled(LeaseFile device, String lockspace, LeaseLayout layout) {
        IoOutcome read = device.read(layout.noteOffset(), layout.sectorBytes(), LIMIT);
        return read instanceof IoOutcome.Done done
                ? LockspaceRules.decodeSector(done.bytes(), layout)
                        .fold(
                                rules -> new Decoded.Valid<>(new AreaTable(lockspace, layout, rules.areas())),
                                Decoded.Corrupt::new)
                : new Decoded.Corrupt<>(((IoOutcome.Failed) read).fault(), ((IoOutcome.Failed) read).why());
    }

    /** Byte where an area begins. */
    long offset(int area) {
        return (long) area * layout.areaBytes();
    }

    /** @param area from 1 */
    Area area(LeaseFile device, int area) {
        IoOutcome read = device.read(offset(area), HEAD_BYTES, LIMIT);
        if (read instanceof IoOutcome.Failed failed) {
            return new Area(Kind.DAMAGED, "", "it cannot be read: " + failed.why());
        }
        LeaderRecord leader = LeaderRecord.at(((IoOutcome.Done) read).bytes(), 0);
        boolean resource = leader.magic() == LeaderRecord.PAXOS_MAGIC || leader.magic() == LeaderRecord.CLEARED_MAGIC;
        if (!resource || !leader.edit().seal().equals(leader)) {
            return new Area(Kind.DAMAGED, "", "its leader record is not sound");
        }
        String name = name(leader.resourceName());
        if (!name(leader.spaceName()).equals(lockspace)) {
            return new Area(Kind.NAMED, "", "it belongs to lockspace '" + name(leader.spaceName()) + "'");
        }
        if (name.equals(AreaPool.standIn(area).value())) {
            return new Area(Kind.FREE, name, "");
        }
        // The stand-in of another area was copied here; whatever was here is gone.
        return isStandIn(name)
                ? new Area(Kind.DAMAGED, "", "it is a copy of another area")
                : new Area(Kind.NAMED, name, "");
    }

    private static boolean isStandIn(String name) {
        return name.startsWith(AreaPool.STAND_IN);
    }

    boolean isLockspace(LeaseName name) {
        return lockspace.equals(name.value());
    }

    /** Records give a name one char per byte. */
    private static String name(String onDisk) {
        return new String(onDisk.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }
}
