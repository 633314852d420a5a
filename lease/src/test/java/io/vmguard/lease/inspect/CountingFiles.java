/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Counts what is read, and refuses to write. */
final class CountingFiles implements LeaseFiles {
    final AtomicLong bytes = new AtomicLong();
    final AtomicInteger reads = new AtomicInteger();
    final AtomicInteger open = new AtomicInteger();
    final AtomicInteger mostOpen = new AtomicInteger();
    private final LeaseFiles real;

    CountingFiles(LeaseFiles real) {
        this.real = real;
    }

    @Override
    public List<Entry> list() throws IOException {
        return real.list();
    }

    @Override
    public Optional<Entry> find(LeaseName name) {
        return real.find(name);
    }

    @Override
    public String where() {
        return real.where();
    }

    @Override
    public Opened openToRead(String name) {
        return real.openToRead(name)
                .fold(ready -> new Opened.Ready(new Counted(ready.file()), false), Opened.Refused::new);
    }

    private final class Counted implements LeaseFile {
        private final LeaseFile file;

        Counted(LeaseFile file) {
            this.file = file;
            mostOpen.accumulateAndGet(open.incrementAndGet(), Math::max);
        }

        @Override
        public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
            reads.incrementAndGet();
            bytes.addAndGet(lengthBytes);
            return file.read(offsetBytes, lengthBytes, limit);
        }

        @Override
        public IoOutcome write(long offsetBytes, byte[] written, Duration limit) {
            throw new AssertionError("an inspection writes nothing");
        }

        @Override
        public boolean stillNamed() {
            return file.stillNamed();
        }

        @Override
        public void close() {
            open.decrementAndGet();
            file.close();
        }
    }
}
