/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** Answers starts: considers each until something can be said, and says yes only when every lease is held. */
final class Starts {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** Room for the way back to the hook, or a quarter of the limit if that is less. */
    private static final long ANSWER_MARGIN_NANOS = Duration.ofSeconds(1).toNanos();

    private record Start(
            DomainSpec spec,
            UUID uuid,
            Derivation derivation,
            CompletableFuture<StartAnswer> answer,
            long askedNanos,
            long byNanos) {}

    private final GuardState state;
    private final LeaseClaims claims;
    private final Endings endings;
    private final CarriedOver carriedOver;
    private final UnprotectedRuns unprotected;
    private final Arming arming;
    private final Migrations migrations;
    private final List<Start> waiting = new ArrayList<>();
    private long granted;
    private long refused;

    Starts(
            GuardState state,
            LeaseClaims claims,
            Endings endings,
            CarriedOver carriedOver,
            UnprotectedRuns unprotected,
            Arming arming,
            Migrations migrations) {
        this.state = state;
        this.claims = claims;
        this.endings = endings;
        this.carriedOver = carriedOver;
        this.unprotected = unprotected;
        this.arming = arming;
        this.migrations = migrations;
    }

    /** See {@link DomainGuard#prepare}. Any thread. */
    CompletableFuture<StartAnswer> prepare(DomainSpec spec, UUID uuid, Derivation derivation) {
        CompletableFuture<StartAnswer> answer = new CompletableFuture<>();
        long limitNanos = state.settings.answerLimit().toNanos();
        long askedNanos = state.clock.bootNanos();
        long byNanos = askedNanos + limitNanos - Math.min(ANSWER_MARGIN_NANOS, limitNanos / 4);
        Start start = new Start(spec, uuid, derivation, answer, askedNanos, byNanos);
        if (state.loop.closing() || !state.loop.offer(() -> onStart(start))) {
            String text = state.loop.closing() ? Sentences.stopping(spec.name()) : Sentences.overload(spec.name());
            answer.complete(new StartAnswer.CannotTell(text));
        }
        return answer;
    }

    private void onStart(Start start) {
        String name = start.spec().name();
        if (state.loop.closing() || state.shut) {
            refuse(start, new StartAnswer.CannotTell(Sentences.stopping(name)));
            return;
        }
        try {
            if (!considered(start)) {
                waiting.add(start);
            }
        } catch (RuntimeException e) {
            LOG.error("VG-905 internal error in a start of {}", name, e);
            StartAnswer no = new StartAnswer.CannotTell(Sentences.internalError(name));
            Run run = state.runs.get(start.uuid());
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
            if (!state.settings.observe()) {
                return refuse(start, new StartAnswer.Refused(text));
            }
            warnings.add(text);
        }
        if (derivation.leases().isEmpty()) {
            grant(start.answer(), name, warnings);
            return true;
        }
        if (state.joined) {
            carriedOver.claim(); // an earlier agent's leases are nobody's to start with
        }
        Run before = state.runs.get(start.uuid());
        if (before != null && !endings.endedBefore(before)) {
            boolean late = state.clock.bootNanos() >= start.byNanos();
            if (before.phase == Phase.ACQUIRING) {
                return refuse(start, new StartAnswer.CannotTell(Sentences.busy(name)));
            }
            if (!late) {
                // libvirt begins no start of a domain that runs or starts, so this is its word that the earlier
                // run is over. (Its list would not come: it waits for this very hook.) Whether a QEMU was left
                // is for the lookup to say.
                before.inactiveSinceNanos = Math.max(before.inactiveSinceNanos, start.askedNanos());
                if (!before.granted) {
                    // Met while this start waits, on libvirt's list or among the leases of an earlier agent:
                    // what the list shows is this very start, and an earlier agent's grant is older.
                    before.mayRunSinceNanos = Math.min(before.mayRunSinceNanos, start.askedNanos() - 1);
                }
                endings.hintEnd(before);
                return false;
            }
            GuardedProcess process = before.process;
            return refuse(
                    start,
                    process != null
                            ? new StartAnswer.Refused(Sentences.previousAlive(name, process.pid()))
                            : new StartAnswer.CannotTell(Sentences.previousUnknown(name)));
        }
        if (!state.member()) {
            String text = Sentences.notReady(name, state.lockspace.view().detail());
            if (state.settings.observe()) {
                warnings.add(text);
                grant(start.answer(), name, warnings);
                return true;
            }
            return state.clock.bootNanos() >= start.byNanos() && refuse(start, new StartAnswer.CannotTell(text));
        }
        if (isContested(start) && state.clock.bootNanos() < start.byNanos()) {
            return false;
        }
        begin(start, warnings);
        return true;
    }

    /**
     * Whether it is being decided if somebody else here gets what this start needs: another start, a disk that is asked about. That one may
     * be refused for the sake of another disk, and a lease that is only held until then must not be what this start is refused for. Nobody
     * waits for one that waits, and who is being decided has a limit that is over before this one's.
     */
    private boolean isContested(Start start) {
        return start.derivation().leases().stream()
                .anyMatch(lease -> state.isBeingDecided(new LeaseName(lease.resource()), Run.modeOf(lease)));
    }

    private void begin(Start start, List<String> warnings) {
        Run run = new Run(start.uuid(), start.spec().name(), Phase.ACQUIRING);
        run.answer = start.answer();
        run.answerByNanos = start.byNanos();
        run.warnings = warnings;
        run.onLockFailure = start.spec().onLockFailure();
        run.following.begin(start.spec());
        start.derivation().leases().forEach(lease -> run.want(lease, state.note(run, lease)));
        state.runs.put(run.uuid, run);
        run.watchdog = arming.arm();
        migrations.begins(run);
        claims.acquireMissing(run);
    }

    /** Everything that was asked for is answered. */
    void decide(Run run) {
        CompletableFuture<StartAnswer> answer = Objects.requireNonNull(run.answer);
        boolean member = state.member();
        CompletableFuture<Watchdog.Answer> watchdog = run.watchdog;
        if (member && run.refused.isEmpty() && !watchdog.isDone()) {
            watchdog.whenComplete((word, bug) -> state.loop.tell(() -> decideAgain(run)));
            return;
        }
        boolean unwatched = watchdog.getNow(null) instanceof Watchdog.Answer.Refused;
        boolean unguarded = migrations.isUnguarded(run);
        if (run.refused.isEmpty() && member && !unwatched && !unguarded) {
            launchable(run, answer);
            return;
        }
        if (!run.refused.isEmpty() && member && migrations.prepare(run)) {
            return;
        }
        StartAnswer no = member
                ? !run.refused.isEmpty()
                        ? claims.refusal(run)
                        : unwatched ? unwatched(run) : new StartAnswer.Refused(Sentences.fromUnguarded(run.name))
                : new StartAnswer.CannotTell(
                        Sentences.notReady(run.name, state.lockspace.view().detail()));
        if (state.settings.observe()) {
            run.warnings.add(no.message());
            run.conflicts = List.of(Sentences.runsAllTheSame(no.message()));
            unprotected.report(run);
            launchable(run, answer);
            return;
        }
        abandon(run, no);
    }

    /** More is known of a start whose leases were answered before. */
    void decideAgain(Run run) {
        if (run.phase == Phase.ACQUIRING && !state.isOver(run)) {
            decide(run);
        }
    }

    private static StartAnswer unwatched(Run run) {
        String why = run.watchdog.getNow(null) instanceof Watchdog.Answer.Refused refused ? refused.why() : "";
        return new StartAnswer.CannotTell(Sentences.noWatchdog(run.name, why));
    }

    /** From here on a QEMU of this run may exist. */
    private void launchable(Run run, CompletableFuture<StartAnswer> answer) {
        run.on(RunLife.Event.GRANT);
        run.granted = true;
        run.mayRunSinceNanos = state.clock.bootNanos();
        run.nextLookupNanos = run.mayRunSinceNanos + Endings.LOOKUP_EARLY_NANOS;
        run.answer = null;
        if (grant(answer, run.name, run.warnings)) {
            LOG.info(
                    "VG-202 {} may start: {} {}",
                    run,
                    run.incoming == null ? "holds" : "holds or will be given",
                    run.labels());
            unprotected.judgeWish(run);
        } else {
            endings.end(run); // the hook has gone away: libvirt takes that as a no
        }
    }

    /** A start that is not granted: whatever it got goes back at once, for no QEMU can have come of it. */
    void abandon(Run run, StartAnswer no) {
        claims.giveUp(run);
        run.on(RunLife.Event.REFUSE);
        state.runs.remove(run.uuid, run);
        migrations.ended(run);
        claims.releaseAll(run);
        CompletableFuture<StartAnswer> answer = run.answer;
        if (answer != null) {
            refuse(answer, run.name, no);
        }
    }

    private boolean refuse(Start start, StartAnswer no) {
        return refuse(start.answer(), start.spec().name(), no);
    }

    private boolean refuse(CompletableFuture<StartAnswer> answer, String name, StartAnswer no) {
        if (state.settings.observe()) {
            grant(answer, name, List.of(no.message()));
            return true;
        }
        refused++;
        LOG.warn("VG-203 refused: {}", no.message());
        answer.complete(no);
        return true;
    }

    private boolean grant(CompletableFuture<StartAnswer> answer, String name, List<String> warnings) {
        String text = String.join(" / ", warnings);
        if (!warnings.isEmpty()) {
            refused++;
            LOG.warn("VG-204 mode observe, {} is let through; would have been refused: {}", name, text);
        }
        boolean taken = answer.complete(new StartAnswer.Granted(text));
        if (taken) {
            granted++;
        }
        return taken;
    }

    /** A start whose leases do not come in time gets what is known by then. */
    void abandonWhenLate(Run run, long nowNanos) {
        if (run.phase == Phase.ACQUIRING && nowNanos >= run.answerByNanos) {
            boolean watchdogOnly = run.pending.isEmpty() && run.refused.isEmpty() && !run.watchdog.isDone();
            abandon(
                    run,
                    watchdogOnly
                            ? new StartAnswer.CannotTell(Sentences.noWatchdog(run.name, "it does not answer"))
                            : claims.late(run));
        }
    }

    /** Whether no start waits to be considered again. */
    boolean idle() {
        return waiting.isEmpty();
    }

    /** Considers again what could not be answered yet. */
    void reconsider() {
        List<Start> again = List.copyOf(waiting);
        waiting.clear();
        again.stream().filter(start -> !start.answer().isDone()).forEach(this::onStart);
    }

    /** The guard or the agent ends: nobody is left without an answer, and no lease that was taken for a start is left behind. */
    void refuseAll() {
        waiting.forEach(start -> refuse(
                start,
                new StartAnswer.CannotTell(Sentences.stopping(start.spec().name()))));
        waiting.clear();
        List.copyOf(state.runs.values()).stream()
                .filter(run -> run.phase == Phase.ACQUIRING)
                .forEach(run -> abandon(run, new StartAnswer.CannotTell(Sentences.stopping(run.name))));
    }

    long granted() {
        return granted;
    }

    /** In mode observe: that would have been. */
    long refused() {
        return refused;
    }
}
