/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.fence.FencePolicy.Progress;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.process.GuardedProcess;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Domains that wait, paused, for the leases they have lost.
 *
 * <p>A run counts as <em>halted</em> when two things are proved, in this order: QEMU has answered the hypervisor's suspend, which it
 * does only when all requests of the guest have come back and its caches are flushed; and after it the kernel shows every thread of the
 * process stopped by SIGSTOP. The first alone is not enough: block jobs, exports, a resume and the housekeeping of an orderly exit write to the
 * image of a paused domain. The second alone is not either: requests may be in the kernel's hands. Together they mean that the disk is
 * not written until we send SIGCONT, or somebody else does, which is looked for every second and answered with SIGKILL.
 */
final class Pauses {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long LOOK_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();
    private static final long LOOK_SOON_NANOS = Duration.ofMillis(50).toNanos();

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final LeaseClaims claims;
    private final Cancellations cancellations;
    private final Runnable afterHalt;
    private final Consumer<Run> kill;

    /**
     * @param afterHalt called when a run can write no more
     * @param kill ends a run at once
     */
    Pauses(
            GuardState state,
            Hypervisor hypervisor,
            LeaseClaims claims,
            Cancellations cancellations,
            Runnable afterHalt,
            Consumer<Run> kill) {
        this.state = state;
        this.hypervisor = hypervisor;
        this.claims = claims;
        this.cancellations = cancellations;
        this.afterHalt = afterHalt;
        this.kill = kill;
    }

    // ---- to the proof

    /** Begins to pause a run that has a process; to be called again and again. */
    void pause(Run run, long byNanos) {
        if (run.pauseAsked || run.process == null || !cancellations.stays(run, byNanos)) {
            return;
        }
        run.pauseAsked = true;
        state.loop.askHypervisor(
                () -> {
                    long leftNanos = byNanos - state.clock.bootNanos();
                    SuspendResult result = leftNanos <= 0
                            ? new SuspendResult.Unknown("earlier calls took all the time")
                            : hypervisor.suspend(run.uuid, Duration.ofNanos(leftNanos));
                    state.loop.tell(() -> onSuspended(run, result));
                },
                () -> onSuspended(run, new SuspendResult.Unknown("internal error")));
    }

    private void onSuspended(Run run, SuspendResult result) {
        if (isOver(run)) {
            return;
        }
        if (result instanceof SuspendResult.Suspended) {
            Objects.requireNonNull(run.process).stop();
            run.stopSent = true;
            run.nextLookNanos = state.clock.bootNanos();
        } else {
            LOG.warn(
                    "VG-320 {} was not paused: {}",
                    run,
                    result instanceof SuspendResult.Unknown unknown
                            ? unknown.reason()
                            : "libvirt says that it does not run");
            run.progress = Progress.PAUSE_FAILED;
        }
    }

    private void onLooked(Run run, boolean stopped) {
        if (isOver(run)) {
            return;
        }
        if (stopped) {
            run.on(RunLife.Event.HALT);
            run.progress = Progress.PAUSE_PROVED;
            run.held.clear();
            run.nextLookNanos = state.clock.bootNanos() + LOOK_AGAIN_NANOS;
            run.conflicts = List.of(Sentences.halted(run.name));
            run.problems = run.conflicts;
            LOG.error("VG-321 {} is paused for certain: {}", run, Sentences.halted(run.name));
            afterHalt.run();
        }
    }

    /** Ended, or past the time for a pause: libvirt was asked to destroy it, and whatever comes of that it is not spared any more. */
    private boolean isOver(Run run) {
        return state.isOver(run) || !run.doomed || run.destroyAsked || run.killed;
    }

    /**
     * A domain that wants to be paused was found stopped: an earlier agent did that, most likely, and in which lease versions nobody knows
     * any more. Not for what was stopped when nobody guarded this host yet.
     */
    void adopt(Run run) {
        GuardedProcess process = run.process;
        if (process == null
                || !run.foundStopped
                || run.halted
                || run.doomed
                || run.onLockFailure.action() != OnLockFailure.Action.PAUSE
                || process.startedNanos() < state.settings.guardedSinceNanos()) {
            return;
        }
        run.on(RunLife.Event.HALT);
        run.orphaned = true;
        run.stopSent = true;
        run.nextLookNanos = state.clock.bootNanos();
        run.conflicts = List.of(Sentences.orphaned(run.name));
        run.problems = run.conflicts;
        LOG.error("VG-322 {}: {}", run, Sentences.orphaned(run.name));
    }

    // ---- while it lasts

    /** Sees whether a run is stopped yet, or still. */
    void lookWhenDue(Run run, long nowNanos) {
        GuardedProcess process = run.process;
        if (!run.stopSent || process == null || nowNanos < run.nextLookNanos) {
            return;
        }
        run.nextLookNanos = Long.MAX_VALUE;
        state.loop.lookUp(
                () -> {
                    boolean stopped = process.isStopped();
                    state.loop.tell(() -> onLookedAgain(run, stopped));
                },
                () -> onLookedAgain(run, false));
    }

    /** Somebody says that it runs. */
    void lookNow(Run run) {
        if (run.halted) {
            run.nextLookNanos = Math.min(run.nextLookNanos, state.clock.bootNanos());
        }
    }

    private void onLookedAgain(Run run, boolean stopped) {
        run.nextLookNanos = state.clock.bootNanos() + (run.halted ? LOOK_AGAIN_NANOS : LOOK_SOON_NANOS);
        if (!run.halted) {
            onLooked(run, stopped);
        } else if (!stopped && !Objects.requireNonNull(run.process).isGone()) {
            resumedByOthers(run);
        }
    }

    /** Somebody let it go on who has no lease for it. */
    private void resumedByOthers(Run run) {
        if (run.halted && !state.isOver(run)) {
            LOG.error("VG-323 {} goes on without its leases; killed", run);
            kill.accept(run);
        }
    }

    // ---- the way back

    /** There is a membership again. */
    void regain() {
        List.copyOf(state.runs.values()).stream()
                .filter(run -> run.halted && run.pending.isEmpty())
                .forEach(claims::acquireMissing);
    }

    /** A halted run has got its leases, or not. */
    void decide(Run run) {
        if (!run.refused.isEmpty()) {
            run.conflicts = List.of(
                    Sentences.halted(run.name),
                    Sentences.runsAllTheSame(claims.refusal(run).message()).replace(" It runs all the same.", ""));
            run.problems = run.conflicts;
            return;
        }
        if (!state.member()) {
            return; // lost again; the news is on its way
        }
        run.leasesLost = false;
        if (run.orphaned) {
            return; // whether somebody had its disk meanwhile will not be known any more
        }
        if (run.overtaken) {
            LOG.error(
                    "VG-324 {} was paused while another host owned a disk of it; what it knows of it is wrong: killed",
                    run);
            kill.accept(run);
            return;
        }
        run.on(RunLife.Event.RESUME);
        run.pauseAsked = false;
        run.stopSent = false;
        run.progress = Progress.NONE;
        run.conflicts = List.of();
        run.problems = run.unprotectable;
        Objects.requireNonNull(run.process).proceed();
        LOG.warn(
                "VG-325 {} has its leases again, and nobody had them meanwhile. To let it go on: virsh resume {}",
                run,
                run.name);
    }
}
