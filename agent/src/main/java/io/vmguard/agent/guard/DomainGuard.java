/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.hypervisor.DomainEvent;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.KillSignal;
import io.vmguard.agent.process.Lookup;
import io.vmguard.agent.process.QemuProcesses;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

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
 *   <li>A lease is given back when the QEMU of its run is <em>proved</em> gone: its pidfd says so, or no QEMU was ever seen, libvirt
 *       lists the domain as inactive after the grant, and no process of it exists. Hooks and events are only hints to look.
 *   <li>When the membership is lost, every run with a lease is destroyed through libvirt, and by SIGKILL when that took too long.
 * </ul>
 */
public final class DomainGuard implements LockspaceListener, Hypervisor.Listener, AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** Starts and hints beyond it are turned away; what the engine and the guard's own calls say never is, and is bounded by the runs. */
    private static final int MAX_MESSAGES = 10_000;

    private static final long CLOSE_MILLIS = 2000;
    private static final long TICK_MILLIS = 50;
    private static final long LOOKUP_EARLY_NANOS = Duration.ofMillis(50).toNanos();
    private static final long LOOKUP_LATE_NANOS = Duration.ofMillis(500).toNanos();
    private static final long EARLY_NANOS = Duration.ofSeconds(10).toNanos();
    private static final long RECONCILE_NANOS = Duration.ofSeconds(30).toNanos();
    /** No list takes longer. */
    private static final long ENDED_NANOS = Duration.ofMinutes(5).toNanos();

    private static final long KILL_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();
    /** Room for the way back to the hook, or a quarter of the limit if that is less. */
    private static final long ANSWER_MARGIN_NANOS = Duration.ofSeconds(1).toNanos();

    private record Start(
            DomainSpec spec, UUID uuid, Derivation derivation, CompletableFuture<StartAnswer> answer, long byNanos) {}

    private final GuardSettings settings;
    private final Lockspace lockspace;
    private final Hypervisor hypervisor;
    private final QemuProcesses processes;
    private final ActiveDomains activeDomains;
    private final LeaseClock clock;
    private final Executor slowCalls;
    private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
    private final Map<UUID, Run> runs = new LinkedHashMap<>();
    private final List<Start> waiting = new ArrayList<>();
    /** When runs ended: a list of libvirt's that was begun before may still have them. */
    private final Map<UUID, Long> endedNanos = new HashMap<>();

    private final Thread thread;
    /** The engine's news of the membership has arrived: what it carries over is claimed. */
    private boolean joined;

    private boolean listUnderWay;
    private boolean listWanted;
    private long nextListNanos;
    private boolean usersMustGo;
    private long granted;
    private long refused;
    private volatile boolean hintsDropped;
    private volatile boolean closing;
    private volatile GuardView view = new GuardView(List.of(), 0, 0);

    /** @param slowCalls runs what may hang; must not run on the caller's thread, and must not refuse */
    public DomainGuard(
            GuardSettings settings,
            Lockspace lockspace,
            Hypervisor hypervisor,
            QemuProcesses processes,
            ActiveDomains activeDomains,
            LeaseClock clock,
            Executor slowCalls) {
        this.settings = settings;
        this.lockspace = lockspace;
        this.hypervisor = hypervisor;
        this.processes = processes;
        this.activeDomains = activeDomains;
        this.clock = clock;
        this.slowCalls = slowCalls;
        this.thread = new Thread(this::loop, "vmguard-guard");
        this.thread.setDaemon(true);
    }

    /** Starts the guard's thread. */
    public void start() {
        thread.start();
    }

    private void loop() {
        while (!closing) {
            try {
                Runnable message = inbox.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
                step(message);
            } catch (InterruptedException e) {
                break;
            } catch (RuntimeException e) {
                LOG.error("internal error in the guard; it goes on", e);
            }
        }
        shutDown();
    }

    /** One message, if there is one, and whatever time has made due. Package-private for tests, which step by hand. */
    void step(@Nullable Runnable message) {
        if (message != null) {
            message.run();
        }
        tick();
        publish();
    }

    /** Handles everything that is in the queue now. For tests. */
    void drain() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            step(message);
        }
        step(null);
    }

    private void tell(Runnable message) {
        inbox.add(message);
    }

    /**
     * From outside, where nobody bounds how many there are.
     *
     * @return false if there are too many: nothing is queued
     */
    private boolean offer(Runnable message) {
        return inbox.size() < MAX_MESSAGES && inbox.offer(message);
    }

    private void hint(Runnable message) {
        if (!offer(message)) {
            hintsDropped = true;
        }
    }

    /**
     * Runs what may hang on another thread.
     *
     * @param failed handled on the guard's thread if it cannot be run or has a bug
     */
    private void slowly(Runnable call, Runnable failed) {
        try {
            slowCalls.execute(() -> {
                try {
                    call.run();
                } catch (RuntimeException e) {
                    LOG.error("internal error in a slow call", e);
                    tell(failed);
                }
            });
        } catch (RejectedExecutionException e) {
            LOG.error("no thread for a slow call", e);
            tell(failed);
        }
    }

    // ---- starts

    /**
     * Asks whether a domain may start. Any thread.
     *
     * @param derivation what its XML calls for
     * @return completes within the answer limit, on the guard's thread; if it is cancelled first the start counts as not granted
     */
    public CompletableFuture<StartAnswer> prepare(DomainSpec spec, UUID uuid, Derivation derivation) {
        CompletableFuture<StartAnswer> answer = new CompletableFuture<>();
        long limitNanos = settings.answerLimit().toNanos();
        long byNanos = clock.bootNanos() + limitNanos - Math.min(ANSWER_MARGIN_NANOS, limitNanos / 4);
        Start start = new Start(spec, uuid, derivation, answer, byNanos);
        if (closing || !offer(() -> onStart(start))) {
            String text = closing ? Sentences.stopping(spec.name()) : Sentences.overload(spec.name());
            answer.complete(new StartAnswer.CannotTell(text));
        }
        return answer;
    }

    private void onStart(Start start) {
        String name = start.spec().name();
        if (closing) {
            refuse(start, new StartAnswer.CannotTell(Sentences.stopping(name)));
            return;
        }
        try {
            if (!considered(start)) {
                waiting.add(start);
            }
        } catch (RuntimeException e) {
            LOG.error("internal error in a start of {}", name, e);
            StartAnswer no = new StartAnswer.CannotTell(Sentences.internalError(name));
            Run run = runs.get(start.uuid());
            if (run != null && run.answer == start.answer()) {
                abandon(run, no);
            } else {
                refuse(start, no);
            }
        }
    }

    /** @return false if nothing can be said yet */
    private boolean considered(Start start) {
        String name = start.spec().name();
        Derivation derivation = start.derivation();
        List<String> warnings = new ArrayList<>();
        if (!derivation.refusals().isEmpty()) {
            Refusal first = derivation.refusals().get(0);
            String text = Sentences.cannotProtect(first.target(), first.reason());
            if (!settings.observe()) {
                return refuse(start, new StartAnswer.Refused(text));
            }
            warnings.add(text);
        }
        if (derivation.leases().isEmpty()) {
            grant(start.answer(), name, warnings);
            return true;
        }
        if (joined) {
            claimCarriedOver(); // an earlier agent's leases are nobody's to start with
        }
        Run before = runs.get(start.uuid());
        if (before != null && !endedBefore(before)) {
            boolean late = clock.bootNanos() >= start.byNanos();
            if (before.phase == Phase.ACQUIRING) {
                return refuse(start, new StartAnswer.CannotTell(Sentences.busy(name)));
            }
            if (!late) {
                hintEnd(before);
                return false;
            }
            GuardedProcess process = before.process;
            return refuse(
                    start,
                    process != null
                            ? new StartAnswer.Refused(Sentences.previousAlive(name, process.pid()))
                            : new StartAnswer.CannotTell(Sentences.previousUnknown(name)));
        }
        if (!member()) {
            String text = Sentences.notReady(name, lockspace.view().detail());
            if (settings.observe()) {
                warnings.add(text);
                grant(start.answer(), name, warnings);
                return true;
            }
            return clock.bootNanos() >= start.byNanos() && refuse(start, new StartAnswer.CannotTell(text));
        }
        begin(start, warnings);
        return true;
    }

    /** Between the engine's step into a membership and its news the leases carried over have no claimant yet. */
    private boolean member() {
        return joined && lockspace.member();
    }

    private boolean endedBefore(Run before) {
        GuardedProcess process = before.process;
        if (process != null && process.isGone()) {
            end(before);
            return true;
        }
        return false;
    }

    private void begin(Start start, List<String> warnings) {
        Run run = new Run(start.uuid(), start.spec().name(), Phase.ACQUIRING);
        run.answer = start.answer();
        run.answerByNanos = start.byNanos();
        run.warnings = warnings;
        start.derivation().leases().forEach(lease -> run.want(lease, note(run, lease)));
        runs.put(run.uuid, run);
        acquireMissing(run);
    }

    private LeaseNote note(Run run, DiskLease lease) {
        return new LeaseNote(run.name, run.uuid.toString(), lease.label(), settings.nodeName(), clock.wallSeconds());
    }

    private void acquireMissing(Run run) {
        for (Map.Entry<LeaseName, Run.Wanted> wanted : List.copyOf(run.wanted.entrySet())) {
            LeaseName resource = wanted.getKey();
            if (run.holds(resource) || run.pending.containsKey(resource)) {
                continue;
            }
            CompletableFuture<AcquireResult> future =
                    lockspace.acquire(resource, wanted.getValue().note());
            run.pending.put(resource, future);
        }
        // Only now, for a future that is complete already calls back at once.
        Map.copyOf(run.pending)
                .forEach((resource, future) ->
                        future.whenComplete((result, error) -> tell(() -> onAcquired(run, resource, future, result))));
    }

    private void onAcquired(
            Run run, LeaseName resource, CompletableFuture<AcquireResult> future, @Nullable AcquireResult result) {
        if (run.pending.get(resource) != future) {
            return; // given up, see giveUp
        }
        run.pending.remove(resource);
        if (result instanceof AcquireResult.Acquired) {
            run.held.put(resource, true);
            run.refused.remove(resource);
        } else {
            run.refused.put(
                    resource,
                    result != null
                            ? result
                            : new AcquireResult.CannotTell(LeaseFault.IO, "the lease engine has a bug", true));
        }
        if (run.pending.isEmpty()) {
            decide(run);
        }
    }

    private void decide(Run run) {
        if (run.phase != Phase.ACQUIRING) {
            decideFound(run);
            return;
        }
        CompletableFuture<StartAnswer> answer = Objects.requireNonNull(run.answer);
        boolean member = member();
        if (run.refused.isEmpty() && member) {
            launchable(run, answer);
            return;
        }
        StartAnswer no = member
                ? refusal(run)
                : new StartAnswer.CannotTell(
                        Sentences.notReady(run.name, lockspace.view().detail()));
        if (settings.observe()) {
            run.warnings.add(no.message());
            run.conflicts = List.of(Sentences.runsAllTheSame(no.message()));
            reportProblems(run);
            launchable(run, answer);
            return;
        }
        abandon(run, no);
    }

    /** From here on a QEMU of this run may exist. */
    private void launchable(Run run, CompletableFuture<StartAnswer> answer) {
        run.phase = Phase.GRANTED;
        run.mayRunSinceNanos = clock.bootNanos();
        run.nextLookupNanos = run.mayRunSinceNanos + LOOKUP_EARLY_NANOS;
        run.answer = null;
        if (grant(answer, run.name, run.warnings)) {
            LOG.info("{} may start: holds {}", run, labels(run));
        } else {
            end(run); // the hook has gone away: libvirt takes that as a no
        }
    }

    private StartAnswer refusal(Run run) {
        Optional<StartAnswer> taken = Optional.empty();
        Optional<StartAnswer> unknown = Optional.empty();
        Optional<Owner> self = lockspace.view().owner();
        for (Map.Entry<LeaseName, AcquireResult> entry : run.refused.entrySet()) {
            String label = Objects.requireNonNull(run.wanted.get(entry.getKey()))
                    .note()
                    .disk();
            AcquireResult result = entry.getValue();
            if (result instanceof AcquireResult.HeldBy held && taken.isEmpty()) {
                taken = Optional.of(new StartAnswer.Refused(Sentences.heldBy(label, held, self)));
            } else if (result instanceof AcquireResult.CannotTell cannot && unknown.isEmpty()) {
                unknown = Optional.of(new StartAnswer.CannotTell(Sentences.cannotTell(label, cannot.why())));
            }
        }
        return taken.orElse(unknown.orElseGet(() -> new StartAnswer.CannotTell(Sentences.previousUnknown(run.name))));
    }

    /** A start that is not granted: whatever it got goes back at once, for no QEMU can have come of it. */
    private void abandon(Run run, StartAnswer no) {
        giveUp(run);
        runs.remove(run.uuid, run);
        releaseAll(run);
        CompletableFuture<StartAnswer> answer = run.answer;
        if (answer != null) {
            refuse(answer, run.name, no);
        }
    }

    /** Waits for no lease any more. The engine gives back what comes later; what has come, its news still in the queue, is held. */
    private void giveUp(Run run) {
        run.pending.forEach((resource, future) -> {
            boolean cancelled = future.cancel(false) || future.isCompletedExceptionally();
            if (!cancelled && future.join() instanceof AcquireResult.Acquired) {
                run.held.put(resource, true);
            }
        });
        run.pending.clear();
    }

    private boolean refuse(Start start, StartAnswer no) {
        return refuse(start.answer(), start.spec().name(), no);
    }

    private boolean refuse(CompletableFuture<StartAnswer> answer, String name, StartAnswer no) {
        if (settings.observe()) {
            grant(answer, name, List.of(no.message()));
            return true;
        }
        refused++;
        LOG.warn("refused: {}", no.message());
        answer.complete(no);
        return true;
    }

    private boolean grant(CompletableFuture<StartAnswer> answer, String name, List<String> warnings) {
        String text = String.join(" / ", warnings);
        if (!warnings.isEmpty()) {
            refused++;
            LOG.warn("mode observe, {} is let through; would have been refused: {}", name, text);
        }
        boolean taken = answer.complete(new StartAnswer.Granted(text));
        if (taken) {
            granted++;
        }
        return taken;
    }

    // ---- hints

    /** libvirt's {@code release} hook: that run has ended, it says. Any thread. */
    public void released(UUID uuid) {
        hint(() -> hintEnd(uuid));
    }

    /** libvirt's {@code reconnect} hook: a domain runs that libvirtd has found again. Any thread. */
    public void reconnected() {
        hint(() -> listWanted = true);
    }

    private void hintEnd(UUID uuid) {
        Run run = runs.get(uuid);
        if (run != null) {
            hintEnd(run);
        }
    }

    private void hintEnd(Run run) {
        GuardedProcess process = run.process;
        if (process != null) {
            if (process.isGone()) {
                end(run);
            }
        } else if (run.phase == Phase.GRANTED && !run.endHinted) {
            run.endHinted = true;
            run.nextLookupNanos = clock.bootNanos();
            listWanted = true;
        }
    }

    // ---- the process of a run

    private void look(Run run) {
        run.lookupUnderWay = true;
        long askedNanos = clock.bootNanos();
        slowly(
                () -> {
                    Lookup found = processes.find(run.name, run.uuid);
                    tell(() -> onLookup(run, found, askedNanos));
                },
                () -> onLookup(run, new Lookup.CannotTell("internal error"), askedNanos));
    }

    private void onLookup(Run run, Lookup lookup, long askedNanos) {
        run.lookupUnderWay = false;
        long nowNanos = clock.bootNanos();
        boolean early = nowNanos - run.mayRunSinceNanos < EARLY_NANOS;
        run.nextLookupNanos = nowNanos + (early || run.doomed ? LOOKUP_EARLY_NANOS : LOOKUP_LATE_NANOS);
        if (lookup instanceof Lookup.Found found) {
            if (runs.get(run.uuid) != run || run.process != null) {
                found.process().close();
                return;
            }
            run.process = found.process();
            run.phase = Phase.RUNNING;
            LOG.info("{} runs as pid {}", run, found.process().pid());
            found.process().onGone(() -> tell(() -> onGone(run)));
        } else if (lookup instanceof Lookup.NotFound && runs.get(run.uuid) == run && run.phase == Phase.GRANTED) {
            boolean inactive = run.inactiveSinceNanos > run.mayRunSinceNanos;
            if (inactive && askedNanos > run.inactiveSinceNanos) {
                // libvirt had no such domain after the grant, so no start of it was under way, and there is no process
                // either.
                end(run);
            } else if (run.found) {
                hintEnd(run); // listed, but without a process: one of the two is out of date
            }
        }
    }

    private void onGone(Run run) {
        if (runs.get(run.uuid) == run) {
            end(run);
        }
    }

    /** The proof is there: this run can write no more. */
    private void end(Run run) {
        GuardedProcess process = run.process;
        LOG.info("{} has ended{}", run, process == null ? "" : ": pid " + process.pid() + " is gone");
        if (process != null) {
            process.close();
        }
        runs.remove(run.uuid, run);
        long nowNanos = clock.bootNanos();
        endedNanos.values().removeIf(ended -> nowNanos - ended > ENDED_NANOS);
        endedNanos.put(run.uuid, nowNanos);
        giveUp(run);
        if (!run.leasesLost) {
            releaseAll(run);
        }
        considerUsersGone();
    }

    private void releaseAll(Run run) {
        for (LeaseName resource : List.copyOf(run.held.keySet())) {
            Run.Wanted wanted = Objects.requireNonNull(run.wanted.get(resource));
            lockspace.release(resource).thenAccept(result -> {
                if (result instanceof ReleaseResult.NotOurs notOurs && notOurs.fault() != LeaseFault.NO_MEMBERSHIP) {
                    LOG.error(
                            "{} was not ours any more when it was given back: {}",
                            wanted.note().disk(),
                            notOurs.why());
                } else if (result instanceof ReleaseResult.CannotTell cannot) {
                    LOG.warn(
                            "{} is not given back yet, trying on: {}",
                            wanted.note().disk(),
                            cannot.why());
                }
            });
        }
        run.held.clear();
    }

    // ---- time

    private void tick() {
        long nowNanos = clock.bootNanos();
        for (Run run : List.copyOf(runs.values())) {
            if (run.phase == Phase.ACQUIRING && nowNanos >= run.answerByNanos) {
                abandon(run, late(run));
                continue;
            }
            if (run.doomed) {
                killWhenDue(run, nowNanos);
            }
            boolean lookupDue = run.process == null && run.phase == Phase.GRANTED && nowNanos >= run.nextLookupNanos;
            if (lookupDue && !run.lookupUnderWay) {
                look(run);
            }
        }
        if (hintsDropped) {
            hintsDropped = false;
            listWanted = true;
            List.copyOf(runs.values()).forEach(this::hintEnd);
        }
        List<Start> again = List.copyOf(waiting);
        waiting.clear();
        again.stream().filter(start -> !start.answer().isDone()).forEach(this::onStart);
        if (nowNanos >= nextListNanos) {
            listWanted = true;
        }
        if (listWanted && !listUnderWay && !closing) {
            list(nowNanos);
        }
    }

    private StartAnswer late(Run run) {
        if (!run.refused.isEmpty()) {
            return refusal(run);
        }
        String label = run.pending.keySet().stream()
                .findFirst()
                .map(resource -> Objects.requireNonNull(run.wanted.get(resource)))
                .map(wanted -> wanted.note().disk())
                .orElse(run.name);
        return new StartAnswer.CannotTell(Sentences.cannotTell(label, "the lease directory does not answer"));
    }

    // ---- reconciliation

    private void list(long nowNanos) {
        listWanted = false;
        listUnderWay = true;
        nextListNanos = nowNanos + RECONCILE_NANOS;
        slowly(
                () -> {
                    Optional<List<ListedDomain>> listed = activeDomains.list();
                    tell(() -> onList(listed, nowNanos));
                },
                () -> onList(Optional.empty(), nowNanos));
    }

    private void onList(Optional<List<ListedDomain>> listed, long begunNanos) {
        listUnderWay = false;
        if (listed.isEmpty()) {
            // Not known; runs that wait for libvirt's word ask again soon.
            boolean asked = runs.values().stream().anyMatch(run -> run.endHinted && run.process == null);
            nextListNanos = Math.min(nextListNanos, clock.bootNanos() + (asked ? KILL_AGAIN_NANOS : RECONCILE_NANOS));
            return;
        }
        if (joined) {
            claimCarriedOver();
        }
        Set<UUID> active = new HashSet<>();
        for (ListedDomain domain : listed.get()) {
            active.add(domain.uuid());
            if (endedNanos.getOrDefault(domain.uuid(), Long.MIN_VALUE) < begunNanos) {
                catchUp(domain);
            }
        }
        endedNanos.values().removeIf(ended -> ended < begunNanos);
        for (Run run : runs.values()) {
            if (!active.contains(run.uuid) && run.process == null) {
                run.inactiveSinceNanos = begunNanos;
                run.nextLookupNanos = clock.bootNanos();
            } else if (active.contains(run.uuid) && run.process == null && run.endHinted) {
                nextListNanos = Math.min(nextListNanos, clock.bootNanos() + KILL_AGAIN_NANOS);
            }
        }
        boolean allKnown =
                listed.get().stream().allMatch(d -> d.derivation().refusals().isEmpty());
        if (joined && allKnown) {
            releaseUnclaimed();
        }
    }

    /** A domain runs: it needs its leases, whoever started it and whenever. */
    private void catchUp(ListedDomain domain) {
        Run run = runs.get(domain.uuid());
        if (run != null && (run.phase == Phase.ACQUIRING || run.doomed)) {
            return;
        }
        boolean needs = !domain.derivation().leases().isEmpty();
        if (run == null) {
            if (!needs && domain.derivation().refusals().isEmpty()) {
                return;
            }
            run = new Run(domain.uuid(), domain.name(), Phase.GRANTED);
            run.mayRunSinceNanos = clock.bootNanos();
            run.found = true;
            runs.put(run.uuid, run);
            LOG.info("{} was found running", run);
        }
        for (DiskLease lease : domain.derivation().leases()) {
            if (!run.wanted.containsKey(new LeaseName(lease.resource()))) {
                run.want(lease, noteOfFound(run, lease));
            }
        }
        run.unprotectable = domain.derivation().refusals().stream()
                .map(r -> Sentences.runsAllTheSame(Sentences.cannotProtect(r.target(), r.reason())))
                .toList();
        reportProblems(run);
        if (member() && run.pending.isEmpty()) {
            acquireMissing(run);
        }
    }

    /** A lease of an earlier agent whose own note is of no use is claimed with that note by the domain that needs it. */
    private LeaseNote noteOfFound(Run run, DiskLease lease) {
        LeaseName resource = new LeaseName(lease.resource());
        LeaseNote earlier = lockspace.carriedOver().contains(resource)
                ? lockspace.view().held().get(resource)
                : null;
        return earlier != null && uuid(earlier).isEmpty() ? earlier : note(run, lease);
    }

    private void decideFound(Run run) {
        if (run.refused.isEmpty()) {
            LOG.info("{} runs and holds {}", run, labels(run));
            run.conflicts = List.of();
            reportProblems(run);
            return;
        }
        run.conflicts = List.of(Sentences.runsAllTheSame(refusal(run).message()));
        reportProblems(run);
        boolean taken = run.refused.values().stream().anyMatch(result -> result instanceof AcquireResult.HeldBy);
        if (taken && settings.destroyUnprotected() && !settings.observe() && !run.doomed) {
            LOG.error("{} is destroyed: somebody else holds its disk and on_unprotected is destroy", run);
            doom(run);
        }
    }

    private void reportProblems(Run run) {
        List<String> before = run.problems;
        run.problems = Stream.concat(run.conflicts.stream(), run.unprotectable.stream())
                .toList();
        if (before.isEmpty() && !run.problems.isEmpty()) {
            LOG.error("{} RUNS UNPROTECTED: {}", run, String.join(" / ", run.problems));
        } else if (run.problems.isEmpty() && !before.isEmpty()) {
            LOG.info("{} is protected now: holds {}", run, labels(run));
        }
    }

    /** Leases from before a restart of the agent: their users are found by what the leases themselves say. */
    private void claimCarriedOver() {
        Set<LeaseName> carried = lockspace.carriedOver();
        Map<LeaseName, LeaseNote> held =
                carried.isEmpty() ? Map.of() : lockspace.view().held();
        Set<Run> claimants = new HashSet<>();
        for (LeaseName resource : carried) {
            LeaseNote note = held.get(resource);
            if (note == null || uuid(note).isEmpty()) {
                continue;
            }
            Run run = runOf(uuid(note).get(), note.domainName());
            if (run.phase != Phase.ACQUIRING && !run.pending.containsKey(resource)) {
                run.claim(resource, note);
                claimants.add(run);
            }
        }
        claimants.forEach(this::acquireMissing);
    }

    /** What no run has claimed: its note does not say whose it was, and no active domain needs it. */
    private void releaseUnclaimed() {
        Map<LeaseName, LeaseNote> held = lockspace.view().held();
        for (LeaseName resource : lockspace.carriedOver()) {
            boolean claimed = runs.values().stream().anyMatch(run -> run.wanted.containsKey(resource));
            if (!claimed && held.containsKey(resource)) {
                LOG.warn("lease {} of an earlier run has no user any more; given back", resource);
                lockspace.release(resource);
            }
        }
    }

    private static Optional<UUID> uuid(LeaseNote note) {
        try {
            return Optional.of(UUID.fromString(note.domainUuid()));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    // ---- loss

    private void onLost(LeaseFault fault, String why) {
        joined = false;
        List<Run> starts = runs.values().stream()
                .filter(run -> run.phase == Phase.ACQUIRING)
                .toList();
        Set<UUID> unclaimed = runsOfHeld();
        List<Run> others = runs.values().stream()
                .filter(run -> run.phase != Phase.ACQUIRING)
                .toList();
        others.forEach(this::giveUp);
        List<Run> users = others.stream()
                .filter(run -> run.holdsAny() || unclaimed.contains(run.uuid))
                .toList();
        LOG.error(
                "membership lost ({}: {}): {}",
                fault,
                why,
                settings.observe()
                        ? "mode observe, nothing is stopped"
                        : users.isEmpty() ? "no domain holds a lease" : "stopping " + users);
        usersMustGo = true;
        for (Run run : users) {
            if (settings.observe()) {
                run.held.clear();
            } else {
                run.leasesLost = true;
                doom(run);
            }
        }
        for (Run run : starts) {
            giveUp(run);
            run.held.clear(); // nothing is ours to give back any more
            abandon(run, new StartAnswer.CannotTell(Sentences.notReady(run.name, why)));
        }
        considerUsersGone();
    }

    /** The users of what the engine still held, also of what it had carried over and nobody came to claim before the loss. */
    private Set<UUID> runsOfHeld() {
        Set<UUID> users = new HashSet<>();
        for (LeaseNote note : lockspace.view().held().values()) {
            uuid(note).ifPresent(uuid -> {
                runOf(uuid, note.domainName());
                users.add(uuid);
            });
        }
        return users;
    }

    /** The run of a domain of which only its lease is known. */
    private Run runOf(UUID uuid, String name) {
        Run run = runs.computeIfAbsent(uuid, id -> new Run(id, name, Phase.GRANTED));
        if (run.mayRunSinceNanos == 0) {
            run.mayRunSinceNanos = clock.bootNanos();
        }
        return run;
    }

    private void onPreviousLifeLost(Map<LeaseName, LeaseNote> users) {
        LOG.error(
                "an earlier agent of this boot died with leases held that have expired since; stopping their users: {}",
                users.values());
        usersMustGo = true;
        if (!settings.observe()) {
            Map<UUID, String> names = new HashMap<>();
            users.values().forEach(note -> uuid(note).ifPresent(id -> names.put(id, note.domainName())));
            names.forEach((uuid, name) -> {
                Run run = runOf(uuid, name);
                run.leasesLost = true;
                doom(run);
            });
        }
        considerUsersGone();
    }

    /** Stops a domain: through libvirt within the limit, then by SIGKILL. It counts as stopped when its process is gone. */
    private void doom(Run run) {
        if (run.doomed) {
            return;
        }
        run.doomed = true;
        run.killAtNanos = clock.bootNanos() + settings.destroyLimit().toNanos();
        run.nextLookupNanos = clock.bootNanos();
        run.endHinted = true;
        listWanted = true;
        slowly(
                () -> {
                    KillResult result = hypervisor.destroy(run.uuid, settings.destroyLimit());
                    tell(() -> onDestroyed(run, result));
                },
                () -> onDestroyed(run, new KillResult.Unknown("internal error")));
    }

    private void onDestroyed(Run run, KillResult result) {
        if (runs.get(run.uuid) != run) {
            return;
        }
        if (result instanceof KillResult.Unknown unknown) {
            LOG.warn("libvirt did not destroy {}: {}", run, unknown.reason());
            run.killAtNanos = Math.min(run.killAtNanos, clock.bootNanos());
        }
    }

    private void killWhenDue(Run run, long nowNanos) {
        GuardedProcess process = run.process;
        if (process == null || nowNanos < run.killAtNanos) {
            return;
        }
        run.killAtNanos = nowNanos + KILL_AGAIN_NANOS;
        KillSignal signal = process.kill();
        if (!run.killed) {
            run.killed = true;
            LOG.error("SIGKILL to {}, pid {}: {}", run, process.pid(), signal);
        }
    }

    private void considerUsersGone() {
        boolean anyLeft = runs.values().stream().anyMatch(run -> run.leasesLost);
        if (usersMustGo && !anyLeft) {
            usersMustGo = false;
            runs.values().forEach(run -> run.held.clear());
            lockspace.usersGone();
        }
    }

    // ---- what the engine and the hypervisor say, on their threads

    @Override
    public void joined(Owner owner, boolean resumed) {
        LOG.info(
                "member of lockspace {} as host id {}, generation {}{}",
                lockspace.view().name(),
                owner.hostId(),
                owner.generation(),
                resumed ? ": continued after a restart" : "");
        tell(() -> {
            joined = true;
            claimCarriedOver();
            listWanted = true;
        });
    }

    @Override
    public void joinFailed(LeaseFault fault, String why) {
        LOG.error("cannot join the lockspace ({}): {}", fault, why);
    }

    @Override
    public void renewalLate(String why) {
        LOG.warn("renewals are late: {}", why);
    }

    @Override
    public void renewalRecovered() {
        LOG.warn("renewals are in time again");
    }

    @Override
    public void lost(LeaseFault fault, String why) {
        tell(() -> onLost(fault, why));
    }

    @Override
    public void previousLifeLost(Map<LeaseName, LeaseNote> users) {
        tell(() -> onPreviousLifeLost(users));
    }

    @Override
    public void connected() {
        LOG.info("libvirt events arrive: {}", hypervisor.state().detail());
        tell(() -> listWanted = true);
    }

    @Override
    public void disconnected(String why) {
        LOG.warn("libvirt events do not arrive: {}", why);
    }

    @Override
    public void lifecycle(DomainEvent event) {
        switch (event.kind()) {
            case STOPPED, CRASHED -> hint(() -> hintEnd(event.uuid()));
            case STARTED, RESUMED ->
                hint(() -> {
                    if (!runs.containsKey(event.uuid())) {
                        listWanted = true; // somebody runs whom we do not know
                    }
                });
            default -> {}
        }
    }

    // ---- status

    /** A moment ago. Any thread. */
    public GuardView view() {
        return view;
    }

    private void publish() {
        view = new GuardView(runs.values().stream().map(this::view).toList(), granted, refused);
    }

    private DomainView view(Run run) {
        String state = run.doomed ? "stopping" : run.phase == Phase.RUNNING ? "running" : "starting";
        List<DomainView.LeaseView> leases = run.wanted.entrySet().stream()
                .map(entry -> new DomainView.LeaseView(
                        entry.getValue().target(),
                        entry.getValue().identity(),
                        entry.getKey().value(),
                        run.holds(entry.getKey()),
                        entry.getValue().note().sinceEpochSeconds()))
                .toList();
        Optional<Integer> pid = Optional.ofNullable(run.process).map(GuardedProcess::pid);
        return new DomainView(run.name, run.uuid.toString(), state, pid, leases, run.problems);
    }

    private static String labels(Run run) {
        return run.wanted.values().stream().map(w -> w.note().disk()).collect(Collectors.joining(", "));
    }

    /** Answers every start and ends the guard's thread. Domains run on; their leases are the engine's to keep. */
    @Override
    public void close() {
        closing = true;
        tell(() -> {}); // wakes it up
        if (!thread.isAlive()) {
            shutDown();
            return;
        }
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The last thing on the guard's thread. Also leaves no lease behind that was taken for a start. */
    private void shutDown() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            try {
                message.run();
            } catch (RuntimeException e) {
                LOG.error("internal error in the guard while it stops", e);
            }
        }
        waiting.forEach(start -> refuse(
                start,
                new StartAnswer.CannotTell(Sentences.stopping(start.spec().name()))));
        waiting.clear();
        List.copyOf(runs.values()).stream()
                .filter(run -> run.phase == Phase.ACQUIRING)
                .forEach(run -> abandon(run, new StartAnswer.CannotTell(Sentences.stopping(run.name))));
    }
}
