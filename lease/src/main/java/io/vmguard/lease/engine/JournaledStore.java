/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.step.IoOutcome;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.function.Supplier;

/**
 * A store that notes every change of an existing area before it is begun, and crosses it out when it has ended.
 *
 * <p>The making of a file is not noted: it appears whole or not at all, never in place of another, and a whole one is right whoever
 * made it. Nor is the filling of a device: nobody has joined before, and the next process leaves that to others.
 */
final class JournaledStore implements LeaseStore {
    private final LeaseStore store;
    private final Supplier<IoJournal> journal;

    /** @param journal asked for when something is about to change */
    JournaledStore(LeaseStore store, Supplier<IoJournal> journal) {
        this.store = store;
        this.journal = journal;
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        Opened opened = store.open(name, areaBytes, fresh, mayCreate);
        return opened instanceof Opened.Ready ready
                ? new Opened.Ready(new JournaledFile(name.value(), ready.file()), ready.created())
                : opened;
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        IoJournal.Note note = journal.get()
                .begin(IoJournal.Kind.REMOVE, name.value(), 0, new byte[0])
                .orElseThrow(() -> new IOException("too much is under way"));
        try {
            store.remove(name, file instanceof JournaledFile journaled ? journaled.file : file);
        } finally {
            note.close();
        }
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
    public String path(LeaseName name) {
        return store.path(name);
    }

    /** An area that is about to get a name counts as one with the lease on names: whoever may change the one waits for the other. */
    @Override
    public Optional<AreaPool> pool() {
        return store.pool().map(JournaledPool::new);
    }

    private final class JournaledPool implements AreaPool {
        private final AreaPool pool;

        JournaledPool(AreaPool pool) {
            this.pool = pool;
        }

        @Override
        public Found find(LeaseName name, int areaBytes) {
            Found found = pool.find(name, areaBytes);
            return found instanceof Found.Free free
                    ? new Found.Free(new JournaledFile(NAMES.value(), free.file()), free.standIn())
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

    private final class JournaledFile implements LeaseFile {
        private final String name;
        private final LeaseFile file;

        JournaledFile(String name, LeaseFile file) {
            this.name = name;
            this.file = file;
        }

        @Override
        public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
            return file.read(offsetBytes, lengthBytes, limit);
        }

        @Override
        public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
            Optional<IoJournal.Note> note = journal.get().begin(IoJournal.Kind.WRITE, name, offsetBytes, bytes);
            if (note.isEmpty()) {
                return new IoOutcome.Failed(LeaseFault.IO, "too many writes are under way");
            }
            try {
                return file.write(offsetBytes, bytes, limit);
            } finally {
                note.get().close();
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
