/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/** Takes and gives back the leases of runs. The outcome of each claim comes back to the guard's thread. */
final class LeaseClaims {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    private final GuardState state;
    private final Consumer<Run> decided;

    /** @param decided called when the last outcome that a run waited for is there */
    LeaseClaims(GuardState state, Consumer<Run> decided) {
        this.state = state;
        this.decided = decided;
    }

    void acquireMissing(Run run) {
        for (Map.Entry<LeaseName, Run.Wanted> wanted : List.copyOf(run.wanted.entrySet())) {
            LeaseName resource = wanted.getKey();
            if (run.holds(resource) || run.pending.containsKey(resource) || run.isElsewhere(resource)) {
                continue;
            }
            CompletableFuture<AcquireResult> future = state.lockspace.acquire(
                    resource, wanted.getValue().note(), wanted.getValue().mode(), Duration.ZERO);
            run.pending.put(resource, future);
        }
        // Only now, for a future that is complete already calls back at once.
        Map.copyOf(run.pending)
                .forEach((resource, future) -> future.whenComplete(
                        (result, error) -> state.loop.tell(() -> onAcquired(run, resource, future, result))));
    }

    private void onAcquired(
            Run run, LeaseName resource, CompletableFuture<AcquireResult> future, @Nullable AcquireResult result) {
        if (run.pending.get(resource) != future) {
            return; // given up, see giveUp
        }
        run.pending.remove(resource);
        if (result instanceof AcquireResult.Acquired acquired) {
            onHeld(run, resource, acquired);
            run.refused.remove(resource);
        } else {
            run.refused.put(
                    resource,
                    result != null
                            ? result
                            : new AcquireResult.CannotTell(LeaseFault.IO, "the lease engine has a bug", true));
        }
        if (run.pending.isEmpty()) {
            decided.accept(run);
        }
    }

    /** Each ballot that is won makes one version more: any other step means that somebody else has won one meanwhile, or may have. */
    private static void onHeld(Run run, LeaseName resource, AcquireResult.Acquired acquired) {
        run.held.put(resource, true);
        Long before = run.lvers.put(resource, acquired.lease().lver());
        if (run.halted && (before == null || acquired.lease().lver() != before + 1)) {
            run.overtaken = true;
        }
    }

    /** Waits for no lease any more. The engine gives back what comes later; what has come, its news still in the queue, is held. */
    void giveUp(Run run) {
        run.pending.forEach((resource, future) -> {
            boolean cancelled = future.cancel(false) || future.isCompletedExceptionally();
            if (!cancelled && future.join() instanceof AcquireResult.Acquired acquired) {
                onHeld(run, resource, acquired);
            }
        });
        run.pending.clear();
    }

    void releaseAll(Run run) {
        for (LeaseName resource : List.copyOf(run.held.keySet())) {
            release(resource, Objects.requireNonNull(run.wanted.get(resource)));
        }
        run.held.clear();
    }

    /** One that the run does not need any more, whether it holds it or not. */
    void giveBack(Run run, LeaseName resource) {
        Run.Wanted wanted = Objects.requireNonNull(run.wanted.remove(resource));
        run.refused.remove(resource);
        run.lvers.remove(resource);
        if (run.held.remove(resource) != null) {
            release(resource, wanted);
        }
    }

    /** The same, also if it is waited for: what is won later the engine gives back. */
    void forget(Run run, LeaseName resource) {
        CompletableFuture<AcquireResult> future = run.pending.remove(resource);
        if (future != null && !future.cancel(false) && future.getNow(null) instanceof AcquireResult.Acquired acquired) {
            onHeld(run, resource, acquired);
        }
        giveBack(run, resource);
    }

    private void release(LeaseName resource, Run.Wanted wanted) {
        // Another domain of this host may be using a shared one, too.
        state.lockspace.release(resource, wanted.note()).thenAccept(result -> {
            if (result instanceof ReleaseResult.NotOurs notOurs && notOurs.fault() != LeaseFault.NO_MEMBERSHIP) {
                LOG.error(
                        "VG-210 {} was not ours any more when it was given back: {}",
                        wanted.note().disk(),
                        notOurs.why());
            } else if (result instanceof ReleaseResult.CannotTell cannot) {
                LOG.warn(
                        "VG-211 {} is not given back yet, trying on: {}",
                        wanted.note().disk(),
                        cannot.why());
            }
        });
    }

    /** Why a lease is not had. */
    String sentence(String label, AcquireResult result) {
        return result.fold(
                acquired -> label,
                held -> Sentences.heldBy(label, held, state.lockspace.view().owner()),
                cannot -> Sentences.cannotTell(label, cannot.why()));
    }

    StartAnswer refusal(Run run) {
        Optional<StartAnswer> taken = Optional.empty();
        Optional<StartAnswer> unknown = Optional.empty();
        Optional<Owner> self = state.lockspace.view().owner();
        // By the disks' order, not by that of the answers: a disk's own name comes before the other names that it has.
        for (Map.Entry<LeaseName, Run.Wanted> entry : run.wanted.entrySet()) {
            AcquireResult result = run.refused.get(entry.getKey());
            String label = entry.getValue().note().disk();
            if (result instanceof AcquireResult.HeldBy held && taken.isEmpty()) {
                taken = Optional.of(new StartAnswer.Refused(Sentences.heldBy(label, held, self)));
            } else if (result instanceof AcquireResult.CannotTell cannot && unknown.isEmpty()) {
                unknown = Optional.of(new StartAnswer.CannotTell(Sentences.cannotTell(label, cannot.why())));
            }
        }
        return taken.orElse(unknown.orElseGet(() -> new StartAnswer.CannotTell(Sentences.previousUnknown(run.name))));
    }

    StartAnswer late(Run run) {
        if (!run.refused.isEmpty()) {
            return refusal(run);
        }
        String label = run.pending.keySet().stream()
                .findFirst()
                .map(resource -> Objects.requireNonNull(run.wanted.get(resource)))
                .map(wanted -> wanted.note().disk())
                .orElse(run.name);
        return new StartAnswer.CannotTell(Sentences.cannotTell(label, "the lease directory does not answer"));
    }
}
