/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Stops the users of lost leases: through libvirt, then by SIGKILL, until each is proved gone. */
final class Losses {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long KILL_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final LeaseClaims claims;
    private final Starts starts;
    private boolean usersMustGo;

    Losses(GuardState state, Hypervisor hypervisor, LeaseClaims claims, Starts starts) {
        this.state = state;
        this.hypervisor = hypervisor;
        this.claims = claims;
        this.starts = starts;
    }

    /** Every lease of this membership is lost. */
    void onLost(LeaseFault fault, String why) {
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
                .filter(run -> run.holdsAny() || unclaimed.contains(run.uuid))
                .toList();
        LOG.error(
                "membership lost ({}: {}): {}",
                fault,
                why,
                state.settings.observe()
                        ? "mode observe, nothing is stopped"
                        : users.isEmpty() ? "no domain holds a lease" : "stopping " + users);
        usersMustGo = true;
        for (Run run : users) {
            if (state.settings.observe()) {
                run.held.clear();
            } else {
                run.leasesLost = true;
                doom(run);
            }
        }
        for (Run run : waiting) {
            claims.giveUp(run);
            run.held.clear(); // nothing is ours to give back any more
            starts.abandon(run, new StartAnswer.CannotTell(Sentences.notReady(run.name, why)));
        }
        considerUsersGone();
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

    /** An earlier agent of this boot lost its leases; its users must go before a new membership may begin. */
    void onPreviousLifeLost(Map<LeaseName, LeaseUse> leases) {
        List<LeaseNote> users = notes(leases);
        LOG.error(
                "an earlier agent of this boot died with leases held that have expired since; stopping their users: {}",
                users);
        usersMustGo = true;
        if (!state.settings.observe()) {
            Map<UUID, String> names = new HashMap<>();
            users.forEach(note -> GuardState.uuid(note).ifPresent(id -> names.put(id, note.domainName())));
            names.forEach((uuid, name) -> {
                Run run = state.runOf(uuid, name);
                run.leasesLost = true;
                doom(run);
            });
        }
        considerUsersGone();
    }

    /** Stops a domain: through libvirt within the limit, then by SIGKILL. It counts as stopped when its process is gone. */
    void doom(Run run) {
        if (run.doomed) {
            return;
        }
        run.doomed = true;
        run.killAtNanos =
                state.clock.bootNanos() + state.settings.destroyLimit().toNanos();
        run.nextLookupNanos = state.clock.bootNanos();
        run.endHinted = true;
        state.listWanted = true;
        state.loop.askHypervisor(
                () -> {
                    KillResult result = hypervisor.destroy(run.uuid, state.settings.destroyLimit());
                    state.loop.tell(() -> onDestroyed(run, result));
                },
                () -> onDestroyed(run, new KillResult.Unknown("internal error")));
    }

    private void onDestroyed(Run run, KillResult result) {
        if (state.runs.get(run.uuid) != run) {
            return;
        }
        if (result instanceof KillResult.Unknown unknown) {
            LOG.warn("libvirt did not destroy {}: {}", run, unknown.reason());
            run.killAtNanos = Math.min(run.killAtNanos, state.clock.bootNanos());
        }
    }

    void killWhenDue(Run run, long nowNanos) {
        GuardedProcess process = run.process;
        if (!run.doomed || process == null || nowNanos < run.killAtNanos) {
            return;
        }
        run.killAtNanos = nowNanos + KILL_AGAIN_NANOS;
        KillSignal signal = process.kill();
        if (!run.killed) {
            run.killed = true;
            LOG.error("SIGKILL to {}, pid {}: {}", run, process.pid(), signal);
        }
    }

    void considerUsersGone() {
        boolean anyLeft = state.runs.values().stream().anyMatch(run -> run.leasesLost);
        if (usersMustGo && !anyLeft) {
            usersMustGo = false;
            state.runs.values().forEach(run -> run.held.clear());
            state.lockspace.usersGone();
        }
    }
}
