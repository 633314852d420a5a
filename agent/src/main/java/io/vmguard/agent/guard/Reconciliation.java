/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.domain.OnLockFailure.Action;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.SuspendResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.QemuProcesses;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Holds the runs against what libvirt lists as active and what the leases themselves say. */
final class Reconciliation {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long RECONCILE_NANOS = Duration.ofSeconds(30).toNanos();
    private static final long ASK_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private static final Duration PAUSE_LIMIT = Duration.ofSeconds(20);

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final QemuProcesses processes;
    private final ActiveDomains activeDomains;
    private final LeaseClaims claims;
    private final LeaseFollower follower;
    private final Predicate<Run> repelled;
    private final Consumer<Run> doom;
    private final Consumer<Run> known;
    private final BiConsumer<Run, Runnable> explain;
    private boolean listUnderWay;
    /** Somebody waits for the one under way. */
    private boolean listAsked;

    private long nextListNanos;

    /**
     * @param repelled sends away what came to a running domain and is somebody else's; whether there was nothing but that
     * @param doom stops a run that must not go on
     * @param known called when the live XML of a run has been seen
     * @param explain finds out whether somebody else holds its leases for a reason that is known, and calls back if not
     */
    Reconciliation(
            GuardState state,
            Hypervisor hypervisor,
            QemuProcesses processes,
            ActiveDomains activeDomains,
            LeaseClaims claims,
            LeaseFollower follower,
            Predicate<Run> repelled,
            Consumer<Run> doom,
            Consumer<Run> known,
            BiConsumer<Run, Runnable> explain) {
        this.state = state;
        this.hypervisor = hypervisor;
        this.processes = processes;
        this.activeDomains = activeDomains;
        this.claims = claims;
        this.follower = follower;
        this.repelled = repelled;
        this.doom = doom;
        this.known = known;
        this.explain = explain;
    }

    /** Asks libvirt if somebody wants it or it is time to. */
    void listWhenDue(long nowNanos) {
        boolean due = nowNanos >= nextListNanos;
        if ((state.listWanted || due) && !listUnderWay && !state.loop.closing()) {
            listAsked |= state.listWanted;
            list(nowNanos);
        }
    }

    private void list(long nowNanos) {
        state.listWanted = false;
        listUnderWay = true;
        nextListNanos = nowNanos + RECONCILE_NANOS;
        boolean wordWanted = awaitsWord();
        state.loop.askHypervisor(
                () -> {
                    // Looked for first: at boot libvirt may be waiting for this agent, with a socket that takes the
                    // question and
                    // nobody behind it.
                    if (wordWanted && processes.daemonGone()) {
                        state.loop.tell(() -> onDaemonGone(nowNanos));
                    }
                    Optional<List<ListedDomain>> listed = activeDomains.list();
                    state.loop.tell(() -> onList(listed, nowNanos));
                },
                () -> onList(Optional.empty(), nowNanos));
    }

    /** Whether somebody may be over, and only libvirt can say that no QEMU of it is to come. */
    private boolean awaitsWord() {
        return state.runs.values().stream().anyMatch(run -> run.endHinted && run.process == null);
    }

    /** As good as a list with nothing in it: what was granted before, nobody is left to bring about. */
    private void onDaemonGone(long begunNanos) {
        long nowNanos = state.clock.bootNanos();
        for (Run run : state.runs.values()) {
            if (run.process == null && run.phase == Phase.GRANTED && run.mayRunSinceNanos < begunNanos) {
                // Now and not when the look began: only a search for its process that begins after it counts.
                run.inactiveSinceNanos = nowNanos;
                run.nextLookupNanos = nowNanos;
            }
        }
    }

    private void onList(Optional<List<ListedDomain>> listed, long begunNanos) {
        listUnderWay = false;
        if (listed.isEmpty()) {
            // Not known; who waits for libvirt's word is not left to wait for the next one that comes by itself.
            boolean asked = listAsked || awaitsWord();
            nextListNanos =
                    Math.min(nextListNanos, state.clock.bootNanos() + (asked ? ASK_AGAIN_NANOS : RECONCILE_NANOS));
            return;
        }
        listAsked = false;
        if (state.joined) {
            claimCarriedOver();
        }
        Set<UUID> active = new HashSet<>();
        for (ListedDomain domain : listed.get()) {
            active.add(domain.uuid());
            if (state.endedNanos.getOrDefault(domain.uuid(), Long.MIN_VALUE) < begunNanos) {
                catchUp(domain, begunNanos);
            }
        }
        state.endedNanos.values().removeIf(ended -> ended < begunNanos);
        for (Run run : state.runs.values()) {
            if (!active.contains(run.uuid) && run.process == null) {
                run.inactiveSinceNanos = begunNanos;
                run.nextLookupNanos = state.clock.bootNanos();
            } else if (active.contains(run.uuid) && run.process == null && run.endHinted) {
                nextListNanos = Math.min(nextListNanos, state.clock.bootNanos() + ASK_AGAIN_NANOS);
            }
        }
        boolean allKnown =
                listed.get().stream().allMatch(d -> d.derivation().refusals().isEmpty());
        if (state.joined && allKnown) {
            releaseUnclaimed();
        }
    }

    /** A domain runs: it needs its leases, whoever started it and whenever. */
    private void catchUp(ListedDomain domain, long begunNanos) {
        Run run = state.runs.get(domain.uuid());
        if (run != null && (run.phase == Phase.ACQUIRING || run.doomed)) {
            return;
        }
        boolean needs = !domain.derivation().leases().isEmpty();
        if (run == null) {
            if (!needs && domain.derivation().refusals().isEmpty()) {
                return;
            }
            run = new Run(domain.uuid(), domain.name(), Phase.GRANTED);
            run.mayRunSinceNanos = state.clock.bootNanos();
            run.found = true;
            state.runs.put(run.uuid, run);
            LOG.info("VG-400 {} was found running", run);
        }
        run.onLockFailure = domain.onLockFailure();
        run.standing = standing(run);
        known.accept(run);
        if (run.onLockFailure.action() == Action.RESTART) {
            run.xml = domain.xml();
        }
        follower.observe(
                run,
                Following.Source.LIBVIRT,
                new LiveDomain(domain.name(), domain.derivation(), domain.disks(), begunNanos));
        run.unprotectable = domain.derivation().refusals().stream()
                .map(r -> Sentences.runsAllTheSame(Sentences.cannotProtect(r.target(), r.reason())))
                .toList();
        reportProblems(run);
        follower.acquire(run);
    }

    /** A domain that runs all the same has got its leases, or not. */
    void decideFound(Run run) {
        if (run.refused.isEmpty()) {
            LOG.info("VG-401 {} runs and holds {}", run, run.labels());
            run.conflicts = List.of();
            run.conflictPaused = false;
            reportProblems(run);
            return;
        }
        run.conflicts = List.of(Sentences.runsAllTheSame(claims.refusal(run).message()));
        reportProblems(run);
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
    private List<String> standing(Run run) {
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
        reportProblems(run);
    }

    /** Says once when a run begins or ends to be unprotected. */
    void reportProblems(Run run) {
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

    /** Leases from before a restart of the agent: their users are found by what the leases themselves say. */
    void claimCarriedOver() {
        Set<LeaseName> carried = state.lockspace.carriedOver();
        Map<LeaseName, LeaseUse> held =
                carried.isEmpty() ? Map.of() : state.lockspace.view().held();
        Set<Run> claimants = new HashSet<>();
        for (LeaseName resource : carried) {
            LeaseUse use = held.get(resource);
            for (LeaseNote note : use == null ? List.<LeaseNote>of() : use.users()) {
                GuardState.uuid(note).ifPresent(uuid -> {
                    Run run = state.runOf(uuid, note.domainName());
                    if (run.phase != Phase.ACQUIRING && !run.pending.containsKey(resource)) {
                        run.claim(resource, use.mode(), note);
                        claimants.add(run);
                    }
                });
            }
        }
        claimants.forEach(claims::acquireMissing);
    }

    /** What no run has claimed: its note does not say whose it was, and no active domain needs it. */
    private void releaseUnclaimed() {
        Map<LeaseName, LeaseUse> held = state.lockspace.view().held();
        for (LeaseName resource : state.lockspace.carriedOver()) {
            boolean claimed = state.runs.values().stream().anyMatch(run -> run.wanted.containsKey(resource));
            if (!claimed && held.containsKey(resource)) {
                LOG.warn("VG-212 lease {} of an earlier run has no user any more; given back", resource);
                state.lockspace.release(resource);
            }
        }
    }
}
