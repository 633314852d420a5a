/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OnLockFailure.Action;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.process.QemuProcesses;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Holds the runs against what libvirt lists as active. */
final class Reconciliation {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long RECONCILE_NANOS = Duration.ofSeconds(30).toNanos();
    private static final long ASK_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    /** A list takes some milliseconds; a hook of any domain that is being answered holds it up. */
    private static final long LIST_PATIENCE_NANOS = Duration.ofMillis(300).toNanos();

    private final GuardState state;
    private final QemuProcesses processes;
    private final ActiveDomains activeDomains;
    private final LeaseFollower follower;
    private final CarriedOver carriedOver;
    private final UnprotectedRuns unprotected;
    private final Consumer<Run> known;
    private final SingleLooks singleLooks;
    private boolean listUnderWay;
    /** Somebody waits for the one under way. */
    private boolean listAsked;

    private long nextListNanos;
    private long listBegunNanos;
    /** The latest list that has ended did not tell. */
    private boolean listFailed;

    /** @param known called when the live XML of a run has been seen */
    Reconciliation(
            GuardState state,
            QemuProcesses processes,
            ActiveDomains activeDomains,
            LeaseFollower follower,
            CarriedOver carriedOver,
            UnprotectedRuns unprotected,
            Consumer<Run> known) {
        this.state = state;
        this.processes = processes;
        this.activeDomains = activeDomains;
        this.follower = follower;
        this.carriedOver = carriedOver;
        this.unprotected = unprotected;
        this.known = known;
        this.singleLooks = new SingleLooks(state, activeDomains, this::catchUp);
    }

    /** Asks libvirt if somebody wants it or it is time to. */
    void listWhenDue(long nowNanos) {
        boolean due = nowNanos >= nextListNanos;
        if ((state.listWanted || due) && !listUnderWay && !state.loop.closing()) {
            listAsked |= state.listWanted;
            list(nowNanos);
        }
        boolean late = listUnderWay && nowNanos - listBegunNanos >= LIST_PATIENCE_NANOS;
        if ((late || listFailed) && !state.loop.closing()) {
            singleLooks.lookWhenDue(nowNanos);
        }
    }

    private void list(long nowNanos) {
        state.listWanted = false;
        listUnderWay = true;
        listBegunNanos = nowNanos;
        nextListNanos = nowNanos + RECONCILE_NANOS;
        boolean wordWanted = awaitsWord();
        state.loop.askHypervisor(
                () -> {
                    // Looked for first: at boot libvirt may be waiting for this agent, with a socket that takes
                    // the question and nobody behind it.
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
        listFailed = listed.isEmpty();
        if (listed.isEmpty()) {
            // Not known; who waits for libvirt's word is not left to wait for the next one that comes by itself.
            boolean asked = listAsked || awaitsWord();
            nextListNanos =
                    Math.min(nextListNanos, state.clock.bootNanos() + (asked ? ASK_AGAIN_NANOS : RECONCILE_NANOS));
            return;
        }
        listAsked = false;
        if (state.joined) {
            carriedOver.claim();
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
            carriedOver.releaseUnclaimed();
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
        Following following = run.following;
        LiveDomain latest = following.latest.get(Following.Source.LIBVIRT);
        if (latest != null && latest.begunNanos() > begunNanos) {
            // A list that was held up: since then the domain was asked for by itself.
            state.listWanted = true;
            return;
        }
        if (following.sightWantedNanos <= begunNanos) {
            following.sightWantedNanos = 0;
        }
        run.onLockFailure = domain.onLockFailure();
        run.standing = unprotected.standing(run);
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
        unprotected.report(run);
        follower.acquire(run);
    }
}
