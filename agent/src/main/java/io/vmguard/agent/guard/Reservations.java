/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Answers who asks before a disk is plugged into a running domain, for libvirt asks nobody.
 *
 * <p>The leases are taken for the domain as if the disk were there. They are given back at once if somebody only asks; else they are kept
 * for a time in which the disk has to show up, and go then as those of an unplugged disk go: not while QEMU has the image open.
 */
final class Reservations {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    static final Duration ANSWER_LIMIT = Duration.ofSeconds(10);
    /** Each has its futures in the engine. */
    private static final int MAX_WAITING = 100;

    /** A question that has no answer yet. */
    private static final class Question {
        final Run run;
        final Derivation derivation;
        final LiveDisks disks;
        final Duration hold;
        final CompletableFuture<StartAnswer> answer;
        final long byNanos;
        /** Asked of the engine for this question. */
        final Set<LeaseName> fresh = new LinkedHashSet<>();

        boolean asked;

        Question(
                Run run,
                Derivation derivation,
                LiveDisks disks,
                Duration hold,
                CompletableFuture<StartAnswer> answer,
                long byNanos) {
            this.run = run;
            this.derivation = derivation;
            this.disks = disks;
            this.hold = hold;
            this.answer = answer;
            this.byNanos = byNanos;
        }
    }

    private final GuardState state;
    private final LeaseClaims claims;
    private final LeaseFollower follower;
    private final List<Question> waiting = new ArrayList<>();

    Reservations(GuardState state, LeaseClaims claims, LeaseFollower follower) {
        this.state = state;
        this.claims = claims;
        this.follower = follower;
    }

    /** See {@link DomainGuard#reserve}. */
    void ask(
            String domain,
            Derivation derivation,
            LiveDisks disks,
            Duration hold,
            CompletableFuture<StartAnswer> answer) {
        Run run = find(domain);
        String who = OneLine.of(domain);
        if (run == null || run.phase == Phase.ACQUIRING) {
            answer.complete(cannotTell(who + " does not run here, as far as the lease agent knows"));
        } else if (run.doomed || run.halted) {
            answer.complete(cannotTell(who + " is being stopped, or waits for its leases"));
        } else if (!derivation.refusals().isEmpty()) {
            String target = derivation.refusals().get(0).target();
            String reason = derivation.refusals().get(0).reason();
            answer.complete(new StartAnswer.Refused(
                    "vmguard: " + OneLine.of(target) + " cannot be protected: " + OneLine.of(reason)));
        } else if (derivation.leases().isEmpty()) {
            answer.complete(new StartAnswer.Granted("it needs no lease"));
        } else if (waiting.size() >= MAX_WAITING) {
            answer.complete(cannotTell("the lease agent has too much to do"));
        } else {
            waiting.add(new Question(
                    run, derivation, disks, hold, answer, state.clock.bootNanos() + ANSWER_LIMIT.toNanos()));
            look(state.clock.bootNanos());
        }
    }

    private @Nullable Run find(String domain) {
        return state.runs.values().stream()
                .filter(run -> run.name.equals(domain) || run.uuid.toString().equals(domain.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElse(null);
    }

    /** Whether nobody waits for an answer. */
    boolean idle() {
        return waiting.isEmpty();
    }

    /** Asks for what could not be asked for before, and ends what takes too long. */
    void look(long nowNanos) {
        for (Question question : List.copyOf(waiting)) {
            Run run = question.run;
            if (state.isOver(run) || run.doomed || run.halted) {
                close(question, cannotTell(run + " ends"), false);
            } else if (question.answer.isDone()) {
                close(question, cannotTell("nobody waits for it any more"), false);
            } else if (nowNanos >= question.byNanos) {
                close(question, cannotTell("the lease directory does not answer"), false);
            } else if (!question.asked && run.pending.isEmpty() && state.member() && !isContested(question)) {
                begin(question);
            }
        }
    }

    /** Whether a start is being decided that may only hold these leases until then; see {@link Starts}. */
    private boolean isContested(Question question) {
        return question.derivation.leases().stream()
                .anyMatch(lease -> state.isBeingDecided(new LeaseName(lease.resource()), Run.modeOf(lease)));
    }

    private void begin(Question question) {
        Run run = question.run;
        for (DiskLease lease : question.derivation.leases()) {
            Run.Wanted wanted = run.wanted.get(new LeaseName(lease.resource()));
            boolean shared =
                    wanted != null && wanted.mode() == LeaseMode.SHARED && Run.modeOf(lease) == LeaseMode.SHARED;
            if (wanted != null && !shared) {
                String text = OneLine.of(lease.label()) + " is in use by " + OneLine.of(run.name) + " itself";
                close(question, new StartAnswer.Refused("vmguard: " + text), false);
                return;
            }
        }
        question.asked = true;
        follower.expect(run, question.derivation.leases(), question.disks, question.fresh);
        follower.acquire(run);
        if (run.pending.isEmpty()) {
            decided(run);
        }
    }

    /** Everything that this run has asked for is answered. To be called before anything is made of refusals. */
    void decided(Run run) {
        for (Question question : List.copyOf(waiting)) {
            if (question.run != run || !question.asked) {
                continue;
            }
            AcquireResult no = question.fresh.stream()
                    .map(run.refused::get)
                    .filter(result -> result != null)
                    .reduce((one, other) -> one instanceof AcquireResult.HeldBy ? one : other)
                    .orElse(null);
            if (no == null) {
                close(question, new StartAnswer.Granted(""), !question.hold.isZero());
                continue;
            }
            LeaseName resource = question.fresh.stream()
                    .filter(name -> run.refused.get(name) == no)
                    .findFirst()
                    .orElseThrow();
            Run.Wanted wanted = run.wanted.get(resource);
            String text = claims.sentence(
                            wanted == null ? run.name : wanted.note().disk(), no)
                    .replace(" Not started. See: vmguard status", "");
            close(
                    question,
                    no instanceof AcquireResult.HeldBy
                            ? new StartAnswer.Refused(text)
                            : new StartAnswer.CannotTell(text),
                    false);
        }
    }

    /** @param keep the leases are held for the time that was asked for */
    private void close(Question question, StartAnswer answer, boolean keep) {
        waiting.remove(question);
        Run run = question.run;
        boolean taken = question.answer.complete(answer);
        if (keep && taken) {
            LOG.info("VG-440 {} may come to use {} within {} s", run, labels(question), question.hold.toSeconds());
            follower.reserve(run, question.fresh, state.clock.bootNanos() + question.hold.toNanos());
        } else {
            follower.expectNoMore(run, question.fresh);
        }
    }

    private static String labels(Question question) {
        return question.derivation.leases().get(0).label();
    }

    private static StartAnswer cannotTell(String why) {
        return new StartAnswer.CannotTell("vmguard: " + why);
    }
}
