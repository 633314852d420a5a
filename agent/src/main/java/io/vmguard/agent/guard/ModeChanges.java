/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Following.Need;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/** Leases of a running domain that are to be held in another mode: a backing image is only read, what a block job writes to is not. */
final class ModeChanges {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    /** A refused change leads to another look at once, and must not lead to another try at once. */
    private static final long AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private final GuardState state;
    private final LeaseClaims claims;
    private final DeviceConflicts conflicts;
    private final Consumer<Run> changed;

    /** @param changed called when a change is not waited for any more */
    ModeChanges(GuardState state, LeaseClaims claims, DeviceConflicts conflicts, Consumer<Run> changed) {
        this.state = state;
        this.claims = claims;
        this.conflicts = conflicts;
        this.changed = changed;
    }

    /** Asks for it, if it is not asked for and was not a moment ago. */
    void convert(Run run, LeaseName resource, Run.Wanted wanted, LeaseMode mode) {
        Following following = run.following;
        boolean early = state.clock.bootNanos() < following.convertAgainNanos.getOrDefault(resource, 0L);
        following.convertWaits |= early;
        if (early || !state.member() || !following.converting.add(resource)) {
            return;
        }
        following.convertAgainNanos.put(resource, state.clock.bootNanos() + AGAIN_NANOS);
        state.lockspace
                .convert(resource, wanted.note(), mode)
                .whenComplete((result, bug) -> state.loop.tell(() -> onConverted(run, resource, mode, result)));
    }

    /** Whether to ask again for a mode: whoever has shown the domain since may have been too early, and nobody shows it again soon. */
    boolean takeDue(Run run, long nowNanos) {
        Following following = run.following;
        if (!following.convertWaits || run.doomed || run.halted) {
            return false;
        }
        boolean due = following.convertAgainNanos.values().stream().allMatch(from -> nowNanos >= from);
        following.convertWaits = !due;
        return due;
    }

    private void onConverted(Run run, LeaseName resource, LeaseMode mode, @Nullable AcquireResult answer) {
        Following following = run.following;
        following.converting.remove(resource);
        Run.Wanted wanted = run.wanted.get(resource);
        if (state.isOver(run) || wanted == null || !run.holds(resource)) {
            return;
        }
        AcquireResult result = answer != null
                ? answer
                : new AcquireResult.CannotTell(LeaseFault.IO, "the lease engine has a bug", true);
        if (result instanceof AcquireResult.Acquired acquired) {
            run.wanted.put(resource, wanted.in(mode));
            run.lvers.put(resource, acquired.lease().lver());
            following.convertAgainNanos.remove(resource);
            following.refusedModes.remove(resource);
            LOG.info(
                    "VG-423 {} holds {} {} now",
                    run,
                    wanted.note().disk(),
                    mode == LeaseMode.SHARED ? "shared" : "exclusive");
            changed.accept(run);
        } else if (mode == LeaseMode.EXCLUSIVE) {
            String why = claims.sentence(wanted.note().disk(), result);
            boolean news = following.refusedModes.put(resource, Sentences.writesAllTheSame(why)) == null;
            Need need = following.needs.get(resource);
            if (need != null && !state.settings.observe() && !run.doomed) {
                conflicts.abortJob(run, need.target(), why, news);
            }
            changed.accept(run);
        } // else it is held more strictly than it need be; the next look tries again
    }
}
