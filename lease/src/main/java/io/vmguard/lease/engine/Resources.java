/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HeldLease;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The resources of one membership: who holds what on this host, and the operations under way.
 *
 * <p>Each resource has at most one operation at a time. An operation whose outcome is unknown keeps the resource in the table as
 * undetermined, and is resolved by acquiring again and releasing for as long as the membership lasts.
 */
final class Resources {
    private enum State {
        ACQUIRING,
        HELD,
        /** Held since before a restart of this process, not claimed yet. */
        CARRIED_OVER,
        RELEASING,
        UNDETERMINED
    }

    private final class Hold {
        final LeaseName resource;
        final SerialExecutor operations = new SerialExecutor(threads);
        final CompletableFuture<ReleaseResult> released = new CompletableFuture<>();
        LeaseNote note;
        State state;

        @Nullable
        HeldRecord record;

        Hold(LeaseName resource, LeaseNote note, State state) {
            this.resource = resource;
            this.note = note;
            this.state = state;
        }
    }

    private final Membership membership;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final BlockingDriver driver;
    private final Executor threads;
    private final ScheduledExecutorService timer;
    private final Joiner joiner;
    private final AtomicInteger underWay = new AtomicInteger();
    /** Guarded by itself, as are the fields of its values. Never held across I/O on storage. */
    private final Map<LeaseName, Hold> holds = new TreeMap<>(java.util.Comparator.comparing(LeaseName::value));

    /** Guarded by {@link #holds}: the membership is being given back. */
    private boolean retired;

    Resources(
            Membership membership,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            BlockingDriver driver,
            Executor threads,
            ScheduledExecutorService timer,
            Joiner joiner) {
        this.membership = membership;
        this.store = store;
        this.clock = clock;
        this.random = random;
        this.driver = driver;
        this.threads = threads;
        this.timer = timer;
        this.joiner = joiner;
    }

    CompletableFuture<AcquireResult> acquire(LeaseName resource, LeaseNote note) {
        Hold hold;
        synchronized (holds) {
            if (retired) {
                return CompletableFuture.completedFuture(
                        new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the agent is stopping", false));
            }
            Hold existing = holds.get(resource);
            if (existing != null && existing.state == State.RELEASING) {
                return existing.released.thenCompose(result -> result instanceof ReleaseResult.CannotTell t
                        ? CompletableFuture.completedFuture(new AcquireResult.CannotTell(
                                t.fault(), "its release is not finished: " + t.why(), true))
                        : acquire(resource, note));
            }
            if (existing != null) {
                return CompletableFuture.completedFuture(heldHere(existing, note));
            }
            hold = new Hold(resource, note, State.ACQUIRING);
            holds.put(resource, hold);
            try {
                writeRecord();
            } catch (IOException e) {
                holds.remove(resource);
                return CompletableFuture.completedFuture(new AcquireResult.CannotTell(
                        LeaseFault.IO, "cannot write the local record of leases: " + e.getMessage(), false));
            }
        }
        CompletableFuture<AcquireResult> answer = new CompletableFuture<>();
        hold.operations.execute(() -> {
            try {
                runAcquire(hold, answer);
            } catch (RuntimeException e) {
                undetermined(hold);
                answer.complete(new AcquireResult.CannotTell(LeaseFault.IO, "internal error: " + e, true));
                throw e;
            }
        });
        return answer;
    }

    private AcquireResult heldHere(Hold existing, LeaseNote note) {
        if (existing.state == State.CARRIED_OVER && existing.note.equals(note)) {
            existing.state = State.HELD;
            return new AcquireResult.Acquired(lease(existing));
        }
        if (existing.state == State.UNDETERMINED) {
            return new AcquireResult.CannotTell(
                    LeaseFault.TIMED_OUT, "an earlier operation on this lease has not ended yet", true);
        }
        return new AcquireResult.HeldBy(
                membership.owner,
                membership.record().resourceName(),
                HostStatus.LIVE,
                Optional.of(Duration.ofNanos(membership.ageNanos())),
                Optional.empty(),
                Optional.of(existing.note),
                false);
    }

    private HeldLease lease(Hold hold) {
        HeldRecord record = java.util.Objects.requireNonNull(hold.record);
        return new HeldLease(hold.resource, membership.owner, record.leader().lver());
    }

    private void runAcquire(Hold hold, CompletableFuture<AcquireResult> answer) {
        PaxosAcquire.Result result = run(
                hold.resource,
                context -> new PaxosAcquire(context).start(),
                why -> new PaxosAcquire.Result.Failed(why.fault(), why.why(), false));
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            synchronized (holds) {
                hold.record = acquired.held();
                hold.state = State.HELD;
            }
            if (!membership.inTime()) {
                drop(hold); // lost while we were at it: nothing of this membership counts any more
                answer.complete(new AcquireResult.CannotTell(
                        LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile", false));
            } else if (answer.complete(new AcquireResult.Acquired(lease(hold)))) {
                writeNote(hold, acquired.held());
            } else {
                release(hold.resource); // the caller has given up: nobody will use it
            }
            return;
        }
        if (result instanceof PaxosAcquire.Result.Held held) {
            drop(hold);
            answer.complete(heldBy(held));
            return;
        }
        PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
        if (failed.mayHaveWon()) {
            undetermined(hold);
        } else {
            drop(hold);
        }
        answer.complete(new AcquireResult.CannotTell(
                failed.fault(), withFile(hold.resource, failed.fault(), failed.why()), failed.mayHaveWon()));
    }

    /** Names the file, for people who have to look at it, unless that is said already or it is not the file's fault. */
    private String withFile(LeaseName resource, LeaseFault fault, String why) {
        String file = store.where() + "/" + resource;
        return fault == LeaseFault.NO_MEMBERSHIP || why.startsWith(store.where()) ? why : file + ": " + why;
    }

    private AcquireResult heldBy(PaxosAcquire.Result.Held held) {
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

    private void writeNote(Hold hold, HeldRecord held) {
        LeaseStore.Opened opened = open(hold.resource, false);
        if (opened instanceof LeaseStore.Opened.Ready ready) {
            try (LeaseFile file = ready.file()) {
                // For people only: whether it arrives is of no consequence, so nobody is told.
                file.write(
                        membership.layout.noteOffset(),
                        NoteSector.encode(
                                membership.layout,
                                hold.note,
                                membership.owner,
                                held.leader().lver()),
                        membership.timeouts.ioTimeout());
            }
        }
    }

    CompletableFuture<ReleaseResult> release(LeaseName resource) {
        Hold hold;
        synchronized (holds) {
            hold = holds.get(resource);
            if (hold == null) {
                return CompletableFuture.completedFuture(
                        new ReleaseResult.NotOurs(LeaseFault.LEADER_CHANGED, "this host does not hold it"));
            }
            if (hold.state == State.HELD || hold.state == State.CARRIED_OVER) {
                hold.state = State.RELEASING;
                Hold releasing = hold;
                hold.operations.execute(() -> runRelease(releasing, 0));
            }
        }
        return hold.released;
    }

    private void runRelease(Hold hold, int tries) {
        HeldRecord record = java.util.Objects.requireNonNull(hold.record);
        PaxosRelease.Result result = run(
                hold.resource,
                context -> new PaxosRelease(context, record).start(),
                why -> new PaxosRelease.Result.Failed(why.fault(), why.why()));
        if (result instanceof PaxosRelease.Result.Failed failed) {
            hold.released.complete(new ReleaseResult.CannotTell(failed.fault(), failed.why()));
            retry(hold, tries, () -> runRelease(hold, tries + 1));
            return;
        }
        drop(hold);
        hold.released.complete(
                result instanceof PaxosRelease.Result.NotOurs notOurs
                        ? new ReleaseResult.NotOurs(notOurs.fault(), notOurs.why())
                        : new ReleaseResult.Released());
    }

    private void undetermined(Hold hold) {
        synchronized (holds) {
            hold.state = State.UNDETERMINED;
        }
        retry(hold, 0, () -> resolve(hold, 0));
    }

    /** Acquire again, then release: whatever the first attempt did, after this it is undone. */
    private void resolve(Hold hold, int tries) {
        PaxosAcquire.Result result = run(
                hold.resource,
                context -> new PaxosAcquire(context).start(),
                why -> new PaxosAcquire.Result.Failed(why.fault(), why.why(), true));
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            synchronized (holds) {
                hold.record = acquired.held();
                hold.state = State.RELEASING;
            }
            runRelease(hold, 0);
        } else if (result instanceof PaxosAcquire.Result.Held) {
            drop(hold); // another host has it for certain
            hold.released.complete(new ReleaseResult.Released());
        } else {
            retry(hold, tries, () -> resolve(hold, tries + 1));
        }
    }

    /** After T, then every 2 T, while the membership lasts. Afterwards the old generation's leases are nobody's. */
    private void retry(Hold hold, int tries, Runnable operation) {
        if (!membership.inTime()) {
            drop(hold);
            return;
        }
        long delay = membership.timeouts.ioTimeout().toMillis() * (tries == 0 ? 1 : 2);
        timer.schedule(() -> hold.operations.execute(operation), delay, TimeUnit.MILLISECONDS);
    }

    /** Finds out which of the predecessor's resources are held indeed. */
    void adopt(Map<LeaseName, LeaseNote> users) {
        for (Map.Entry<LeaseName, LeaseNote> user : users.entrySet()) {
            Hold hold = new Hold(user.getKey(), user.getValue(), State.UNDETERMINED);
            synchronized (holds) {
                holds.put(user.getKey(), hold);
            }
            runAdopt(hold, 0);
        }
    }

    private void runAdopt(Hold hold, int tries) {
        PaxosAdopt.Result result = run(
                hold.resource,
                context -> new PaxosAdopt(context).start(),
                why -> new PaxosAdopt.Result.Failed(why.fault(), why.why()));
        if (result instanceof PaxosAdopt.Result.Held held) {
            synchronized (holds) {
                hold.record = held.held();
                hold.state = State.CARRIED_OVER;
            }
        } else if (result instanceof PaxosAdopt.Result.NotHeld) {
            drop(hold);
        } else if (result instanceof PaxosAdopt.Result.HalfReleased) {
            undetermined(hold);
        } else {
            retry(hold, tries, () -> runAdopt(hold, tries + 1));
        }
    }

    private interface Machine<R> {
        Step<R> start(ResourceContext context);
    }

    private interface Refusal<R> {
        R of(LeaseStore.Opened.Refused why);
    }

    private <R> R run(LeaseName resource, Machine<R> machine, Refusal<R> refusal) {
        underWay.incrementAndGet();
        try {
            return runMachine(resource, machine, refusal);
        } finally {
            underWay.decrementAndGet();
        }
    }

    /** Whether no I/O of this membership can land any more. A new membership of this host must not begin before. */
    boolean idle() {
        return underWay.get() == 0;
    }

    private <R> R runMachine(LeaseName resource, Machine<R> machine, Refusal<R> refusal) {
        LeaseStore.Opened opened = open(resource, true);
        if (opened instanceof LeaseStore.Opened.Refused refused) {
            return refusal.of(refused);
        }
        ResourceContext context = new ResourceContext(
                membership.lockspace,
                resource,
                membership.layout,
                membership.timeouts,
                membership.owner,
                membership.hosts,
                membership::inTime,
                clock,
                random);
        try (LeaseFile file = ((LeaseStore.Opened.Ready) opened).file()) {
            R result = driver.run(machine.start(context), membership.file, file);
            if (!file.stillNamed()) {
                return refusal.of(new LeaseStore.Opened.Refused(
                        LeaseFault.MISSING,
                        "the lease file " + resource + " was removed or replaced meanwhile: try again"));
            }
            return result;
        } catch (BlockingDriver.Closing e) {
            return refusal.of(new LeaseStore.Opened.Refused(LeaseFault.NO_MEMBERSHIP, "the agent is stopping"));
        }
    }

    private LeaseStore.Opened open(LeaseName resource, boolean mayCreate) {
        return store.open(
                resource,
                membership.layout.areaBytes(),
                () -> LeaseArea.resource(
                        membership.layout, membership.lockspace, resource, membership.layout.maxHosts()),
                mayCreate);
    }

    private void drop(Hold hold) {
        synchronized (holds) {
            holds.remove(hold.resource, hold);
            try {
                writeRecord();
            } catch (IOException e) {
                // A name too many in the local record costs a successor one look at that resource, no more.
            }
        }
    }

    /** Under the lock of {@link #holds}, so that records are written in the order of events. The file is in memory. */
    private void writeRecord() throws IOException {
        joiner.write(membership, notes());
    }

    private Map<LeaseName, LeaseNote> notes() {
        Map<LeaseName, LeaseNote> notes = new LinkedHashMap<>();
        holds.values().forEach(hold -> notes.put(hold.resource, hold.note));
        return notes;
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

    Map<LeaseName, LeaseNote> all() {
        synchronized (holds) {
            return notes();
        }
    }

    Map<LeaseName, LeaseNote> held() {
        synchronized (holds) {
            Map<LeaseName, LeaseNote> held = new LinkedHashMap<>();
            holds.values().stream()
                    .filter(h -> h.state == State.HELD || h.state == State.CARRIED_OVER)
                    .forEach(h -> held.put(h.resource, h.note));
            return held;
        }
    }

    Set<LeaseName> carriedOver() {
        synchronized (holds) {
            return holds.values().stream()
                    .filter(h -> h.state == State.CARRIED_OVER)
                    .map(h -> h.resource)
                    .collect(Collectors.toUnmodifiableSet());
        }
    }

    List<LeaseName> undetermined() {
        synchronized (holds) {
            return holds.values().stream()
                    .filter(h -> h.state == State.UNDETERMINED || (h.state == State.RELEASING && h.released.isDone()))
                    .map(h -> h.resource)
                    .toList();
        }
    }
}
