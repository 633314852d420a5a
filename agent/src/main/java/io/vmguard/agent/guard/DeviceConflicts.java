/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Following.Arrival;
import io.vmguard.agent.guard.Following.Expulsion;
import io.vmguard.agent.guard.Following.Way;
import io.vmguard.agent.hypervisor.ChangeResult;
import io.vmguard.agent.hypervisor.LiveDevices;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Sends away what came to a running domain and is somebody else's. No hook could refuse it.
 *
 * <p>The domain is paused at once, the device unplugged or the medium taken out, and when it is proved gone the domain goes on. If it
 * has not gone within the limit (a guest that is paused cannot let go of a PCI device), {@code on_unprotected} decides. A block job that
 * writes into what is somebody else's is aborted; pausing would not stop it.
 */
final class DeviceConflicts {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final Duration CALL_LIMIT = Duration.ofSeconds(3);
    private static final long LIST_AGAIN_NANOS = Duration.ofMillis(300).toNanos();

    private final GuardState state;
    private final LiveDevices devices;
    private final LeaseClaims claims;
    private final Predicate<Run> unprotected;

    /** @param unprotected does what {@code on_unprotected} says; whether the domain does not simply go on */
    DeviceConflicts(GuardState state, LiveDevices devices, LeaseClaims claims, Predicate<Run> unprotected) {
        this.state = state;
        this.devices = devices;
        this.claims = claims;
        this.unprotected = unprotected;
    }

    /**
     * Leases of a run are somebody else's.
     *
     * @return whether all of them came to the running domain and are being sent away; else it is for others to decide
     */
    boolean repels(Run run) {
        Following following = run.following;
        List<LeaseName> taken = run.refused.entrySet().stream()
                .filter(entry -> entry.getValue() instanceof AcquireResult.HeldBy)
                .map(Map.Entry::getKey)
                .toList();
        if (!following.arrivals.keySet().containsAll(taken)) {
            return false;
        }
        Expulsion expulsion = following.expulsion;
        if (expulsion == null || !expulsion.leases.containsAll(taken)) {
            begin(run, taken);
        }
        return true;
    }

    private void begin(Run run, List<LeaseName> taken) {
        Expulsion before = run.following.expulsion;
        Expulsion expulsion = new Expulsion();
        if (before != null) {
            before.over = true;
            expulsion.paused = before.paused;
        }
        expulsion.leases.addAll(taken);
        taken.forEach(resource -> expulsion.arrivals.add(Objects.requireNonNull(run.following.arrivals.get(resource))));
        expulsion.byNanos = state.clock.bootNanos() + LIMIT.toNanos();
        run.following.expulsion = expulsion;
        LOG.error(
                "VG-430 {} has come to use what is somebody else's, it is sent away: {}",
                run,
                Sentences.runsAllTheSame(claims.refusal(run).message()));
        state.loop.askHypervisor(
                () -> {
                    Outcome outcome = expel(run, Set.copyOf(expulsion.arrivals));
                    state.loop.tell(() -> onAsked(run, expulsion, outcome));
                },
                () -> onAsked(run, expulsion, new Outcome(false, List.of("internal error"))));
    }

    private record Outcome(boolean paused, List<String> failures) {}

    /** Not on the guard's thread. */
    private Outcome expel(Run run, Set<Arrival> arrivals) {
        List<String> failures = new ArrayList<>();
        if (run.ended) {
            return new Outcome(false, failures);
        }
        boolean pause = arrivals.stream().anyMatch(arrival -> arrival.way() != Way.ABORT);
        ChangeResult paused = pause ? devices.pause(run.uuid, CALL_LIMIT) : new ChangeResult.Unneeded();
        note(failures, "pause", paused);
        for (Arrival arrival : arrivals) {
            ChangeResult result = switch (arrival.way()) {
                case UNPLUG -> devices.unplug(run.uuid, arrival.name(), CALL_LIMIT);
                case EJECT -> devices.eject(run.uuid, arrival.name(), CALL_LIMIT);
                case ABORT -> devices.abortJob(run.uuid, arrival.name(), CALL_LIMIT);
            };
            note(failures, arrival.name(), result);
        }
        return new Outcome(paused instanceof ChangeResult.Done, failures);
    }

    private static void note(List<String> failures, String what, ChangeResult result) {
        if (result instanceof ChangeResult.Failed failed) {
            failures.add(what + ": " + failed.reason());
        }
    }

    private void onAsked(Run run, Expulsion expulsion, Outcome outcome) {
        if (state.isOver(run)) {
            return;
        }
        if (!outcome.failures().isEmpty()) {
            LOG.warn("VG-431 {}: {}", run, String.join(" / ", outcome.failures()));
        }
        Expulsion now = run.following.expulsion;
        if (outcome.paused() && now != null) {
            now.paused = true;
        } else if (outcome.paused() && expulsion.over && run.conflicts.isEmpty()) {
            resume(run); // there was nothing left to send away before it was paused
        }
        expulsion.asked = true;
        state.wantSight(run);
    }

    /** Sees whether it has gone, or whether the time is up. */
    void lookWhenDue(Run run, long nowNanos) {
        Expulsion expulsion = run.following.expulsion;
        if (expulsion == null || run.doomed) {
            return;
        }
        boolean gone = expulsion.leases.stream().noneMatch(run.refused::containsKey) && run.pending.isEmpty();
        if (gone && expulsion.asked) {
            end(run, expulsion);
            LOG.info("VG-432 {}: what was somebody else's is gone", run);
            if (expulsion.paused) {
                resume(run);
            }
        } else if (nowNanos >= expulsion.byNanos && run.pending.isEmpty()) {
            fail(run, expulsion);
        } else if (nowNanos >= expulsion.nextListNanos) {
            expulsion.nextListNanos = nowNanos + LIST_AGAIN_NANOS;
            state.wantSight(run);
        }
    }

    private static void end(Run run, Expulsion expulsion) {
        expulsion.over = true;
        run.following.expulsion = null;
    }

    private void fail(Run run, Expulsion expulsion) {
        end(run, expulsion);
        expulsion.leases.forEach(run.following.arrivals::remove); // not again
        LOG.error("VG-433 {}: what is somebody else's has not gone within {} s", run, LIMIT.toSeconds());
        if (!unprotected.test(run) && expulsion.paused) {
            resume(run);
        }
    }

    /** A block job writes into an image that others use. */
    void abortJob(Run run, String target, String why, boolean news) {
        if (news) {
            LOG.error("VG-434 {}: the block job of {} is aborted: {}", run, target, why);
        }
        state.loop.askHypervisor(
                () -> {
                    ChangeResult result =
                            run.ended ? new ChangeResult.Unneeded() : devices.abortJob(run.uuid, target, CALL_LIMIT);
                    state.loop.tell(() -> onAborted(run, target, result));
                },
                () -> onAborted(run, target, new ChangeResult.Failed("internal error")));
    }

    private void onAborted(Run run, String target, ChangeResult result) {
        state.wantSight(run);
        if (!state.isOver(run) && result instanceof ChangeResult.Failed failed) {
            LOG.error("VG-435 {}: the block job of {} was not aborted: {}", run, target, failed.reason());
            if (!run.doomed && !run.following.refusedModes.isEmpty()) {
                boolean unused = unprotected.test(run); // whether or not it goes on, the job does
            }
        }
    }

    private void resume(Run run) {
        state.loop.askHypervisor(
                () -> {
                    ChangeResult result =
                            run.ended ? new ChangeResult.Unneeded() : devices.resume(run.uuid, CALL_LIMIT);
                    state.loop.tell(() -> onResumed(run, result));
                },
                () -> onResumed(run, new ChangeResult.Failed("internal error")));
    }

    private void onResumed(Run run, ChangeResult result) {
        if (result instanceof ChangeResult.Failed failed) {
            LOG.error("VG-436 {} stays paused, let it go on with virsh resume: {}", run, failed.reason());
        } else if (!state.isOver(run)) {
            LOG.info("VG-437 {} goes on", run);
        }
    }
}
