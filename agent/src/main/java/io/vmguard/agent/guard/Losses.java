/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure.Action;
import io.vmguard.agent.fence.FencePolicy.Wish;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Finds out that leases are lost and whose they were, has those stopped, and says when the last of them can write no more. */
final class Losses {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    /** Later than it meant to look. */
    private static final long AWAY_NANOS = Duration.ofSeconds(2).toNanos();

    private final GuardState state;
    private final LeaseClaims claims;
    private final Starts starts;
    private final Fencing fencing;
    private final Migrations migrations;
    private final Cancellations cancellations;
    /** Whose leases were not here when the membership was lost, and whose memory another host fetches. */
    private final Set<Run> leftBehind = new HashSet<>();

    private boolean usersMustGo;
    /** A loss that was noticed before the engine told of it. */
    private boolean noticed;

    private long lookedNanos;

    Losses(
            GuardState state,
            LeaseClaims claims,
            Starts starts,
            Fencing fencing,
            Migrations migrations,
            Cancellations cancellations) {
        this.state = state;
        this.claims = claims;
        this.starts = starts;
        this.fencing = fencing;
        this.migrations = migrations;
        this.cancellations = cancellations;
    }

    /**
     * Before anything else is done, each time: are the leases still in time? This process may have been stopped, frozen or suspended
     * since the last look, and the engine's word of a loss may be behind messages that want something granted.
     */
    void look() {
        long nowNanos = state.clock.bootNanos();
        long awayNanos = lookedNanos == 0 ? 0 : nowNanos - lookedNanos;
        lookedNanos = nowNanos;
        boolean late = awayNanos > AWAY_NANOS + state.loop.tick().toNanos();
        if (late) {
            LOG.warn(
                    "VG-116 the guard did not run for {} s",
                    Duration.ofNanos(awayNanos).toSeconds());
        }
        if (state.joined && !state.lockspace.member() && !state.loop.closing()) {
            noticed = true;
            handleLoss(LeaseFault.TIMED_OUT, "no renewal in time, noticed by the guard");
        }
        lookAtLeftBehind();
        if (late) {
            List.copyOf(state.runs.values()).forEach(run -> fencing.act(run, nowNanos));
        }
    }

    /** Who was spared, and would not be now, is stopped: without a membership nobody else looks. */
    private void lookAtLeftBehind() {
        if (state.joined) {
            leftBehind.clear();
        }
        for (Run run : List.copyOf(leftBehind)) {
            if (state.isOver(run) || run.doomed) {
                leftBehind.remove(run);
            } else if (!run.isLeftBehind()) {
                leftBehind.remove(run);
                LOG.error("VG-306 {} may run here, and its leases are another host's or lost: killed", run);
                stop(run, fencing.overdue());
            }
        }
    }

    /** The engine's word: every lease of this membership is lost. */
    void onLost(LeaseFault fault, String why) {
        if (noticed) {
            noticed = false;
            considerUsersGone();
            return;
        }
        handleLoss(fault, why);
    }

    private void handleLoss(LeaseFault fault, String why) {
        state.joined = false;
        List<Run> waiting = state.runs.values().stream()
                .filter(run -> run.phase == Phase.ACQUIRING)
                .toList();
        Set<UUID> unclaimed = runsOfHeld();
        List<Run> others = state.runs.values().stream()
                .filter(run -> run.phase != Phase.ACQUIRING)
                .toList();
        others.forEach(claims::giveUp);
        List<Run> users = others.stream()
                .filter(run -> !run.halted && (run.holdsAny() || run.isBetweenHosts() || unclaimed.contains(run.uuid)))
                .toList();
        others.stream().filter(run -> run.halted).forEach(run -> run.held.clear());
        usersMustGo = true;
        long renewedNanos = state.renewedNanos == 0 ? state.clock.bootNanos() : state.renewedNanos;
        // First the deeds, then the words.
        users.forEach(run -> stop(run, renewedNanos));
        LOG.error(
                "VG-300 membership lost ({}: {}): {}",
                fault,
                why,
                state.settings.observe()
                        ? "mode observe, nothing is stopped"
                        : users.isEmpty() ? "no domain holds a lease" : "stopping " + users);
        others.stream().filter(run -> run.isLeftBehind() && !run.doomed).forEach(run -> {
            leftBehind.add(run);
            LOG.warn(
                    "VG-305 {} is left to send the rest of its memory to host id {}, which has its leases",
                    run,
                    Departures.hostId(Objects.requireNonNull(run.outgoing)));
        });
        for (Run run : waiting) {
            claims.giveUp(run);
            run.held.clear(); // nothing is ours to give back any more
            starts.abandon(
                    run,
                    new StartAnswer.CannotTell(
                            Sentences.notReady(run.name, state.lockspace.view().detail())));
        }
        considerUsersGone();
    }

    private void stop(Run run, long renewedNanos) {
        if (state.settings.observe()) {
            run.held.clear();
            return;
        }
        // What its guest wants counts where its guest is. Paused or let run here, a copy that may run elsewhere
        // could be resumed with memory that is older than the disk.
        run.lostElsewhere = migrations.isElsewhere(run);
        migrations.lost(run);
        run.cancelAsked = false;
        Wish wish = run.lostElsewhere ? Wish.POWEROFF : wish(run);
        if (wish == Wish.IGNORE) {
            LOG.error("VG-301 {} HAS LOST ITS LEASES AND RUNS ON: its on_lockfailure is ignore", run);
            run.held.clear();
            boolean ignored = cancellations.stays(
                    run,
                    state.clock.bootNanos()
                            + state.settings.times().destroyLimit().toNanos());
            return;
        }
        run.leasesLost = true;
        fencing.begin(run, wish, renewedNanos);
    }

    private Wish wish(Run run) {
        return switch (effective(run)) {
            case POWEROFF, RESTART -> Wish.POWEROFF;
            case PAUSE -> Wish.PAUSE;
            case IGNORE -> Wish.IGNORE;
        };
    }

    /** What is done with a run when its leases are lost: what it asks for, if that is allowed. */
    Action effective(Run run) {
        Action action = run.onLockFailure.action();
        return action == Action.IGNORE && !state.settings.allowIgnore() ? Action.POWEROFF : action;
    }

    /** The users of what the engine still held, also of what it had carried over and nobody came to claim before the loss. */
    private Set<UUID> runsOfHeld() {
        Set<UUID> users = new HashSet<>();
        for (LeaseNote note : notes(state.lockspace.view().held())) {
            GuardState.uuid(note).ifPresent(uuid -> {
                state.runOf(uuid, note.domainName());
                users.add(uuid);
            });
        }
        return users;
    }

    private static List<LeaseNote> notes(Map<LeaseName, LeaseUse> leases) {
        return leases.values().stream().flatMap(use -> use.users().stream()).toList();
    }

    /**
     * An earlier agent of this boot lost its leases; its users must go before a new membership may begin. Since when is not known, so
     * there is no time for anything orderly.
     */
    void onPreviousLifeLost(Map<LeaseName, LeaseUse> leases) {
        List<LeaseNote> users = notes(leases);
        LOG.error(
                "VG-302 an earlier agent of this boot died with leases held that have expired since; stopping their users: {}",
                users.stream()
                        .map(note -> "domain " + note.domainName() + " (" + note.domainUuid() + ")")
                        .distinct()
                        .collect(Collectors.joining(", ")));
        usersMustGo = true;
        if (!state.settings.observe()) {
            Map<UUID, String> names = new HashMap<>();
            users.forEach(note -> GuardState.uuid(note).ifPresent(id -> names.put(id, note.domainName())));
            names.forEach((uuid, name) -> {
                Run run = state.runOf(uuid, name);
                run.leasesLost = true;
                fencing.begin(run, Wish.POWEROFF, fencing.overdue());
            });
        }
        considerUsersGone();
    }

    void considerUsersGone() {
        boolean anyLeft = state.runs.values().stream().anyMatch(run -> run.leasesLost && !run.halted);
        if (usersMustGo && !noticed && !anyLeft) {
            usersMustGo = false;
            state.runs.values().forEach(run -> run.held.clear());
            state.lockspace.usersGone();
        }
    }
}
