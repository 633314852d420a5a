/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.fence.FencePolicy;
import io.vmguard.agent.migration.SourceSide.Guest;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One run of one domain, from the first hook of its start (or the moment it was found running) to the proof that its QEMU is gone.
 * Touched by the guard's thread only.
 */
final class Run {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** Where a run stands. */
    enum Phase {
        /** Its start waits for the answer. */
        ACQUIRING,
        /** It may have a QEMU: its start was granted, or it was found active. No process is in hand yet. */
        GRANTED,
        /** Its QEMU is in hand. */
        RUNNING
    }

    /** What a lease of this run is for. */
    record Wanted(String target, String identity, LeaseMode mode, LeaseNote note) {
        /** The same in another mode. */
        Wanted in(LeaseMode other) {
            return new Wanted(target, identity, other, note);
        }
    }

    final UUID uuid;
    final String name;
    /** What it is in; {@link #phase}, {@link #doomed}, {@link #halted} and {@link #ended} say the same in parts. Changed by {@link #on} alone. */
    private RunLife.State life;

    Phase phase;
    final Map<LeaseName, Wanted> wanted = new LinkedHashMap<>();
    final Map<LeaseName, Boolean> held = new HashMap<>();
    final Map<LeaseName, CompletableFuture<AcquireResult>> pending = new HashMap<>();
    final Map<LeaseName, AcquireResult> refused = new LinkedHashMap<>();
    /** Why leases that it wants are not held. */
    List<String> conflicts = List.of();
    /** Why disks of it have no lease at all. */
    List<String> unprotectable = List.of();
    /** What is wrong with it by its own wish. */
    List<String> standing = List.of();
    /** All three, as reported. */
    List<String> problems = List.of();

    /** It is being paused because of a conflict; it has been. */
    boolean conflictPauseUnderWay;

    boolean conflictPaused;

    /** The start that waits, and until when. */
    @Nullable
    CompletableFuture<StartAnswer> answer;

    long answerByNanos;

    /** Its word is waited for before a start is granted. */
    CompletableFuture<Watchdog.Answer> watchdog = new CompletableFuture<>();

    List<String> warnings = new ArrayList<>();

    @Nullable
    GuardedProcess process;
    /** Boot clock: from here on its QEMU may exist. */
    long mayRunSinceNanos;

    long nextLookupNanos;
    boolean lookupUnderWay;
    /** This agent has granted its start. */
    boolean granted;
    /** A list had it; nobody asked for its start. */
    boolean found;
    /** Somebody said that it has ended. */
    boolean endHinted;
    /** Begin of the latest list of libvirt's that did not have it, or when no daemon of libvirt's was found; 0 = none. */
    long inactiveSinceNanos;

    /** What it wants to happen when its leases are lost; {@link OnLockFailure#UNSAID} until somebody has shown its XML. */
    OnLockFailure onLockFailure = OnLockFailure.UNSAID;
    /** Its live XML, of a domain that is to be started again. */
    byte @Nullable [] xml;

    /** Its live disks, and the leases that come and go with them. */
    final Following following = new Following();

    /** The lease versions that it has held its leases in. */
    final Map<LeaseName, Long> lvers = new HashMap<>();

    /** Its leases are lost, or it must not run for another reason: it is being stopped. */
    boolean doomed;

    boolean leasesLost;
    /** When they were, its guest was on another host, or might have been: what is here must not be all that is left of it. */
    boolean lostElsewhere;
    /** How it is stopped. */
    FencePolicy.Wish wish = FencePolicy.Wish.POWEROFF;

    FencePolicy.Progress progress = FencePolicy.Progress.NONE;
    /** Boot clock: since when it is stopped, and the start of the last renewal of what it has lost. */
    long doomedNanos;

    long renewedNanos;
    boolean pauseAsked;
    /** The hypervisor was asked to cancel its migration. */
    boolean cancelAsked;
    /** Its process was sent SIGSTOP, and no SIGCONT since. */
    boolean stopSent;

    boolean destroyAsked;
    long nextKillNanos;
    boolean killed;

    /** It has lost its leases and is proved to write no more until it is let go on. */
    boolean halted;
    /** An earlier agent has halted it, and nobody knows in which lease versions. */
    boolean orphaned;
    /** Its process was stopped by a signal when it was found. */
    boolean foundStopped;
    /** While it was halted, somebody else may have had a lease of it. */
    boolean overtaken;

    long nextLookNanos;

    /** An earlier agent took leases for it: this one has not seen all of its life. */
    boolean carriedOver;

    /** Whether an earlier agent stopped it, or gave its leases away, has been asked. */
    boolean explained;
    /** The answer to that is not there yet. */
    boolean explaining;

    /** The hypervisor has announced that this start is an incoming migration. */
    boolean arriving;

    /** It comes from another host. */
    @Nullable
    Incoming incoming;

    /** It goes to another host. */
    @Nullable
    Outgoing outgoing;

    /** It is over. Read by other threads, which may still have something to ask about it. */
    volatile boolean ended;

    Run(UUID uuid, String name, Phase phase) {
        this.uuid = uuid;
        this.name = name;
        this.phase = phase;
        this.life = phase == Phase.ACQUIRING ? RunLife.State.ACQUIRING : RunLife.State.GRANTED;
    }

    RunLife.State life() {
        return life;
    }

    /** Something has happened to it. What cannot have happened changes nothing. */
    void on(RunLife.Event event) {
        RunLife.State next = RunLife.next(life, event).orElse(null);
        if (next == null) {
            LOG.error("VG-908 internal error: {} is {}, and then {}", this, life, event);
            return;
        }
        life = next;
        switch (next) {
            case ACQUIRING -> phase = Phase.ACQUIRING;
            case GRANTED, DOOMED -> phase = Phase.GRANTED;
            case RUNNING, DYING, HALTED -> phase = Phase.RUNNING;
            case ENDED -> ended = true;
        }
        doomed = next == RunLife.State.DOOMED || next == RunLife.State.DYING;
        halted = next == RunLife.State.HALTED;
    }

    void want(DiskLease lease, LeaseNote note) {
        wanted.put(new LeaseName(lease.resource()), new Wanted(lease.target(), lease.identity(), modeOf(lease), note));
    }

    static LeaseMode modeOf(DiskLease lease) {
        return switch (lease.mode()) {
            case EXCLUSIVE -> LeaseMode.EXCLUSIVE;
            case SHARED -> LeaseMode.SHARED;
        };
    }

    /** A lease that an earlier agent took for it: only the note and the mode of then get it. */
    void claim(LeaseName resource, LeaseMode mode, LeaseNote note) {
        carriedOver = true;
        if (!following.needs.containsKey(resource)) {
            following.unshown.add(resource);
        }
        wanted.merge(
                resource,
                new Wanted(note.disk(), "", mode, note),
                (known, unknown) -> new Wanted(known.target(), known.identity(), mode, note));
    }

    boolean holds(LeaseName resource) {
        return held.getOrDefault(resource, false);
    }

    boolean holdsAny() {
        return held.containsValue(true);
    }

    /** Whether it waits to be given that lease by another host. */
    boolean receives(LeaseName resource) {
        return incoming != null && incoming.receiving.contains(resource);
    }

    /** Whether another host has that lease, or is to give it: nothing to be acquired. */
    boolean isElsewhere(LeaseName resource) {
        return receives(resource)
                || (outgoing != null && (outgoing.given.contains(resource) || outgoing.underWay.contains(resource)));
    }

    /** Whether it is not to be had because the host to which this domain is being migrated has it already, for this very domain. */
    boolean isAhead(AcquireResult result) {
        Outgoing out = outgoing;
        return out != null
                && out.offered
                && result instanceof AcquireResult.HeldBy held
                && held.note().flatMap(GuardState::uuid).map(uuid::equals).orElse(false)
                && (out.receiver == null || out.receiver.equals(held.owner()));
    }

    boolean isMigrating() {
        return incoming != null || outgoing != null;
    }

    /**
     * Whether its QEMU must not outlive the membership, with or without a lease in its own hands: another host has some, had, or is about to,
     * and it is not certain that this one can do no harm.
     */
    boolean isBetweenHosts() {
        return (incoming != null && !incoming.receiving.isEmpty())
                || (outgoing != null
                        && (outgoing.stopped
                                || outgoing.guest != Guest.FREE
                                || !outgoing.given.isEmpty()
                                || !outgoing.underWay.isEmpty())
                        && !isLeftBehind());
    }

    /**
     * Whether all that is left of it here is memory that another host fetches (post-copy): all of its leases are given, its guest runs there
     * and cannot run here any more. It owns nothing that this host could lose, and without its memory the guest is lost. Whatever of this is
     * not known makes it false.
     */
    boolean isLeftBehind() {
        return outgoing != null && outgoing.isFetched() && outgoing.given.containsAll(wanted.keySet());
    }

    /** It was found stopped by a signal, and whether an earlier agent stopped it on its way to another host is not known yet. */
    boolean isUnexplained() {
        return foundStopped && (!explained || explaining);
    }

    /** Nothing about it is under way: its process is watched, and whatever else happens to it comes as a message. */
    boolean settled() {
        return phase == Phase.RUNNING
                && pending.isEmpty()
                && !doomed
                && !halted
                && !stopSent
                && following.expulsion == null
                && incoming == null
                && outgoing == null;
    }

    /** The lease on the domain itself, beside which two hosts leave words for each other; it may not be wanted. */
    LeaseName channel() {
        return new LeaseName("dom-" + uuid);
    }

    /** What a lease of it is for, for messages. */
    String label(LeaseName resource) {
        Wanted what = wanted.get(resource);
        return what == null ? resource.value() : what.note().disk();
    }

    /** Its disks, for messages. */
    String labels() {
        return wanted.values().stream().map(w -> w.note().disk()).collect(Collectors.joining(", "));
    }

    @Override
    public String toString() {
        return "domain " + name + " (" + uuid + ")";
    }
}
