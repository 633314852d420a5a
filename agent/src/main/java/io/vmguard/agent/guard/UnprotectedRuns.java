/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.domain.OnLockFailure.Action;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.lease.AcquireResult;
import java.time.Duration;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Domains that run without all of their leases, or wish to go on without: says so, and does with them what the settings say. */
final class UnprotectedRuns {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final Duration PAUSE_LIMIT = Duration.ofSeconds(20);

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final LeaseClaims claims;
    private final Predicate<Run> repelled;
    private final Consumer<Run> doom;
    private final BiConsumer<Run, Runnable> explain;

    /**
     * @param repelled sends away what came to a running domain and is somebody else's; whether there was nothing but that
     * @param doom stops a run that must not go on
     * @param explain finds out whether somebody else holds its leases for a reason that is known, and calls back if not
     */
    UnprotectedRuns(
            GuardState state,
            Hypervisor hypervisor,
            LeaseClaims claims,
            Predicate<Run> repelled,
            Consumer<Run> doom,
            BiConsumer<Run, Runnable> explain) {
        this.state = state;
        this.hypervisor = hypervisor;
        this.claims = claims;
        this.repelled = repelled;
        this.doom = doom;
        this.explain = explain;
    }

    /** A domain that runs all the same has got its leases, or not. */
    void decideFound(Run run) {
        if (run.refused.isEmpty()) {
            LOG.info("VG-401 {} runs and holds {}", run, run.labels());
            run.conflicts = List.of();
            run.conflictPaused = false;
            report(run);
            return;
        }
        run.conflicts = List.of(Sentences.runsAllTheSame(claims.refusal(run).message()));
        report(run);
        boolean taken = run.refused.values().stream()
                .anyMatch(result -> result instanceof AcquireResult.HeldBy && !run.isAhead(result));
        if (taken && !state.settings.observe() && !run.doomed) {
            explain.accept(run, () -> {
                if (!run.ended && !run.doomed && !repelled.test(run)) {
                    actOnConflict(run);
                }
            });
        }
    }

    /**
     * Two hosts may write to a disk of it now.
     *
     * @return whether it does not simply go on
     */
    boolean actOnConflict(Run run) {
        switch (state.settings.onUnprotected()) {
            case REPORT -> {
                return false;
            }
            case PAUSE -> pause(run);
            case AUTO -> {
                GuardedProcess process = run.process;
                if (process == null || process.startedNanos() < state.settings.guardedSinceNanos()) {
                    return false;
                }
                pause(run);
            }
            case DESTROY -> {
                LOG.error("VG-410 {} is destroyed: somebody else holds its disk and on_unprotected is destroy", run);
                doom.accept(run);
            }
        }
        return true;
    }

    /** Through libvirt only: nothing of the leases depends on it, and people shall be able to look into it. */
    private void pause(Run run) {
        if (run.conflictPauseUnderWay) {
            return;
        }
        run.conflictPauseUnderWay = true;
        state.loop.askHypervisor(
                () -> {
                    SuspendResult result =
                            run.ended ? new SuspendResult.NotRunning() : hypervisor.suspend(run.uuid, PAUSE_LIMIT);
                    state.loop.tell(() -> onPaused(run, result));
                },
                () -> onPaused(run, new SuspendResult.Unknown("internal error")));
    }

    private void onPaused(Run run, SuspendResult result) {
        run.conflictPauseUnderWay = false;
        if (result instanceof SuspendResult.Suspended && !run.conflictPaused) {
            run.conflictPaused = true;
            LOG.error("VG-411 {} is paused: somebody else holds its disk. End one of the two: virsh destroy", run);
        } else if (result instanceof SuspendResult.Unknown unknown) {
            LOG.error("VG-412 {} could not be paused although somebody else holds its disk: {}", run, unknown.reason());
        }
    }

    /** What is wrong with a domain by its own wish. */
    List<String> standing(Run run) {
        OnLockFailure wish = run.onLockFailure;
        if (!wish.understood()) {
            return List.of(Sentences.unknownLockFailure(run.name, wish.written()));
        }
        if (wish.action() != Action.IGNORE) {
            return List.of();
        }
        return List.of(state.settings.allowIgnore() ? Sentences.ignores(run.name) : Sentences.mayNotIgnore(run.name));
    }

    /** Before a start: the same. */
    void judgeWish(Run run) {
        run.standing = standing(run);
        report(run);
    }

    /** Says once when a run begins or ends to be unprotected. */
    void report(Run run) {
        List<String> before = run.problems;
        run.problems = Stream.of(run.conflicts, run.following.problems(), run.unprotectable, run.standing)
                .flatMap(List::stream)
                .toList();
        boolean unprotected = !run.conflicts.isEmpty()
                || !run.unprotectable.isEmpty()
                || !run.following.problems().isEmpty();
        if (before.isEmpty() && unprotected) {
            LOG.error("VG-402 {} RUNS UNPROTECTED: {}", run, String.join(" / ", run.problems));
        } else if (before.isEmpty() && !run.problems.isEmpty()) {
            LOG.warn("VG-403 {}: {}", run, String.join(" / ", run.problems));
        } else if (run.problems.isEmpty() && !before.isEmpty()) {
            LOG.info("VG-404 {} is protected now: holds {}", run, run.labels());
        }
    }
}
