/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseDevice;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.location.AreaTable.Area;
import io.vmguard.lease.location.AreaTable.Kind;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** The areas of a device for those who only look. Areas that have no name yet are left out; a damaged one is called by its number. */
final class DeviceFiles implements LeaseFiles {
    private final LeaseDevice device;
    private final LeaseClock clock;
    /** Areas by name, as the latest look found them. */
    private final Map<String, Integer> numbers = new ConcurrentHashMap<>();

    private volatile int areaBytes = 1 << 20;

    DeviceFiles(LeaseDevice device, LeaseClock clock) {
        this.device = device;
        this.clock = clock;
    }

    @Override
    public String where() {
        return device.where();
    }

    /** As sanlock names an area: path, colon, offset. */
    @Override
    public String path(Entry entry) {
        Integer area = numbers.get(entry.name());
        return where() + ":" + (area == null ? 0 : (long) area * areaBytes);
    }

    @Override
    public boolean keepsPlaces() {
        return true;
    }

    private interface OnTable<T> {
        T run(LeaseFile file, AreaTable table);
    }

    @Override
    public List<Entry> list() throws IOException {
        return onTable(this::entries);
    }

    private <T> T onTable(OnTable<T> action) throws IOException {
        Opened opened = device.open(false);
        if (opened instanceof Opened.Refused refused) {
            throw new IOException(refused.why());
        }
        try (LeaseFile file = ((Opened.Ready) opened).file()) {
            Decoded<AreaTable> table = AreaTable.read(file);
            if (table instanceof Decoded.Corrupt<AreaTable> corrupt) {
                throw new IOException(where() + ": " + corrupt.why() + device.doubt());
            }
            AreaTable sound = ((Decoded.Valid<AreaTable>) table).value();
            areaBytes = sound.layout().areaBytes();
            return action.run(file, sound);
        }
    }

    private List<Entry> entries(LeaseFile file, AreaTable table) {
        List<Entry> entries = new ArrayList<>();
        entries.add(entry(table.lockspace(), 0));
        for (int number = 1; number <= table.areas(); number++) {
            Area area = table.area(file, number);
            if (area.kind() == Kind.FREE) {
                break;
            }
            entries.add(entry(area.name().isEmpty() ? "area-" + number : area.name(), number));
        }
        entries.sort(Comparator.comparing(Entry::name));
        return entries;
    }

    private Entry entry(String name, int number) {
        numbers.put(name, number);
        // A device does not say when it was written: now is the answer that makes nobody throw anything away.
        return new Entry(name, true, areaBytes, clock.wallSeconds());
    }

    @Override
    public Optional<Entry> find(LeaseName name) {
        try {
            List<Entry> among = onTable((file, table) ->
                    table.isLockspace(name) ? List.of(entry(table.lockspace(), 0)) : entries(file, table));
            return among.stream()
                    .filter(entry -> entry.name().equals(name.value()))
                    .findFirst();
        } catch (IOException e) {
            // Not to be read is not the same as not there; who opens it is told why.
            numbers.remove(name.value());
            return Optional.of(new Entry(name.value(), true, areaBytes, clock.wallSeconds()));
        }
    }

    @Override
    public Opened openToRead(String name) {
        Integer area = numbers.get(name);
        if (area == null) {
            return unnamed();
        }
        Opened opened = device.open(false);
        return opened instanceof Opened.Ready ready
                ? new Opened.Ready(new AreaFile(ready.file(), (long) area * areaBytes, areaBytes), false)
                : opened;
    }

    private Opened unnamed() {
        Opened opened = device.open(false);
        if (opened instanceof Opened.Refused) {
            return opened;
        }
        try (LeaseFile file = ((Opened.Ready) opened).file()) {
            return AreaTable.read(file)
                    .fold(
                            table -> new Opened.Refused(LeaseFault.MISSING, "no area has this name"),
                            (fault, why) -> new Opened.Refused(fault, why + device.doubt()));
        }
    }
}
