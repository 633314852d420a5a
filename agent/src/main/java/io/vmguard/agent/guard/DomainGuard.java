/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.fence.FencePolicy.Wish;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.hypervisor.DomainChange;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.process.QemuProcesses;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Which run of which domain holds which leases.
 *
 * <p>One thread owns all of it and steps through a queue. It calls nothing that can hang: lists of libvirt, lookups of processes and
 * destroys run on other threads and come back as messages; leases come back as futures; a kill is one system call on a pidfd.
 *
 * <p>Rules:
 *
 * <ul>
 *   <li>A start is granted when all its leases are held, never before.
 *   <li>A lease is given back when the QEMU of its run is <em>proved</em> gone: its pidfd says so, or no QEMU was ever seen, after the
 *       grant libvirt lists the domain as inactive or no daemon of it is there, and then no process of it exists. Hooks and events are
 *       only hints to look.
 *   <li>When the membership is lost, every run with a lease is stopped as it wants to be, if that can be had in time: see {@link
 *       io.vmguard.agent.fence.FencePolicy}. Before every step the guard looks whether it still is a member: a step that comes late, after a
 *       suspend or a freeze, is preceded by the stopping of what is overdue.
 * </ul>
 */
public final class DomainGuard implements LockspaceListener, Hypervisor.Listener, AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** How often the guard looks while something is under way, while domains only run, and while there is none: each look costs. */
    private static final Duration TICK_BUSY = Duration.ofMillis(50);

    private static final Duration TICK_SETTLED = Duration.ofMillis(100);
    private static final Duration TICK_EMPTY = Duration.ofSeconds(1);

    private final GuardState state;
    private final Hypervisor hypervisor;
    private final Arming arming;
    private final LeaseClaims claims;
    private final Endings endings;
    private final DeviceConflicts conflicts;
    private final StatusLooks statusLooks;
    private final LeaseFollower follower;
    private final Reservations reservations;
    private final ActiveDomains activeDomains;
    private final CarriedOver carriedOver;
    private final UnprotectedRuns unprotected;
    private final Reconciliation reconciliation;
    private final Starts starts;
    private final Losses losses;
    private final Migrations migrations;
    private final Fencing fencing;
    private final Pauses pauses;
    private final Restarts restarts;
    private volatile long tickedNanos;
    private final PublishedView published;

    /**
     * Wires the parts; nothing runs before {@link #start}.
     *
     * @param transfer of the same membership
     * @param watchdog told when leases come into use and when none is any more
     * @param hypervisorCalls runs calls of the hypervisor, which may hang; not on the caller's thread
     * @param lookups runs searches for processes; not the same threads, or a hanging hypervisor would hold up a kill
     */
    public DomainGuard(
            GuardSettings settings,
            Lockspace lockspace,
            LeaseTransfer transfer,
            Hypervisor hypervisor,
            QemuProcesses processes,
            ActiveDomains activeDomains,
            Watchdog watchdog,
            LeaseClock clock,
            Executor hypervisorCalls,
            Executor lookups) {
        this.hypervisor = hypervisor;
        GuardLoop loop = new GuardLoop(hypervisorCalls, lookups, this::first, this::tick, this::last);
        this.state = new GuardState(settings, lockspace, clock, loop);
        this.arming = new Arming(state, watchdog);
        this.claims = new LeaseClaims(state, this::decide);
        this.endings = new Endings(state, processes, claims, this::beforeRelease, this::afterEnd, this::known);
        Cancellations cancellations = new Cancellations(state, hypervisor.devices(), this::isLeaving);
        this.pauses = new Pauses(state, hypervisor, claims, cancellations, this::afterHalt, this::kill);
        this.fencing = new Fencing(state, hypervisor, pauses);
        this.restarts = new Restarts(state, hypervisor);
        this.conflicts = new DeviceConflicts(state, hypervisor.devices(), claims, this::actOnConflict);
        this.statusLooks = new StatusLooks(state, activeDomains, this::shown);
        this.follower = new LeaseFollower(state, activeDomains, claims, conflicts, statusLooks, this::followed);
        this.reservations = new Reservations(state, claims, follower);
        this.activeDomains = activeDomains;
        this.carriedOver = new CarriedOver(state, transfer, claims);
        this.unprotected = new UnprotectedRuns(state, hypervisor, claims, conflicts::repels, this::doom, this::explain);
        this.reconciliation =
                new Reconciliation(state, processes, activeDomains, follower, carriedOver, unprotected, this::known);
        this.migrations = new Migrations(state, transfer, this::prepared, this::refusedArrival, this::doom, this::kill);
        this.starts = new Starts(state, claims, endings, carriedOver, unprotected, arming, migrations);
        this.losses = new Losses(state, claims, starts, fencing, migrations, cancellations);
        this.published = new PublishedView(state, starts, losses);
    }

    /** Starts the guard's thread. */
    public void start() {
        state.loop.start();
    }

    /** Handles everything that is in the queue now, on the calling thread. For tests, which do not start the guard. */
    void drain() {
        state.loop.drain();
    }

    // ---- the parts call each other through these

    private void decide(Run run) {
        if (run.phase == Phase.ACQUIRING) {
            starts.decide(run);
        } else if (run.halted) {
            pauses.decide(run);
        } else {
            reservations.decided(run);
            unprotected.decideFound(run);
            follower.decided(run);
        }
    }

    private void shown(Run run, LiveDomain live) {
        follower.shown(run, live);
    }

    /** Leases of a running domain have come, gone or changed by themselves. */
    private void followed(Run run) {
        if (run.refused.isEmpty() && run.conflicts.isEmpty()) {
            unprotected.report(run);
        } else if (run.pending.isEmpty()) {
            unprotected.decideFound(run);
        }
    }

    private boolean actOnConflict(Run run) {
        return unprotected.actOnConflict(run);
    }

    private boolean isLeaving(Run run) {
        return migrations.isLeaving(run);
    }

    private void beforeRelease(Run run) {
        migrations.ended(run);
    }

    private void prepared(Run run) {
        starts.decideAgain(run);
    }

    private void refusedArrival(Run run, StartAnswer no) {
        starts.abandon(run, no);
    }

    private void explain(Run run, Runnable conflict) {
        migrations.explain(run, conflict);
    }

    private void afterEnd(Run run) {
        restarts.ended(run);
        losses.considerUsersGone();
    }

    private void afterHalt() {
        losses.considerUsersGone();
    }

    /** It must go, though none of its leases is lost. */
    private void doom(Run run) {
        fencing.begin(run, Wish.POWEROFF, state.clock.bootNanos());
    }

    /** Its process is in hand, or its XML has been seen. */
    private void known(Run run) {
        if (!migrations.isLeaving(run) && !run.isMigrating()) { // that is why it is stopped, then
            pauses.adopt(run);
        }
    }

    private void kill(Run run) {
        fencing.kill(run);
    }

    private void first() {
        losses.look();
    }

    private void tick() {
        long nowNanos = state.clock.bootNanos();
        for (Run run : List.copyOf(state.runs.values())) {
            starts.abandonWhenLate(run, nowNanos);
            fencing.act(run, nowNanos);
            pauses.lookWhenDue(run, nowNanos);
            follower.lookWhenDue(run, nowNanos);
            conflicts.lookWhenDue(run, nowNanos);
            migrations.act(run, nowNanos);
            endings.lookWhenDue(run, nowNanos);
        }
        if (state.loop.takeHintsDropped()) {
            state.listWanted = true;
            List.copyOf(state.runs.values()).forEach(endings::hintEnd);
        }
        migrations.settle(nowNanos);
        starts.reconsider();
        reservations.look(nowNanos);
        restarts.startWhenDue(nowNanos);
        reconciliation.listWhenDue(nowNanos);
        arming.follow();
        boolean settled = settled();
        published.publishWhenDue(nowNanos, settled);
        state.loop.tickAfter(!settled ? TICK_BUSY : state.runs.isEmpty() ? TICK_EMPTY : TICK_SETTLED);
        tickedNanos = nowNanos;
    }

    /** Nothing is under way: what happens next comes as a message, or is the loss of the membership. */
    private boolean settled() {
        return starts.idle()
                && reservations.idle()
                && state.runs.values().stream().allMatch(Run::settled);
    }

    private void last() {
        starts.refuseAll();
    }

    // ---- what the hooks say

    /**
     * Asks whether a domain may start. Any thread.
     *
     * @param derivation what its XML calls for
     * @return completes within the answer limit, on the guard's thread; if it is cancelled first the start counts as not granted
     */
    public CompletableFuture<StartAnswer> prepare(DomainSpec spec, UUID uuid, Derivation derivation) {
        return starts.prepare(spec, uuid, derivation);
    }

    /**
     * The agent is about to end on request: from now on no start that needs a lease is granted, and the watchdog is told nothing. What
     * runs is guarded as before. Any thread.
     *
     * @return completes on the guard's thread with what is there then
     */
    public CompletableFuture<GuardView> shut() {
        CompletableFuture<GuardView> answer = new CompletableFuture<>();
        state.loop.tell(() -> {
            state.shut = true;
            starts.refuseAll();
            published.publish();
            answer.complete(published.view());
        });
        return answer;
    }

    /** It does not end after all. Any thread. */
    public void reopen() {
        state.loop.tell(() -> {
            if (state.shut) {
                state.shut = false;
                arming.sayAgain();
            }
        });
    }

    /**
     * Asks whether a disk may be plugged into a running domain, and has its leases held for a while if it may. Not on a thread that must
     * not wait for storage; any other.
     *
     * @param domain name or UUID
     * @param device a domain with nothing but the device
     * @param derivation what it calls for
     * @param hold how long the leases are held for the disk to show up; zero: not at all, it is only asked
     * @return completes within some ten seconds, on the guard's thread; cancelled, nothing is kept
     */
    public CompletableFuture<StartAnswer> reserve(
            String domain, DomainSpec device, Derivation derivation, Duration hold) {
        CompletableFuture<StartAnswer> answer = new CompletableFuture<>();
        LiveDisks disks = activeDomains.disks(device);
        if (state.loop.closing()
                || !state.loop.offer(() -> reservations.ask(domain, derivation, disks, hold, answer))) {
            answer.complete(new StartAnswer.CannotTell(
                    state.loop.closing()
                            ? "vmguard: the lease agent is stopping"
                            : "vmguard: the lease agent has too much to do"));
        }
        return answer;
    }

    /**
     * libvirt's {@code migrate} hook: the domain is about to come from another host. The next start of it is judged as that. Any thread.
     *
     * @return completes on the guard's thread
     */
    public CompletableFuture<StartAnswer> migrate(UUID uuid, String name) {
        CompletableFuture<StartAnswer> answer = new CompletableFuture<>();
        if (!state.loop.offer(() -> answer.complete(migrations.expect(uuid, name)))) {
            answer.complete(new StartAnswer.CannotTell(Sentences.overload(name)));
        }
        return answer;
    }

    /** libvirt's {@code release} hook: that run has ended, it says. Any thread. */
    public void released(UUID uuid) {
        state.loop.hint(() -> endings.hintEnd(uuid));
    }

    /** libvirt's {@code reconnect} hook: a domain runs that libvirtd has found again. Any thread. */
    public void reconnected() {
        state.loop.hint(() -> state.listWanted = true);
    }

    // ---- what the engine and the hypervisor say, on their threads

    @Override
    public void joined(Owner owner, boolean resumed) {
        LOG.info(
                "VG-110 member of lockspace {} as host id {}, generation {}{}",
                state.lockspace.view().name(),
                owner.hostId(),
                owner.generation(),
                resumed ? ": continued after a restart" : "");
        state.loop.tell(() -> {
            state.joined = true;
            carriedOver.claim();
            migrations.adopt();
            pauses.regain();
            state.listWanted = true;
        });
    }

    @Override
    public void recordRebuilt(String file, int leases) {
        LOG.warn(
                "VG-117 {} was missing or damaged: by the leases on disk this host holds {}. Nobody but the agent may change that"
                        + " directory",
                file,
                leases);
    }

    @Override
    public void joinFailed(LeaseFault fault, String why) {
        LOG.error("VG-111 cannot join the lockspace ({}): {}", fault, why);
    }

    @Override
    public void hostChanged(HostView host) {
        state.loop.tell(() -> LOG.info(
                "VG-112 host {}, id {}, generation {} is {}",
                HostName.node(host.name()),
                host.owner().hostId(),
                host.owner().generation(),
                host.status().name().toLowerCase(Locale.ROOT)));
    }

    /** Nobody's domain is stopped because another host wants its disk: people are told, and decide. */
    @Override
    public void requested(LeaseName resource, RequestMode mode) {
        state.loop.tell(() -> LOG.warn(
                "VG-113 another host asks ({}) for lease {}, used by {}; it is kept. To give it up, stop the domain",
                mode.name().toLowerCase(Locale.ROOT),
                resource,
                state.runs.values().stream()
                        .filter(run -> run.wanted.containsKey(resource))
                        .toList()));
    }

    @Override
    public void renewed(Renewal renewal) {
        state.renewedNanos = renewal.startedBootNanos();
    }

    @Override
    public void renewalLate(String why) {
        LOG.warn("VG-114 renewals are late: {}", why);
    }

    @Override
    public void renewalRecovered() {
        LOG.warn("VG-115 renewals are in time again");
    }

    @Override
    public void lost(LeaseFault fault, String why) {
        state.loop.tell(() -> losses.onLost(fault, why));
    }

    @Override
    public void previousLifeLost(Map<LeaseName, LeaseUse> users) {
        state.loop.tell(() -> losses.onPreviousLifeLost(users));
    }

    @Override
    public void connected() {
        LOG.info("VG-500 libvirt events arrive: {}", hypervisor.state().detail());
        state.loop.tell(() -> state.listWanted = true);
    }

    @Override
    public void disconnected(String why) {
        LOG.warn("VG-501 libvirt events do not arrive: {}", why);
    }

    @Override
    public void lifecycle(DomainEvent event) {
        switch (event.kind()) {
            case STOPPED, CRASHED -> state.loop.hint(() -> endings.hintEnd(event.uuid()));
            case STARTED -> state.loop.hint(() -> begun(event.uuid()));
            case RESUMED ->
                state.loop.hint(() -> {
                    Run run = state.runs.get(event.uuid());
                    if (run != null) {
                        migrations.resumed(run);
                    }
                    begun(event.uuid());
                });
            default -> {}
        }
    }

    /** Which leases a domain needs may have changed. */
    @Override
    public void changed(DomainChange change) {
        state.loop.hint(() -> state.wantSight(change.uuid()));
    }

    /**
     * The live domain of a status file, told at every change of that file. Finds what has no event: a disk-only snapshot, another floppy,
     * the beginning of a block job. Any thread.
     */
    public void status(DomainStatus status) {
        state.loop.hint(() -> {
            migrations.status(status);
            statusLooks.status(status.domain());
        });
    }

    /** That domain's status file has gone. Any thread. */
    public void noStatus(String name) {
        state.loop.hint(() -> {
            migrations.noStatus(name);
            statusLooks.noStatus(name);
        });
    }

    private void begun(UUID uuid) {
        Run run = state.runs.get(uuid);
        if (run == null || !run.conflicts.isEmpty()) {
            state.listWanted = true; // somebody runs whom we do not know, or who should not
        }
        if (run != null) {
            pauses.lookNow(run); // whether it really was resumed only its process tells
        }
    }

    // ---- status

    /** Boot clock: when the guard last went through all its runs, which it does many times a second. 0: never. Any thread. */
    public long tickedNanos() {
        return tickedNanos;
    }

    /**
     * Has somebody told when the view may have changed, soon after it did. One listener, called on the guard's thread: it must only leave
     * word.
     */
    public void onNews(Runnable listener) {
        published.onNews(listener);
    }

    /** As it was a moment ago; what time alone has changed, a second ago. Any thread. */
    public GuardView view() {
        return published.view();
    }

    /** Answers every start and ends the guard's thread. Domains run on; their leases are the engine's to keep. */
    @Override
    public void close() {
        state.loop.close();
    }
}
