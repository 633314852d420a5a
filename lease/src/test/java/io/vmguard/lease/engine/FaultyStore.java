/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import java.util.function.Supplier;

/** A real store on which one write of a resource's leader or blocks goes wrong, or whose lockspace hangs. */
final class FaultyStore implements LeaseStore {
    /** What becomes of the write. */
    enum Kind {
        /** It fails and has no effect. */
        LOST,
        /** It takes effect and is reported as failed. */
        LANDED
    }

    private final LeaseStore store;
    private final LeaseName lockspace;
    private final long noteOffset;
    private final AtomicInteger writesUntilFault = new AtomicInteger(Integer.MAX_VALUE);
    private volatile Kind kind = Kind.LOST;
    private volatile CountDownLatch lockspaceAnswers = new CountDownLatch(0);

    FaultyStore(LeaseStore store, LeaseName lockspace, long noteOffset) {
        this.store = store;
        this.lockspace = lockspace;
        this.noteOffset = noteOffset;
    }

    /** The write after so many more goes wrong; notes do not count. */
    void failWrite(int number, Kind how) {
        kind = how;
        writesUntilFault.set(number);
    }

    /** @return whether the write that should go wrong has come */
    boolean hasFailed() {
        return writesUntilFault.get() < 0;
    }

    void hangLockspace() {
        lockspaceAnswers = new CountDownLatch(1);
    }

    void release() {
        lockspaceAnswers.countDown();
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        Opened opened = store.open(name, areaBytes, fresh, mayCreate);
        return opened instanceof Opened.Ready ready
                ? new Opened.Ready(new FaultyFile(ready.file(), name.equals(lockspace)), ready.created())
                : opened;
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        store.remove(name, ((FaultyFile) file).file);
    }

    @Override
    public LeaseFiles files() {
        return store.files();
    }

    @Override
    public String where() {
        return store.where();
    }

    @Override
    public Optional<AreaPool> pool() {
        return store.pool().map(FaultyPool::new);
    }

    private final class FaultyPool implements AreaPool {
        private final AreaPool pool;

        FaultyPool(AreaPool pool) {
            this.pool = pool;
        }

        @Override
        public Found find(LeaseName name, int areaBytes) {
            Found found = pool.find(name, areaBytes);
            return found instanceof Found.Free free
                    ? new Found.Free(new FaultyFile(free.file(), false), free.standIn())
                    : found;
        }

        @Override
        public int room(int areaBytes) {
            return pool.room(areaBytes);
        }

        @Override
        public Optional<String> fill(IntFunction<byte[]> area, int areas, int areaBytes, int sectorBytes) {
            return pool.fill(area, areas, areaBytes, sectorBytes);
        }
    }

    private final class FaultyFile implements LeaseFile {
        private final LeaseFile file;
        private final boolean isLockspace;

        FaultyFile(LeaseFile file, boolean isLockspace) {
            this.file = file;
            this.isLockspace = isLockspace;
        }

        @Override
        public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
            hang();
            return file.read(offsetBytes, lengthBytes, limit);
        }

        @Override
        public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
            hang();
            boolean faulty = !isLockspace && offsetBytes != noteOffset && writesUntilFault.getAndDecrement() == 0;
            if (!faulty) {
                return file.write(offsetBytes, bytes, limit);
            }
            if (kind == Kind.LANDED) {
                file.write(offsetBytes, bytes, limit);
            }
            return new IoOutcome.Failed(LeaseFault.IO, "a fault of the test");
        }

        private void hang() {
            if (!isLockspace) {
                return;
            }
            try {
                lockspaceAnswers.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
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
