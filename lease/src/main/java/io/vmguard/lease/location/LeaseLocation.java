/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LeaseDirectory;
import io.vmguard.lease.device.linux.LinuxDevice;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/**
 * A place for leases by its path: a directory, or a device. Which of them it is turns out whenever it is used, because storage may be
 * attached after its user was started. What is not there is looked for as a directory.
 */
public final class LeaseLocation implements LeaseStore {
    /** Far more than one write takes, where leases can be kept at all. */
    private static final Duration SETTLE = Duration.ofSeconds(5);

    private final Path path;
    private final LeaseDirectory directory;
    private final DeviceStore device;

    public LeaseLocation(Path path, LeaseClock clock, RandomGenerator random) {
        this(path, clock, random, SETTLE);
    }

    /** @param settle how long two who fill a device at once leave each other to say so */
    public LeaseLocation(Path path, LeaseClock clock, RandomGenerator random, Duration settle) {
        this.path = path;
        this.directory = new LeaseDirectory(path, clock, random);
        LinuxDevice linux = new LinuxDevice(path, clock);
        this.device = new DeviceStore(linux, new DeviceFilling(linux, clock, random, settle), clock);
    }

    /** The same for those who only look. */
    public static LeaseFiles toLookAt(Path path, LeaseClock clock) {
        return new LookedAt(
                path, new ReadOnlyDirectory(path, clock), new DeviceFiles(new LinuxDevice(path, clock), clock));
    }

    private LeaseStore store() {
        return LinuxDevice.is(path) ? device : directory;
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        return store().open(name, areaBytes, fresh, mayCreate);
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        store().remove(name, file);
    }

    @Override
    public LeaseFiles files() {
        return store().files();
    }

    @Override
    public String where() {
        return path.toString();
    }

    @Override
    public String path(LeaseName name) {
        return store().path(name);
    }

    @Override
    public Optional<AreaPool> pool() {
        return store().pool();
    }

    private record LookedAt(Path path, LeaseFiles directory, LeaseFiles device) implements LeaseFiles {
        private LeaseFiles files() {
            return LinuxDevice.is(path) ? device : directory;
        }

        @Override
        public List<Entry> list() throws IOException {
            return files().list();
        }

        @Override
        public Optional<Entry> find(LeaseName name) {
            return files().find(name);
        }

        @Override
        public LeaseStore.Opened openToRead(String name) {
            return files().openToRead(name);
        }

        @Override
        public String where() {
            return path.toString();
        }

        @Override
        public String path(Entry entry) {
            return files().path(entry);
        }

        @Override
        public boolean keepsPlaces() {
            return files().keepsPlaces();
        }
    }
}
