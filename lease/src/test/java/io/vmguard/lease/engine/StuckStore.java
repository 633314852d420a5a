/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** A real store that can hang, for one file or all, and whose process can be killed while it hangs. */
final class StuckStore implements LeaseStore {
    private final LeaseStore store;
    private final AtomicInteger stuck = new AtomicInteger();
    private volatile Predicate<LeaseName> stuckForWrites = name -> false;
    private volatile boolean stuckForAll;
    private volatile boolean killed;
    private volatile CountDownLatch answers = new CountDownLatch(0);

    StuckStore(LeaseStore store) {
        this.store = store;
    }

    void stickWritesOf(LeaseName name) {
        answers = new CountDownLatch(1);
        stuckForWrites = name::equals;
    }

    void stickAll() {
        answers = new CountDownLatch(1);
        stuckForAll = true;
    }

    /** Calls that hang, or have. */
    int stuck() {
        return stuck.get();
    }

    /** The storage answers again. */
    void unstick() {
        stuckForAll = false;
        stuckForWrites = name -> false;
        answers.countDown();
    }

    /** From now on this process begins no I/O. What has begun is done when the storage answers. */
    void kill() {
        killed = true;
    }

    private void hang(boolean hangs) {
        try {
            if (hangs) {
                stuck.incrementAndGet();
                answers.await();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        hang(stuckForAll);
        Opened opened =
                killed ? new Opened.Refused(LeaseFault.IO, "killed") : store.open(name, areaBytes, fresh, mayCreate);
        return opened instanceof Opened.Ready ready
                ? new Opened.Ready(new StuckFile(name, ready.file()), ready.created())
                : opened;
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        throw new IOException("no test removes");
    }

    @Override
    public LeaseFiles files() {
        return store.files();
    }

    @Override
    public String where() {
        return store.where();
    }

    private final class StuckFile implements LeaseFile {
        private final LeaseName name;
        private final LeaseFile file;

        StuckFile(LeaseName name, LeaseFile file) {
            this.name = name;
            this.file = file;
        }

        @Override
        public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
            hang(stuckForAll);
            return killed ? new IoOutcome.Failed(LeaseFault.IO, "killed") : file.read(offsetBytes, lengthBytes, limit);
        }

        @Override
        public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
            if (killed) {
                return new IoOutcome.Failed(LeaseFault.IO, "killed");
            }
            hang(stuckForAll || stuckForWrites.test(name));
            return file.write(offsetBytes, bytes, limit);
        }

        @Override
        public boolean stillNamed() {
            return file.stillNamed();
        }

        @Override
        public void close() {
            file.close();
        }
    }
}
