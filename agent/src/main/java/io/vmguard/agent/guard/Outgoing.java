/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.migration.SourceSide.Guest;
import io.vmguard.agent.migration.SourceSide.Word;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A migration of a run to another host. Touched by the guard's thread only. */
final class Outgoing {
    /** The lease beside which both sides leave their words. */
    final LeaseName channel;

    /** Known when both this and {@link #offered}: before, nothing of the other side is believed. */
    long attempt;

    boolean offered;

    /** Who has prepared. */
    @Nullable
    Owner receiver;

    Word word = Word.NONE;
    /** Boot clock: since when the other side is known to run; 0 if it is not. */
    long runningSinceNanos;

    boolean lookUnderWay;
    long nextLookNanos;
    /** Not before then is a step tried again. */
    long nextTryNanos;

    /** Leases with a step under way, or one whose outcome is not known. */
    final Set<LeaseName> underWay = new HashSet<>();

    final Set<LeaseName> given = new HashSet<>();
    /** They were given by an earlier agent: this process has no hand-over of them under way. */
    boolean inherited;

    boolean returned;
    /** We have sent SIGSTOP, and no SIGCONT since. */
    boolean stopped;
    /** Whether its virtual processors are held. */
    Guest guest = Guest.FREE;
    /** The hypervisor has said that it was resumed, after its leases had gone. */
    boolean resumed;
    /** Boot clock: since when its guest stands still; 0 if it does not. */
    long stillSinceNanos;

    /** The hypervisor says that the migration is under way and in post-copy: the other side fetches the rest of the memory. */
    boolean postCopy;

    boolean saidUnguarded;
    boolean saidUnknown;

    Outgoing(LeaseName channel) {
        this.channel = channel;
    }

    /**
     * Whether the other side runs the guest, and fetches the rest of its memory from here, where it cannot run any more. That it runs there is
     * known for good, also if its word cannot be read now. What an earlier agent has given may not all be the other side's.
     */
    boolean isFetched() {
        boolean runsThere = runningSinceNanos != 0 && (word == Word.RUNNING || word == Word.UNKNOWN);
        return postCopy && runsThere && !given.isEmpty() && underWay.isEmpty() && !inherited && !stopped && !resumed;
    }

    /** Its virtual processors go on as far as we are concerned. */
    void letGuestGo(@Nullable GuardedProcess process) {
        // Whatever was believed of it: the answer to an earlier question may have come late.
        if (process != null && guest != Guest.FREE) {
            process.letGuestGo();
        }
        guest = Guest.FREE;
    }

    /** Who has confirmed that it owns what it was given runs, for only then it does that: also if it died before it said so. */
    static Word word(TransferResult.Seen seen, Optional<TransferWord> answer) {
        if (answer.isEmpty()) {
            return Word.NONE;
        }
        boolean confirmed = seen.confirmed()
                && seen.owner().map(answer.get().from()::equals).orElse(false);
        return switch (answer.get().state()) {
            case PREPARED -> confirmed ? Word.RUNNING : Word.PREPARED;
            case RUNNING -> Word.RUNNING;
            default -> Word.ENDED;
        };
    }
}
