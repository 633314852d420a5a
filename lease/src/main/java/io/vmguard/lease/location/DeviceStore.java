/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseDevice;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.location.AreaTable.Area;
import io.vmguard.lease.location.AreaTable.Kind;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import java.util.function.Supplier;

/**
 * Lease areas side by side on a device.
 *
 * <p>A name that has an area keeps it for good. So what was read once stays true, and is remembered: a lease is found with one read of
 * its leader, and a new name costs a look at what came behind those that are known.
 */
final class DeviceStore implements LeaseStore, AreaPool {
    private final LeaseDevice device;
    private final DeviceFilling filling;
    private final LeaseClock clock;
    private final AtomicReference<KnownAreas> known = new AtomicReference<>(KnownAreas.NOTHING);

    DeviceStore(LeaseDevice device, DeviceFilling filling, LeaseClock clock) {
        this.device = device;
        this.filling = filling;
        this.clock = clock;
    }

    @Override
    public LeaseFiles files() {
        return new DeviceFiles(device, clock);
    }

    @Override
    public String where() {
        return device.where();
    }

    @Override
    public Optional<AreaPool> pool() {
        return Optional.of(this);
    }

    @Override
    public String path(LeaseName name) {
        return where() + " (" + name + ")";
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        Opened opened = device.open(true);
        if (!(opened instanceof Opened.Ready ready)) {
            return opened;
        }
        boolean used = false;
        try {
            Opened area = AreaTable.read(ready.file())
                    .fold(
                            table -> area(ready.file(), table, name),
                            (fault, why) -> refused(fault, why + device.doubt()));
            used = area instanceof Opened.Ready;
            return area;
        } finally {
            if (!used) {
                ready.file().close();
            }
        }
    }

    private Opened area(LeaseFile file, AreaTable table, LeaseName name) {
        if (table.isLockspace(name)) {
            known.set(KnownAreas.NOTHING); // a host that joins anew may find a device that was filled anew
            return ready(file, table, 0);
        }
        OptionalInt before = Objects.requireNonNull(known.get()).area(name);
        if (before.isPresent()) {
            Area area = table.area(file, before.getAsInt());
            if (area.name().equals(name.value())) {
                return ready(file, table, before.getAsInt());
            }
            if (area.kind() == Kind.DAMAGED) {
                return refused(
                        LeaseFault.CHECKSUM,
                        "the area at offset " + table.offset(before.getAsInt()) + ": " + area.why());
            }
            known.set(KnownAreas.NOTHING); // another device has come to this place
        }
        KnownAreas now = lookThrough(file, table);
        OptionalInt found = now.area(name);
        if (found.isPresent()) {
            return ready(file, table, found.getAsInt());
        }
        Optional<Found.Refused> doubt = doubt(table, now, name);
        return doubt.isPresent()
                ? new Opened.Refused(doubt.get().fault(), doubt.get().why())
                : refused(LeaseFault.MISSING, "no area of the device has the name " + name);
    }

    private static Opened ready(LeaseFile file, AreaTable table, int area) {
        return new Opened.Ready(
                new AreaFile(file, table.offset(area), table.layout().areaBytes()), false);
    }

    private KnownAreas lookThrough(LeaseFile file, AreaTable table) {
        KnownAreas before = Objects.requireNonNull(known.get());
        KnownAreas now = before.lookedThrough(file, table);
        // If another thread was faster it is looked through again next time, no more.
        known.compareAndSet(before, now);
        return now;
    }

    /** A lease that is not found may be the one that cannot be read. It must not get a second area. */
    private Optional<Found.Refused> doubt(AreaTable table, KnownAreas now, LeaseName name) {
        if (table.areas() == 0) {
            return Optional.of(new Found.Refused(
                    LeaseFault.RULES,
                    where() + ": its lockspace was made without areas for leases. Make it with vmguard lease init"
                            + device.doubt()));
        }
        if (AreaPool.isReserved(name) && !name.equals(NAMES)) {
            return Optional.of(new Found.Refused(
                    LeaseFault.RESOURCE, where() + ": names that begin with 'vmguard-' are not for leases"));
        }
        return now.damaged().stream()
                .findFirst()
                .map(area -> new Found.Refused(
                        LeaseFault.CHECKSUM,
                        where() + ": the area at offset " + table.offset(area)
                                + " is damaged and may be the lease "
                                + name + ". See vmguard lease list, and bring it back"));
    }

    @Override
    public Found find(LeaseName name, int areaBytes) {
        Opened opened = device.open(true);
        if (opened instanceof Opened.Refused refused) {
            return new Found.Refused(refused.fault(), refused.why());
        }
        LeaseFile file = ((Opened.Ready) opened).file();
        boolean used = false;
        try {
            Found found = AreaTable.read(file)
                    .fold(
                            table -> find(file, table, name),
                            (fault, why) -> new Found.Refused(fault, where() + ": " + why + device.doubt()));
            used = found instanceof Found.Free;
            return found;
        } finally {
            if (!used) {
                file.close();
            }
        }
    }

    private Found find(LeaseFile file, AreaTable table, LeaseName name) {
        KnownAreas now = lookThrough(file, table);
        if (now.area(name).isPresent()) {
            return new Found.Named();
        }
        Optional<Found.Refused> doubt = doubt(table, now, name);
        if (doubt.isPresent()) {
            return doubt.get();
        }
        int next = now.frontier();
        return next > table.areas()
                ? new Found.Refused(
                        LeaseFault.IO,
                        where() + ": all " + table.areas() + " areas of the device have names (errno 28). "
                                + "Leases need a larger device")
                : new Found.Free(
                        new AreaFile(file, table.offset(next), table.layout().areaBytes()), AreaPool.standIn(next));
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        throw new IOException("a lease on a device keeps its area");
    }

    @Override
    public int room(int areaBytes) {
        return filling.room(areaBytes);
    }

    @Override
    public Optional<String> fill(IntFunction<byte[]> area, int areas, int areaBytes, int sectorBytes) {
        return filling.fill(area, areas, areaBytes, sectorBytes);
    }

    private Opened refused(LeaseFault fault, String why) {
        return new Opened.Refused(fault, where() + ": " + why);
    }
}
