/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.fence.FencePolicy;
import io.vmguard.agent.fence.FencePolicy.Progress;
import io.vmguard.agent.fence.FencePolicy.Verdict;
import io.vmguard.agent.fence.FencePolicy.Wish;
import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import java.time.Duration;
import java.util.Optional;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Stops runs that must not go on, as {@link FencePolicy} says: through libvirt while there is time, then by SIGKILL. */
final class Fencing {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long KILL_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final Pauses pauses;

    Fencing(GuardState state, Hypervisor hypervisor, Pauses pauses) {
        this.state = state;
        this.hypervisor = hypervisor;
        this.pauses = pauses;
    }

    /**
     * Stops a run from now on.
     *
     * @param wish how
     * @param renewedNanos start of the last renewal of the leases that it has lost, boot clock; now if there is another reason
     */
    void begin(Run run, Wish wish, long renewedNanos) {
        if (run.doomed) {
            return;
        }
        long nowNanos = state.clock.bootNanos();
        run.on(RunLife.Event.DOOM);
        doom(run, wish, renewedNanos, nowNanos);
    }

    private void doom(Run run, Wish wish, long renewedNanos, long nowNanos) {
        run.wish = wish;
        run.progress = Progress.NONE;
        run.doomedNanos = nowNanos;
        run.renewedNanos = renewedNanos;
        run.nextLookupNanos = nowNanos;
        run.endHinted = true;
        state.listWanted = true;
        act(run, nowNanos);
    }

    /** There is no time left for anything but SIGKILL. */
    void kill(Run run) {
        run.on(RunLife.Event.KILL);
        doom(run, Wish.POWEROFF, overdue(), state.clock.bootNanos());
    }

    /** A last renewal so long ago that nothing orderly is left to do. */
    long overdue() {
        return state.clock.bootNanos() - times().killed().toNanos();
    }

    private FenceTimes times() {
        return state.settings.times();
    }

    /** Does what is due. */
    void act(Run run, long nowNanos) {
        if (!run.doomed) {
            return;
        }
        Verdict verdict = FencePolicy.judge(
                times(),
                Duration.ofNanos(nowNanos - run.renewedNanos),
                Optional.of(Duration.ofNanos(nowNanos - run.doomedNanos)));
        switch (FencePolicy.deed(times(), verdict, run.wish, run.progress)) {
            case NOTHING, KEEP_PAUSED -> {}
            case PAUSE -> pauses.pause(run, nowNanos + verdict.left().toNanos());
            case DESTROY -> {
                if (run.stopSent) {
                    run.progress = Progress.ORDERLY_FAILED; // stopped, but not proved: it cannot end in order either
                    sigkill(run, nowNanos);
                } else {
                    destroy(run, nowNanos + verdict.left().toNanos());
                }
            }
            case KILL -> {
                sigkill(run, nowNanos);
                // Late or not, libvirt is told as well: it may be about to start a QEMU that nobody sees yet.
                destroy(run, nowNanos + times().destroyLimit().toNanos());
            }
        }
    }

    private void destroy(Run run, long byNanos) {
        if (run.destroyAsked) {
            return;
        }
        run.destroyAsked = true;
        state.loop.askHypervisor(
                () -> {
                    KillResult result = destroyInTime(run, byNanos);
                    state.loop.tell(() -> onDestroyed(run, result));
                },
                () -> onDestroyed(run, new KillResult.Unknown("internal error")));
    }

    /** Not any more when it is late or the run is over: libvirt knows a domain by its UUID, and the next run has the same. */
    private KillResult destroyInTime(Run run, long byNanos) {
        long leftNanos = byNanos - state.clock.bootNanos();
        if (run.ended) {
            return new KillResult.AlreadyGone();
        }
        return leftNanos <= 0
                ? new KillResult.Unknown("earlier calls took all the time")
                : hypervisor.destroy(run.uuid, Duration.ofNanos(leftNanos));
    }

    private void onDestroyed(Run run, KillResult result) {
        if (!state.isOver(run) && result instanceof KillResult.Unknown unknown && run.doomed) {
            LOG.warn("VG-310 libvirt did not destroy {}: {}", run, unknown.reason());
            run.progress = Progress.ORDERLY_FAILED;
        }
    }

    private void sigkill(Run run, long nowNanos) {
        GuardedProcess process = run.process;
        if (process == null || nowNanos < run.nextKillNanos) {
            return;
        }
        run.nextKillNanos = nowNanos + KILL_AGAIN_NANOS;
        KillSignal signal = process.kill();
        if (!run.killed) {
            run.killed = true;
            LOG.error("VG-311 SIGKILL to {}, pid {}: {}", run, process.pid(), words(signal));
        }
    }

    private static String words(KillSignal signal) {
        return signal.fold(sent -> "sent", gone -> "it had gone already", KillSignal.Failed::reason);
    }
}
