/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.migration.SourceSide.Word;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * What departures leave behind on this host, told from the words on disk: the leases of runs that have ended here, and runs that an earlier
 * agent has given away or stopped.
 */
final class PastDepartures {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long TRY_AGAIN_NANOS = Duration.ofMillis(200).toNanos();

    /** What a run that has ended leaves behind. */
    private record Left(Run run, @Nullable Outgoing outgoing, List<LeaseName> leases) {}

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final List<Left> unsettled = new ArrayList<>();
    private final Map<Run, Runnable> unexplained = new LinkedHashMap<>();
    private long nextSettleNanos;

    PastDepartures(GuardState state, LeaseTransfer transfer) {
        this.state = state;
        this.transfer = transfer;
    }

    // ---- the end of the run

    /**
     * The run is proved gone. If it may have gone to another host, that one's last word decides what becomes of its exclusive leases:
     * whoever waits for them is given them, and nobody else can step in between.
     */
    void ended(Run run) {
        Outgoing outgoing = run.outgoing;
        if (outgoing == null && !(run.carriedOver && run.holds(run.channel()))) {
            return;
        }
        if (outgoing != null) {
            outgoing.given.forEach(state.lockspace::release);
        }
        Left left = new Left(run, outgoing, new ArrayList<>());
        for (LeaseName resource : Departures.exclusive(run)) {
            run.held.remove(resource);
            if (outgoing == null || !outgoing.underWay.contains(resource)) {
                left.leases().add(resource);
            }
        }
        settle(left);
    }

    private void settle(Left left) {
        transfer.look(left.run().channel())
                .thenAccept(result -> state.loop.tell(() -> {
                    if (result instanceof TransferResult.Seen seen) {
                        settle(left, seen);
                    } else if (state.member()) {
                        unsettled.add(left);
                    }
                }));
    }

    private void settle(Left left, TransferResult.Seen seen) {
        Optional<TransferWord> offer = seen.giver().filter(word -> state.isOurs(word.from()));
        Optional<TransferWord> answer = offer.flatMap(word -> seen.answer(word.attempt()));
        Word word = Outgoing.word(seen, answer);
        boolean awaited = word == Word.PREPARED || word == Word.RUNNING;
        for (LeaseName resource : left.leases()) {
            if (awaited) {
                // Given or kept: nobody uses it here.
                transfer.handOver(resource, answer.get().from())
                        .thenAccept(result -> state.lockspace.release(resource));
            } else {
                state.lockspace.release(resource);
            }
        }
        Outgoing outgoing = left.outgoing();
        if (awaited) {
            LOG.info(
                    "VG-231 {} has gone to host id {}",
                    left.run(),
                    answer.get().from().hostId());
        } else if (outgoing != null && word == Word.NONE && outgoing.stillSinceNanos != 0) {
            LOG.error("VG-221 {}", Sentences.toUnguarded(left.run().name));
        }
    }

    /** What could not be settled yet is looked at again. */
    void settleWhenDue(long nowNanos) {
        if (nowNanos >= nextSettleNanos) {
            nextSettleNanos = nowNanos + TRY_AGAIN_NANOS;
            Map<Run, Runnable> askAgain = Map.copyOf(unexplained);
            unexplained.clear();
            askAgain.forEach(this::explain);
            List<Left> again = List.copyOf(unsettled);
            unsettled.clear();
            again.forEach(this::settle);
        }
    }

    // ---- after a restart of the agent

    /**
     * A run was found that another host holds leases of, or that was stopped. Finds out whether an earlier agent of this host has given
     * them away or stopped it, and goes on from there.
     *
     * @param not called if not
     */
    void explain(Run run, Runnable not) {
        run.explained = true;
        run.explaining = true;
        transfer.look(run.channel()).thenAccept(result -> state.loop.tell(() -> onExplained(run, result, not)));
    }

    private void onExplained(Run run, TransferResult result, Runnable not) {
        run.explaining = false;
        if (run.ended || run.outgoing != null || run.incoming != null) {
            return;
        }
        if (!(result instanceof TransferResult.Seen seen)) {
            run.explaining = true;
            unexplained.put(run, not);
            return;
        }
        Optional<TransferWord> offer = seen.giver()
                .filter(word -> state.isOurs(word.from()))
                .filter(word -> word.state() == TransferWord.State.OFFERED);
        Optional<TransferWord> answer = offer.flatMap(word -> seen.answer(word.attempt()));
        boolean stoppedUnheard = offer.isPresent() && run.foundStopped; // while the other side's word could not be read
        if (answer.isEmpty() && !stoppedUnheard) {
            // Nobody here will ask for what was given to come back.
            run.refused.keySet().stream().filter(transfer.given()::contains).forEach(state.lockspace::release);
            not.run();
            return;
        }
        Outgoing outgoing = new Outgoing(run.channel());
        outgoing.inherited = true;
        outgoing.offered = true;
        outgoing.attempt = offer.get().attempt();
        outgoing.receiver = answer.map(TransferWord::from).orElse(null);
        outgoing.word = Outgoing.word(seen, answer);
        run.refused.forEach((resource, why) -> outgoing.given.add(resource));
        run.refused.clear();
        run.outgoing = outgoing;
        LOG.warn(
                "VG-232 {} was on its way to host id {} when an earlier agent ended", run, Departures.hostId(outgoing));
    }
}
