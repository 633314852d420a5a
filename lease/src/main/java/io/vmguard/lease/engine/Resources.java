/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HeldLease;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.ondisk.HostName;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosReceive;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The resources of one membership: who holds what on this host, and the operations under way. Acquires and releases; what else can be
 * done to a hold is in {@link Conversions}, {@link Transfers}, {@link Requests} and {@link Adoption}, which all stand on this table.
 *
 * <p>Each resource has at most one operation at a time. An operation whose outcome is unknown keeps the resource in the table as
 * undetermined, and is resolved by acquiring again and releasing for as long as the membership lasts.
 */
final class Resources {
    /** The note on a hold is for people who are refused. A hold that is given back at once is not worth the write. */
    private static final Duration NOTE_DELAY = Duration.ofMillis(10);

    private static final ReleaseResult NOT_OURS =
            new ReleaseResult.NotOurs(LeaseFault.NOT_OWNER, "it is not this host's any more");

    private final Membership membership;
    private final Operations io;
    private final LeaseClock clock;
    private final Executor threads;
    private final ScheduledExecutorService timer;
    private final Joiner joiner;
    /** Guarded by itself, as are the fields of its values; but whether it is empty may be asked without. Never held across I/O on storage. */
    private final Map<LeaseName, Hold> holds = new ConcurrentSkipListMap<>(Comparator.comparing(LeaseName::value));

    /** Guarded by {@link #holds}: a killed predecessor's write may still land there, so nothing is done to them. */
    private final Set<LeaseName> inFlight = new HashSet<>();

    /** Guarded by {@link #holds}: the membership is being given back. */
    private boolean retired;

    Resources(
            Membership membership,
            Operations io,
            LeaseClock clock,
            Executor threads,
            ScheduledExecutorService timer,
            Joiner joiner) {
        this.membership = membership;
        this.io = io;
        this.clock = clock;
        this.threads = threads;
        this.timer = timer;
        this.joiner = joiner;
    }

    // ---- acquire

    CompletableFuture<AcquireResult> acquire(LeaseName resource, LeaseNote user, LeaseMode mode, Duration patience) {
        if (!membership.inTime()) {
            return CompletableFuture.completedFuture(
                    new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the membership is lost", false));
        }
        Hold hold;
        synchronized (holds) {
            Hold existing = holds.get(resource);
            if (existing != null) {
                return ofExisting(existing, user, mode, patience);
            }
            hold = new Hold(resource, mode, user, State.ACQUIRING, threads);
            Optional<AcquireResult> refused = enter(hold);
            if (refused.isPresent()) {
                return CompletableFuture.completedFuture(refused.get());
            }
        }
        CompletableFuture<AcquireResult> answer = new CompletableFuture<>();
        long untilNanos = clock.bootNanos() + patience.toNanos();
        execute(hold, answer, () -> runAcquire(hold, answer, untilNanos));
        return answer;
    }

    /** What stands on disk for it now. */
    void recorded(Hold hold, HeldRecord record) {
        synchronized (holds) {
            hold.record(record);
        }
    }

    /** Under the lock: a new hold comes into the table, and into the record for a successor of this process. */
    Optional<AcquireResult> enter(Hold hold) {
        if (retired) {
            return Optional.of(new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the agent is stopping", false));
        }
        if (inFlight.contains(hold.resource)) {
            return Optional.of(mayStillChange());
        }
        holds.put(hold.resource, hold);
        try {
            writeRecord();
            return Optional.empty();
        } catch (IOException e) {
            holds.remove(hold.resource);
            return Optional.of(new AcquireResult.CannotTell(
                    LeaseFault.IO, "cannot write the local record of leases: " + e.getMessage(), false));
        }
    }

    private static AcquireResult mayStillChange() {
        return new AcquireResult.CannotTell(
                LeaseFault.TIMED_OUT,
                "an agent of this host was killed while it wrote this lease, and the write may still land",
                false);
    }

    /** Whether nothing may be done to it before a killed predecessor is gone. */
    boolean isInFlight(LeaseName resource) {
        synchronized (holds) {
            return inFlight.contains(resource);
        }
    }

    /** Under the lock. */
    private CompletableFuture<AcquireResult> ofExisting(
            Hold existing, LeaseNote user, LeaseMode mode, Duration patience) {
        if (existing.state == State.INHERITED) {
            return ofInherited(existing, user, mode, patience);
        }
        if (existing.state == State.RELEASING) {
            return existing.released.thenCompose(result -> result instanceof ReleaseResult.CannotTell t
                    ? CompletableFuture.completedFuture(
                            new AcquireResult.CannotTell(t.fault(), "its release is not finished: " + t.why(), true))
                    : acquire(existing.resource, user, mode, patience));
        }
        boolean bothShared = mode == LeaseMode.SHARED && existing.mode == LeaseMode.SHARED;
        if (bothShared && existing.state == State.ACQUIRING) {
            return existing.acquired.thenCompose(result -> result instanceof AcquireResult.Acquired
                    ? acquire(existing.resource, user, mode, patience)
                    : CompletableFuture.completedFuture(result));
        }
        return CompletableFuture.completedFuture(
                bothShared && existing.isJoinable() ? join(existing, user) : heldHere(existing, user, mode));
    }

    /** Under the lock: whether this host holds it is not known yet. Its user waits for that; others only if it is soon known. */
    private CompletableFuture<AcquireResult> ofInherited(
            Hold inherited, LeaseNote user, LeaseMode mode, Duration patience) {
        boolean its = inherited.mode == mode && inherited.users.contains(user);
        if (!its && inFlight.contains(inherited.resource)) {
            return CompletableFuture.completedFuture(mayStillChange());
        }
        CompletableFuture<AcquireResult> answer = new CompletableFuture<>();
        inherited.adopted.thenRun(() -> {
            if (!answer.isDone()) {
                acquire(inherited.resource, user, mode, patience).thenAccept(result -> {
                    if (!answer.complete(result) && result instanceof AcquireResult.Acquired) {
                        unclaim(inherited.resource, user);
                    }
                });
            }
        });
        return answer;
    }

    /** Its claimant has given up; that says nothing about its user. */
    private void unclaim(LeaseName resource, LeaseNote user) {
        synchronized (holds) {
            Hold hold = holds.get(resource);
            if (hold != null && hold.state == State.HELD && hold.users.contains(user)) {
                hold.state = State.CARRIED_OVER;
            }
        }
    }

    /** Under the lock: one more user of a shared hold of this host, or one of a predecessor's that comes to claim it. */
    private AcquireResult join(Hold hold, LeaseNote user) {
        boolean added = hold.users.add(user);
        try {
            writeRecord();
        } catch (IOException e) {
            if (added) {
                hold.users.remove(user);
            }
            return new AcquireResult.CannotTell(
                    LeaseFault.IO, "cannot write the local record of leases: " + e.getMessage(), false);
        }
        if (!added) {
            hold.state = State.HELD;
        }
        return new AcquireResult.Acquired(lease(hold));
    }

    private AcquireResult heldHere(Hold existing, LeaseNote user, LeaseMode mode) {
        if (existing.state == State.CARRIED_OVER && existing.mode == mode && existing.users.contains(user)) {
            existing.state = State.HELD;
            return new AcquireResult.Acquired(lease(existing));
        }
        if (existing.state == State.UNDETERMINED) {
            return new AcquireResult.CannotTell(
                    LeaseFault.TIMED_OUT, "an earlier operation on this lease has not ended yet", true);
        }
        return existing.state == State.GIVEN ? heldByPartner(existing) : heldByUs(existing);
    }

    /** It was handed over, and the receiver has not confirmed yet. */
    private AcquireResult heldByPartner(Hold hold) {
        long nowNanos = clock.bootNanos();
        Optional<HostSighting> sighting = membership.hosts.of(hold.partner().hostId());
        String receiver = sighting.map(HostSighting::name).orElse("");
        return new AcquireResult.HeldBy(
                hold.partner(),
                receiver,
                sighting.map(s -> s.status(nowNanos)).orElse(HostStatus.UNKNOWN),
                sighting.map(s -> s.silentFor(nowNanos)),
                Optional.empty(),
                receiver.isEmpty()
                        ? Optional.empty()
                        : hold.users.stream().findFirst().map(user -> on(receiver, user)),
                false);
    }

    /** The same user on the host that receives it; since when is for that host to say. */
    private static LeaseNote on(String receiver, LeaseNote user) {
        return new LeaseNote(user.domainName(), user.domainUuid(), user.disk(), HostName.node(receiver), 0);
    }

    AcquireResult heldByUs(Hold hold) {
        return new AcquireResult.HeldBy(
                membership.owner,
                membership.record().resourceName(),
                HostStatus.LIVE,
                Optional.of(Duration.ofNanos(membership.ageNanos())),
                Optional.empty(),
                hold.users.stream().findFirst(),
                hold.mode == LeaseMode.SHARED);
    }

    HeldLease lease(Hold hold) {
        return new HeldLease(
                hold.resource, membership.owner, hold.record().leader().lver(), hold.mode);
    }

    private void runAcquire(Hold hold, CompletableFuture<AcquireResult> answer, long untilNanos) {
        if (answer.isDone()) {
            drop(hold); // the caller gave up while we waited for a holder
            hold.acquired.complete(new AcquireResult.CannotTell(LeaseFault.TIMED_OUT, "given up", false));
            return;
        }
        PaxosAcquire.Result result = acquireOnDisk(hold, hold.mode == LeaseMode.SHARED ? Want.SHARED : Want.EXCLUSIVE);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            synchronized (holds) {
                hold.record(acquired.held());
                hold.state = State.HELD;
            }
            onAcquired(hold, answer);
        } else if (result instanceof PaxosAcquire.Result.Held held) {
            againOrEnd(hold, answer, untilNanos, heldBy(held));
        } else {
            PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
            AcquireResult unknown = cannotTell(hold, failed);
            if (failed.mayHaveWon()) {
                undetermined(hold);
                end(hold, answer, unknown);
            } else if (failed.fault() == LeaseFault.LOST_RACE || failed.fault() == LeaseFault.SHARED_RETRY) {
                againOrEnd(hold, answer, untilNanos, unknown);
            } else {
                drop(hold);
                end(hold, answer, unknown);
            }
        }
    }

    private void onAcquired(Hold hold, CompletableFuture<AcquireResult> answer) {
        if (!membership.inTime()) {
            drop(hold); // lost while we were at it: nothing of this membership counts any more
            end(
                    hold,
                    answer,
                    new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile", false));
        } else if (end(hold, answer, new AcquireResult.Acquired(lease(hold)))) {
            schedule(hold, NOTE_DELAY, () -> noteIfHeld(hold));
        } else {
            release(hold.resource, hold.users.iterator().next()); // the caller has given up: nobody will use it
        }
    }

    /** @return whether the caller got to hear it */
    private static boolean end(Hold hold, CompletableFuture<AcquireResult> answer, AcquireResult result) {
        boolean heard = answer.complete(result);
        hold.acquired.complete(result);
        return heard;
    }

    private void againOrEnd(Hold hold, CompletableFuture<AcquireResult> answer, long untilNanos, AcquireResult soFar) {
        long leftNanos = untilNanos - clock.bootNanos();
        if (leftNanos <= 0 || !membership.inTime()) {
            drop(hold);
            end(hold, answer, soFar);
            return;
        }
        long delayNanos = Math.min(leftNanos, membership.timeouts.ioTimeout().toNanos());
        timer.schedule(
                () -> execute(hold, answer, () -> runAcquire(hold, answer, untilNanos)),
                delayNanos,
                TimeUnit.NANOSECONDS);
    }

    PaxosAcquire.Result acquireOnDisk(Hold hold, Want want) {
        return io.run(
                hold.resource,
                context -> new PaxosAcquire(context, want).start(),
                (fault, why) -> new PaxosAcquire.Result.Failed(fault, why, want == Want.UPGRADE));
    }

    AcquireResult cannotTell(Hold hold, PaxosAcquire.Result.Failed failed) {
        return new AcquireResult.CannotTell(
                failed.fault(), io.withFile(hold.resource, failed.fault(), failed.why()), failed.mayHaveWon());
    }

    AcquireResult heldBy(PaxosAcquire.Result.Held held) {
        long nowNanos = clock.bootNanos();
        Optional<HostSighting> sighting = held.sighting();
        return new AcquireResult.HeldBy(
                held.owner(),
                held.hostName(),
                held.status(),
                sighting.map(s -> s.silentFor(nowNanos)),
                held.status() == HostStatus.LIVE ? Optional.empty() : sighting.map(s -> s.deadIn(nowNanos)),
                held.note(),
                held.shared());
    }

    private void noteIfHeld(Hold hold) {
        boolean held;
        synchronized (holds) {
            held = hold.state == State.HELD;
        }
        if (held) {
            writeNote(hold);
        }
    }

    /** Notes are for exclusive holds: a resource has room for one. */
    boolean writeNote(Hold hold) {
        return hold.mode == LeaseMode.EXCLUSIVE
                && io.writeNote(hold.resource, hold.users.iterator().next(), hold.record());
    }

    CompletableFuture<Boolean> writeDown(LeaseName resource) {
        Hold hold;
        synchronized (holds) {
            hold = holds.get(resource);
        }
        CompletableFuture<Boolean> answer = new CompletableFuture<>();
        if (hold == null) {
            answer.complete(false);
            return answer;
        }
        hold.operations.execute(() -> {
            boolean held;
            synchronized (holds) {
                held = hold.state == State.HELD;
            }
            boolean written = false;
            try {
                written = held && writeNote(hold);
            } finally {
                answer.complete(written);
            }
        });
        return answer;
    }

    // ---- release

    /** A conversion or a hand-over has left us the hold: it is one again, or goes if its user has gone meanwhile. */
    void settled(Hold hold) {
        synchronized (holds) {
            hold.state = State.HELD;
            try {
                writeRecord();
            } catch (IOException e) {
                // A successor looks at the disk, which says it better.
            }
            if (hold.users.isEmpty()) {
                beginRelease(hold);
            }
        }
    }

    /** @param user null: all of them */
    CompletableFuture<ReleaseResult> release(LeaseName resource, @Nullable LeaseNote user) {
        synchronized (holds) {
            Hold hold = holds.get(resource);
            if (hold == null || (user != null && !hold.users.contains(user))) {
                return CompletableFuture.completedFuture(
                        new ReleaseResult.NotOurs(LeaseFault.LEADER_CHANGED, "this host does not hold it"));
            }
            if (user != null && hold.users.size() > 1) {
                hold.users.remove(user);
                try {
                    writeRecord();
                } catch (IOException e) {
                    // A user too many in the local record costs a successor one look, no more.
                }
                return CompletableFuture.completedFuture(new ReleaseResult.Released());
            }
            switch (hold.state) {
                case HELD, CARRIED_OVER -> beginRelease(hold);
                case CONVERTING, GIVING -> hold.users.clear();
                case INHERITED -> hold.releaseWanted = true;
                case GIVEN -> {
                    hold.state = State.UNDETERMINED;
                    hold.operations.execute(() -> resolve(hold, 0));
                }
                case RECEIVING -> {
                    hold.state = State.UNDETERMINED;
                    hold.operations.execute(() -> decline(hold, hold.partner(), 0));
                }
                default -> {
                    // Under way, and ends in a release anyway.
                }
            }
            return hold.released;
        }
    }

    /** Under the lock. */
    private void beginRelease(Hold hold) {
        hold.state = State.RELEASING;
        hold.operations.execute(() -> runRelease(hold, 0));
    }

    private void runRelease(Hold hold, int tries) {
        PaxosRelease.Result result =
                io.run(hold.resource, context -> release(context, hold), PaxosRelease.Result.Failed::new);
        if (result instanceof PaxosRelease.Result.Failed failed) {
            hold.released.complete(new ReleaseResult.CannotTell(failed.fault(), failed.why()));
            retry(hold, tries, () -> runRelease(hold, tries + 1));
            return;
        }
        if (result instanceof PaxosRelease.Result.NotOurs && hold.recordStale) {
            forget(hold); // of a hand-over that came to nothing our block may still look as if we waited for it
            return;
        }
        drop(
                hold,
                result instanceof PaxosRelease.Result.NotOurs notOurs
                        ? new ReleaseResult.NotOurs(notOurs.fault(), notOurs.why())
                        : new ReleaseResult.Released());
    }

    private static Step<PaxosRelease.Result> release(ResourceContext context, Hold hold) {
        if (!hold.recordStale) {
            return new PaxosRelease(context, hold.record()).start();
        }
        return new PaxosAdopt(context).start().andThen(found -> {
            if (found instanceof PaxosAdopt.Result.Held held) {
                return new PaxosRelease(context, held.held()).start();
            }
            if (found instanceof PaxosAdopt.Result.HalfReleased half) {
                return new PaxosRelease(context, half.held()).start();
            }
            if (found instanceof PaxosAdopt.Result.Overwritten overwritten) {
                return new PaxosRelease(context, overwritten.held()).start();
            }
            return Step.end(
                    found instanceof PaxosAdopt.Result.Failed failed
                            ? new PaxosRelease.Result.Failed(failed.fault(), failed.why())
                            : new PaxosRelease.Result.NotOurs(LeaseFault.NOT_OWNER, "it is not ours any more"));
        });
    }

    // ---- outcomes that are not known

    void undetermined(Hold hold) {
        synchronized (holds) {
            hold.state = State.UNDETERMINED;
        }
        hold.adopted.complete(null);
        retry(hold, 0, () -> resolve(hold, 0));
    }

    /** Acquire again, then release: whatever the first attempt did, after this it is undone. */
    private void resolve(Hold hold, int tries) {
        PaxosAcquire.Result result = acquireOnDisk(hold, Want.EXCLUSIVE);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            synchronized (holds) {
                hold.record(acquired.held());
                hold.state = State.RELEASING;
            }
            runRelease(hold, 0);
        } else if (result instanceof PaxosAcquire.Result.Held) {
            forget(hold); // another host has it for certain
        } else {
            retry(hold, tries, () -> resolve(hold, tries + 1));
        }
    }

    /** After T, then every 2 T, while the membership lasts. Afterwards the old generation's leases are nobody's. */
    void retry(Hold hold, int tries, Runnable operation) {
        long delay = membership.timeouts.ioTimeout().toMillis() * (tries == 0 ? 1 : 2);
        later(hold, Duration.ofMillis(delay), operation);
    }

    void later(Hold hold, Duration delay, Runnable operation) {
        if (!membership.inTime()) {
            expired(hold);
            return;
        }
        schedule(hold, delay, operation);
    }

    /** Nothing is done about it any more. But it may have a user, so it stays where whoever has to stop that user looks. */
    private static void expired(Hold hold) {
        hold.released.complete(NOT_OURS);
        hold.adopted.complete(null);
    }

    private void schedule(Hold hold, Duration delay, Runnable operation) {
        try {
            timer.schedule(() -> hold.operations.execute(operation), delay.toNanos(), TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            // The engine is closing: nothing is done any more.
        }
    }

    /** Runs an operation; a bug in it must not lose sight of a lease. */
    void execute(Hold hold, CompletableFuture<AcquireResult> answer, Runnable operation) {
        hold.operations.execute(() -> {
            try {
                operation.run();
            } catch (RuntimeException e) {
                undetermined(hold);
                end(hold, answer, new AcquireResult.CannotTell(LeaseFault.IO, "internal error: " + e, true));
                throw e;
            }
        });
    }

    // ---- after a restart of the process

    /**
     * A predecessor's resources come into the table.
     *
     * @param mayChange those that a killed predecessor may still change, whoever has them: untouched until it is gone
     * @return those of which the disk must be asked whether they are held
     */
    List<Hold> inherit(Map<LeaseName, LeaseUse> users, Set<LeaseName> mayChange) {
        List<Hold> unknown = new ArrayList<>();
        synchronized (holds) {
            inFlight.addAll(mayChange);
            users.forEach((resource, use) -> {
                Hold hold = new Hold(resource, use.mode(), use.users().get(0), State.INHERITED, threads);
                hold.users.addAll(use.users());
                holds.put(resource, hold);
                if (use.giver().isPresent() && !mayChange.contains(resource)) {
                    // Nothing needs to be asked: prepared, given, or neither, it goes on from here as from there.
                    hold.partner(use.giver().get());
                    hold.state = State.RECEIVING;
                    hold.adopted.complete(null);
                } else {
                    unknown.add(hold);
                }
            });
        }
        return unknown;
    }

    /** Its writes have ended: everything may be touched. */
    void predecessorGone() {
        synchronized (holds) {
            inFlight.clear();
        }
    }

    /** It is held indeed. */
    void carriedOver(Hold hold, HeldRecord record) {
        carriedOver(hold, record, false);
    }

    /** It is held, but not as the record says: whatever is done next looks at the disk first. */
    void carriedOverUnseen(Hold hold, HeldRecord record) {
        carriedOver(hold, record, true);
    }

    private void carriedOver(Hold hold, HeldRecord record, boolean stale) {
        synchronized (holds) {
            hold.record(record);
            hold.recordStale = stale;
            hold.state = State.CARRIED_OVER;
            if (hold.releaseWanted) {
                beginRelease(hold);
            }
        }
        hold.adopted.complete(null);
    }

    /** It is another host's, who has not confirmed it, and may come back. */
    void given(Hold hold, Owner receiver) {
        synchronized (holds) {
            hold.partner(receiver);
            hold.state = State.GIVEN;
            if (hold.releaseWanted) {
                release(hold.resource, null);
            }
        }
        hold.adopted.complete(null);
    }

    /**
     * Not ours, and nothing is waited for any more: our block says so before we forget it. The other side of a hand-over that came to
     * nothing may still be about to give it to us, or to give it back, and a host that is handed what it does not wait for would hold
     * it, unaware, for as long as it lives.
     */
    void forget(Hold hold) {
        decline(hold, membership.owner, 0);
    }

    /** What another host has given to us, or is about to, is not wanted: nobody uses it here. */
    void decline(Hold hold, Owner giver, int tries) {
        PaxosReceive.Result result = io.run(
                hold.resource, context -> new PaxosReceive(context, giver).decline(), PaxosReceive.Result.Failed::new);
        if (result instanceof PaxosReceive.Result.Failed failed) {
            hold.released.complete(new ReleaseResult.CannotTell(failed.fault(), failed.why()));
            retry(hold, tries, () -> decline(hold, giver, tries + 1));
        } else {
            drop(hold, new ReleaseResult.Released());
        }
    }

    // ---- the table

    /** Does something with the table's entry, under its lock. */
    <R> R withHold(LeaseName resource, Function<@Nullable Hold, R> action) {
        synchronized (holds) {
            return action.apply(holds.get(resource));
        }
    }

    void drop(Hold hold) {
        drop(hold, NOT_OURS);
    }

    /** @param end for those who wait for its release */
    private void drop(Hold hold, ReleaseResult end) {
        synchronized (holds) {
            holds.remove(hold.resource, hold);
            try {
                writeRecord();
            } catch (IOException e) {
                // A name too many in the local record costs a successor one look at that resource, no more.
            }
        }
        hold.released.complete(end);
        hold.adopted.complete(null);
    }

    /** Under the lock of {@link #holds}, so that records are written in the order of events. The file is in memory. */
    private void writeRecord() throws IOException {
        joiner.write(membership, uses(hold -> true));
    }

    /** Writes the local record as it is now. */
    void rewriteRecord() throws IOException {
        synchronized (holds) {
            writeRecord();
        }
    }

    private Map<LeaseName, LeaseUse> uses(Predicate<Hold> which) {
        Map<LeaseName, LeaseUse> uses = new LinkedHashMap<>();
        holds.values().stream().filter(which).forEach(hold -> uses.put(hold.resource, hold.use()));
        return uses;
    }

    /**
     * Ends the taking of resources for good, if none is in use.
     *
     * @return whether none is
     */
    boolean retire() {
        synchronized (holds) {
            retired = holds.isEmpty();
            return retired;
        }
    }

    /** Whether nothing is held, nor on its way. Any thread; takes no lock. */
    boolean unused() {
        return holds.isEmpty();
    }

    Map<LeaseName, LeaseUse> held() {
        synchronized (holds) {
            return uses(Resources::isInUse);
        }
    }

    /** Its user may be running. */
    private static boolean isInUse(Hold hold) {
        return !hold.users.isEmpty()
                && switch (hold.state) {
                    case HELD, INHERITED, CARRIED_OVER, CONVERTING, GIVING -> true;
                    case UNDETERMINED -> hold.mode == LeaseMode.SHARED && hold.hasRecord();
                    default -> false;
                };
    }

    /** Exclusive holds, with what they are held for. */
    List<Hold> exclusive() {
        synchronized (holds) {
            return holds.values().stream()
                    .filter(h -> h.state == State.HELD && h.mode == LeaseMode.EXCLUSIVE)
                    .toList();
        }
    }

    Set<LeaseName> carriedOver() {
        synchronized (holds) {
            return holds.values().stream()
                    .filter(h -> h.state == State.INHERITED || h.state == State.CARRIED_OVER)
                    .map(h -> h.resource)
                    .collect(Collectors.toUnmodifiableSet());
        }
    }

    Map<LeaseName, LeaseUse> receiving() {
        synchronized (holds) {
            return uses(hold -> hold.state == State.RECEIVING);
        }
    }

    Set<LeaseName> given() {
        synchronized (holds) {
            return Set.copyOf(uses(hold -> hold.state == State.GIVEN).keySet());
        }
    }

    List<LeaseName> undetermined() {
        synchronized (holds) {
            return holds.values().stream()
                    .filter(h -> h.state == State.UNDETERMINED
                            || h.state == State.GIVEN
                            || (h.state == State.RELEASING && h.released.isDone()))
                    .map(h -> h.resource)
                    .toList();
        }
    }
}
