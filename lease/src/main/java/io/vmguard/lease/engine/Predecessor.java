/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.LocalLock;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * The agents of this boot before this one: what they have left, and whether all of them are gone for good. Those that are dying do
 * nothing more, but what they had asked of the kernel may still be done.
 */
final class Predecessor {
    /**
     * A killed process that is still there.
     *
     * @param lockFile what it keeps locked until it is gone
     * @param who for people
     * @param left empty if its journal is of no use
     */
    record Dying(Path lockFile, String who, Optional<IoJournal.Left> left) {
        @Override
        public String toString() {
            return who;
        }
    }

    private final List<Dying> dying;
    private final List<IoJournal.Renewal> renewals;
    private final CompletableFuture<Void> gone = new CompletableFuture<>();

    Predecessor(List<Dying> dying, List<IoJournal.Renewal> renewals) {
        this.dying = List.copyOf(dying);
        this.renewals = List.copyOf(renewals);
        if (dying.isEmpty()) {
            gone.complete(null);
        }
    }

    /** Those that were dying when this process began. */
    List<Dying> dying() {
        return dying;
    }

    /** Completes when no I/O of any predecessor can land any more. */
    CompletableFuture<Void> gone() {
        return gone;
    }

    /** What may still land. */
    Remains remains(LeaseName lockspace, Timeouts timeouts, Optional<LocalRecord> before) {
        return gone.isDone()
                ? Remains.NONE
                : Remains.of(dying.stream().map(Dying::left).toList(), lockspace, timeouts, before);
    }

    /** Looks whether they are gone. One thread. */
    void look() {
        if (!gone.isDone() && dying.stream().allMatch(process -> isFree(process.lockFile()))) {
            gone.complete(null);
        }
    }

    private static boolean isFree(Path lockFile) {
        try {
            Optional<LocalLock> free = LocalLock.tryTake(lockFile);
            free.ifPresent(LocalLock::close);
            return free.isPresent();
        } catch (IllegalStateException e) {
            return false; // a lock file that cannot be opened proves nothing
        }
    }

    /** The last renewal of that membership, as far as it was noted. */
    Optional<IoJournal.Renewal> lastRenewal(Owner owner) {
        return renewals.stream()
                .filter(r -> r.hostId() == owner.hostId() && r.generation() == owner.generation())
                .max(Comparator.comparingLong(IoJournal.Renewal::startedNanos));
    }
}
