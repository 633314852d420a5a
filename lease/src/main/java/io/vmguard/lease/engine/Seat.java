/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.LocalLock;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.device.linux.ProcessLife;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The right of a process to be the agent of a lockspace on this machine: a lock for the life of the process, and a journal beside it.
 *
 * <p>There are several seats, because a killed process with a thread in storage I/O keeps its own. A process has the right when it
 * has a seat and every other seat is free or a {@link ProcessLife#DYING dying} process's. It takes a seat first and looks at the
 * others then, so of two that come at once at most one goes on.
 */
final class Seat implements AutoCloseable {
    /** One more than agents of one boot that can hang in storage at a time. */
    private static final int SEATS = 5;

    /** What came of asking for one. */
    sealed interface Answer {
        record Taken(Seat seat) implements Answer {}

        /** Another agent runs here. */
        record Refused(String why) implements Answer {}

        /** Whether another one can act here cannot be told now. */
        record NotYet(String why) implements Answer {}
    }

    private final LocalLock lock;
    private final IoJournal journal;
    private final Predecessor predecessor;

    private Seat(LocalLock lock, IoJournal journal, Predecessor predecessor) {
        this.lock = lock;
        this.journal = journal;
        this.predecessor = predecessor;
    }

    IoJournal journal() {
        return journal;
    }

    Predecessor predecessor() {
        return predecessor;
    }

    /**
     * Asks once. Touches the runtime directory and /proc only; does not block.
     *
     * @throws IOException if the runtime directory cannot be used
     * @throws IllegalStateException likewise
     */
    static Answer ask(Path runtimeDir, LeaseName lockspace, String bootId, LockHolder.Looks looks) throws IOException {
        Search search = new Search(runtimeDir, lockspace, bootId, looks);
        try {
            return search.run();
        } finally {
            search.giveBackWhatWasNotTaken();
        }
    }

    /** One look at all seats. */
    private static final class Search {
        private final Path runtimeDir;
        private final LeaseName lockspace;
        private final String bootId;
        private final LockHolder.Looks looks;
        private final List<LocalLock> toGiveBack = new ArrayList<>();
        private final List<Predecessor.Dying> dying = new ArrayList<>();
        private final List<IoJournal.Renewal> renewals = new ArrayList<>();

        Search(Path runtimeDir, LeaseName lockspace, String bootId, LockHolder.Looks looks) {
            this.runtimeDir = runtimeDir;
            this.lockspace = lockspace;
            this.bootId = bootId;
            this.looks = looks;
        }

        Answer run() throws IOException {
            Optional<LocalLock> own = Optional.empty();
            int ownNumber = 0;
            for (int number = 0; number < SEATS; number++) {
                Path file = lockFile(number);
                if (own.isPresent() && !Files.exists(file)) {
                    continue; // never taken; whoever takes it now finds ours taken
                }
                Optional<LocalLock> free = LocalLock.tryTake(file);
                free.ifPresent(toGiveBack::add);
                Optional<IoJournal.Left> left = IoJournal.read(journalFile(number), bootId);
                left.flatMap(IoJournal.Left::renewal).ifPresent(renewals::add);
                if (free.isPresent() && own.isEmpty()) {
                    own = free;
                    ownNumber = number;
                    LocalLock.sign(file, bootId);
                } else if (free.isEmpty()) {
                    LockHolder.Verdict verdict = looks.at(file, bootId);
                    if (verdict.life() == ProcessLife.ALIVE) {
                        return new Answer.Refused(file + " is locked: another vmguard agent runs here (" + verdict.who()
                                + "). One lockspace has one agent on a host: stop the other one first");
                    }
                    if (verdict.life() != ProcessLife.DYING) {
                        return new Answer.NotYet(
                                file + " is locked, and whether another vmguard agent runs here cannot be" + " told: "
                                        + verdict.who() + ". Find out who has it (lslocks), and end that process");
                    }
                    dying.add(new Predecessor.Dying(file, verdict.who(), left));
                }
            }
            if (own.isEmpty()) {
                return new Answer.NotYet(SEATS + " killed agents hang in storage I/O on this host: " + dying
                        + ". Bring the storage back, or reboot the host");
            }
            IoJournal journal = IoJournal.create(journalFile(ownNumber), bootId);
            toGiveBack.remove(own.get());
            return new Answer.Taken(new Seat(own.get(), journal, new Predecessor(dying, renewals)));
        }

        void giveBackWhatWasNotTaken() {
            toGiveBack.forEach(LocalLock::close);
        }

        private Path lockFile(int number) {
            return runtimeDir.resolve(lockspace + ".lock" + suffix(number));
        }

        private Path journalFile(int number) {
            return runtimeDir.resolve(lockspace + ".journal" + suffix(number));
        }

        private static String suffix(int number) {
            return number == 0 ? "" : "." + number;
        }
    }

    /** Only when no I/O of this process can land any more. */
    @Override
    public void close() {
        lock.close();
    }
}
