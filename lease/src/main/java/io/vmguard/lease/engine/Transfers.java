/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.paxos.HeldRecord;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosHandOver;
import io.vmguard.lease.paxos.PaxosReceive;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Exclusive leases on their way from one host to another, seen from either side. */
final class Transfers {
    /** The receiver's guest stands still while it waits, so it asks often; each time reads one sector. */
    private static final Duration ASK_AGAIN = Duration.ofMillis(20);

    private final Membership membership;
    private final Resources table;
    private final Operations io;
    private final LeaseClock clock;
    private final Executor threads;
    private final ScheduledExecutorService timer;

    Transfers(
            Membership membership,
            Resources table,
            Operations io,
            LeaseClock clock,
            Executor threads,
            ScheduledExecutorService timer) {
        this.membership = membership;
        this.table = table;
        this.io = io;
        this.clock = clock;
        this.threads = threads;
        this.timer = timer;
    }

    // ---- giver

    CompletableFuture<HandOverResult> handOver(LeaseName resource, Owner receiver) {
        Optional<Hold> giving = table.withHold(resource, hold -> {
            if (hold == null || hold.state != State.HELD || hold.mode != LeaseMode.EXCLUSIVE) {
                return Optional.empty();
            }
            hold.state = State.GIVING;
            hold.partner(receiver);
            return Optional.of(hold);
        });
        if (giving.isEmpty()) {
            return CompletableFuture.completedFuture(
                    new HandOverResult.NotOurs(LeaseFault.NOT_OWNER, "this host does not hold it exclusively"));
        }
        CompletableFuture<HandOverResult> answer = new CompletableFuture<>();
        Hold hold = giving.get();
        hold.operations.execute(() -> runHandOver(hold, answer, 0));
        return answer;
    }

    private void runHandOver(Hold hold, CompletableFuture<HandOverResult> answer, int tries) {
        boolean begun = tries > 0;
        // With less than half its time left it might be dead for others before the last write is done.
        boolean late =
                membership.ageNanos() > membership.timeouts.renewalWarning().toNanos();
        PaxosHandOver.Result result = late && !begun
                ? new PaxosHandOver.Result.Kept(LeaseFault.TIMED_OUT, "the renewals of this host are late")
                : io.run(
                        hold.resource,
                        context -> handOver(context, hold, begun),
                        (fault, why) -> begun
                                ? new PaxosHandOver.Result.Unknown(fault, why)
                                : new PaxosHandOver.Result.Kept(fault, why));
        if (result instanceof PaxosHandOver.Result.Given given) {
            table.withHold(hold.resource, same -> hold.state = State.GIVEN);
            answer.complete(
                    new HandOverResult.Given(hold.partner(), given.leader().lver()));
            watch(hold);
        } else if (result instanceof PaxosHandOver.Result.Kept kept) {
            hold.recordStale = true; // a ballot may have been run
            table.settled(hold);
            answer.complete(new HandOverResult.Kept(kept.fault(), kept.why()));
        } else if (result instanceof PaxosHandOver.Result.NotOurs notOurs) {
            if (begun) {
                // Given, and perhaps back already: then the leader names us, and we have to let it go.
                table.undetermined(hold);
            } else {
                table.withHold(hold.resource, same -> hold.state = State.RELEASING);
                table.forget(hold);
            }
            answer.complete(new HandOverResult.NotOurs(notOurs.fault(), notOurs.why()));
        } else {
            PaxosHandOver.Result.Unknown unknown = (PaxosHandOver.Result.Unknown) result;
            table.withHold(hold.resource, same -> hold.state = State.UNDETERMINED);
            answer.complete(new HandOverResult.CannotTell(unknown.fault(), unknown.why()));
            table.retry(hold, tries, () -> runHandOver(hold, answer, tries + 1));
        }
    }

    private static Step<PaxosHandOver.Result> handOver(ResourceContext context, Hold hold, boolean begun) {
        if (!hold.recordStale) {
            return new PaxosHandOver(context, hold.record(), hold.partner(), begun).start();
        }
        return new PaxosAdopt(context).start().andThen(found -> {
            if (!(found instanceof PaxosAdopt.Result.Held held) || held.held().mode() != LeaseMode.EXCLUSIVE) {
                return Step.end(new PaxosHandOver.Result.Kept(LeaseFault.IO, "the lease could not be looked at"));
            }
            HeldRecord fresh = held.held();
            hold.record(fresh);
            return new PaxosHandOver(context, fresh, hold.partner(), begun).start();
        });
    }

    /** Until the receiver has confirmed, or the lease has gone on without that. */
    private void watch(Hold hold) {
        table.later(hold, membership.timeouts.ioTimeout(), () -> {
            if (!isGiven(hold)) {
                return;
            }
            PaxosHandOver.Progress progress = io.run(
                    hold.resource,
                    context -> PaxosHandOver.progress(context, hold.partner()),
                    (fault, why) -> PaxosHandOver.Progress.UNKNOWN);
            boolean gone = progress == PaxosHandOver.Progress.CONFIRMED || progress == PaxosHandOver.Progress.ELSEWHERE;
            if (gone) {
                table.withHold(hold.resource, same -> hold.state = State.RELEASING);
                table.forget(hold);
            } else {
                watch(hold);
            }
        });
    }

    /** A predecessor has given it, and it may come back. */
    void givenBefore(Hold hold, Owner receiver) {
        table.given(hold, receiver);
        watch(hold);
    }

    private boolean isGiven(Hold hold) {
        return table.withHold(hold.resource, same -> same == hold && hold.state == State.GIVEN);
    }

    CompletableFuture<AcquireResult> takeBack(LeaseName resource) {
        Optional<Hold> given = table.withHold(
                resource, hold -> hold != null && hold.state == State.GIVEN ? Optional.of(hold) : Optional.empty());
        if (given.isEmpty()) {
            return CompletableFuture.completedFuture(
                    new AcquireResult.CannotTell(LeaseFault.NOT_OWNER, "it is not under way to another host", false));
        }
        CompletableFuture<AcquireResult> answer = new CompletableFuture<>();
        Hold hold = given.get();
        table.execute(hold, answer, () -> runTakeBack(hold, answer));
        return answer;
    }

    /** An ordinary acquire: the receiver's life, its flag and what it gave back are what that goes by. */
    private void runTakeBack(Hold hold, CompletableFuture<AcquireResult> answer) {
        if (!isGiven(hold)) {
            answer.complete(new AcquireResult.CannotTell(LeaseFault.NOT_OWNER, "the receiver has confirmed", false));
            return;
        }
        PaxosAcquire.Result result = table.acquireOnDisk(hold, Want.EXCLUSIVE);
        if (result instanceof PaxosAcquire.Result.Acquired acquired) {
            table.withHold(hold.resource, same -> {
                hold.record(acquired.held());
                return hold.state = State.HELD;
            });
            answer.complete(new AcquireResult.Acquired(table.lease(hold)));
            table.writeNote(hold);
        } else if (result instanceof PaxosAcquire.Result.Held held) {
            answer.complete(table.heldBy(held));
        } else {
            PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
            if (failed.mayHaveWon()) {
                table.undetermined(hold);
            }
            answer.complete(table.cannotTell(hold, failed));
        }
    }

    // ---- receiver

    CompletableFuture<ReceiveResult> prepare(LeaseName resource, LeaseNote user, Owner giver) {
        Hold hold = new Hold(resource, LeaseMode.EXCLUSIVE, user, State.RECEIVING, threads);
        hold.partner(giver);
        Optional<ReceiveResult> refused = table.withHold(resource, existing -> {
            if (existing != null) {
                return existing.state == State.RECEIVING && existing.partner().equals(giver)
                        ? Optional.of(new ReceiveResult.Prepared())
                        : Optional.of(new ReceiveResult.NotOurs(
                                LeaseFault.NOT_OWNER, "this host holds it, or is about to, for " + existing.users));
            }
            return table.enter(hold)
                    .map(no -> (AcquireResult.CannotTell) no)
                    .map(no -> new ReceiveResult.CannotTell(no.fault(), no.why()));
        });
        if (refused.isPresent()) {
            return CompletableFuture.completedFuture(refused.get());
        }
        CompletableFuture<ReceiveResult> answer = new CompletableFuture<>();
        hold.operations.execute(() -> {
            PaxosReceive.Result result = receive(hold, PaxosReceive::prepare);
            if (result instanceof PaxosReceive.Result.Failed) {
                // Our block may have lost its flag: whoever carries on what the giver proposed would make us an owner
                // that does not know.
                table.withHold(resource, same -> hold.state = State.RELEASING);
                table.forget(hold);
            } else if (!(result instanceof PaxosReceive.Result.Prepared)) {
                table.drop(hold);
            }
            answer.complete(toCaller(hold, result));
        });
        return answer;
    }

    CompletableFuture<ReceiveResult> confirm(LeaseName resource, Duration patience) {
        Optional<Hold> receiving = receiving(resource);
        if (receiving.isEmpty()) {
            return CompletableFuture.completedFuture(notPrepared());
        }
        CompletableFuture<ReceiveResult> answer = new CompletableFuture<>();
        Hold hold = receiving.get();
        long untilNanos = clock.bootNanos() + patience.toNanos();
        hold.operations.execute(() -> runConfirm(hold, answer, untilNanos));
        return answer;
    }

    private void runConfirm(Hold hold, CompletableFuture<ReceiveResult> answer, long untilNanos) {
        if (answer.isDone() || receiving(hold.resource).isEmpty()) {
            answer.complete(notPrepared());
            return;
        }
        PaxosReceive.Result result = receive(hold, PaxosReceive::confirm);
        if (result instanceof PaxosReceive.Result.NotYet && clock.bootNanos() < untilNanos && membership.inTime()) {
            timer.schedule(
                    () -> hold.operations.execute(() -> runConfirm(hold, answer, untilNanos)),
                    ASK_AGAIN.toMillis(),
                    TimeUnit.MILLISECONDS);
            return;
        }
        if (result instanceof PaxosReceive.Result.Confirmed confirmed) {
            table.withHold(hold.resource, same -> {
                hold.record(confirmed.held());
                return hold.state = State.HELD;
            });
            table.settled(hold); // the local record says so, too
            if (!membership.inTime()) {
                // It stays in the table: a domain that came on its own would be its user.
                answer.complete(
                        new ReceiveResult.CannotTell(LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile"));
            } else if (answer.complete(new ReceiveResult.Confirmed(table.lease(hold)))) {
                table.writeNote(hold);
            } else {
                table.release(hold.resource, null); // the caller has given up: nobody will use it
            }
            return;
        }
        if (result instanceof PaxosReceive.Result.NotOurs) {
            table.withHold(hold.resource, same -> hold.state = State.RELEASING);
            table.forget(hold);
        }
        answer.complete(toCaller(hold, result));
    }

    /** Releasing what was only prepared for, or given and not confirmed. */
    CompletableFuture<ReleaseResult> decline(LeaseName resource) {
        return receiving(resource).isEmpty()
                ? CompletableFuture.completedFuture(
                        new ReleaseResult.NotOurs(LeaseFault.NOT_OWNER, "it is not under way to this host"))
                : table.release(resource, null);
    }

    private Optional<Hold> receiving(LeaseName resource) {
        return table.withHold(
                resource, hold -> hold != null && hold.state == State.RECEIVING ? Optional.of(hold) : Optional.empty());
    }

    private interface Receiving {
        Step<PaxosReceive.Result> step(PaxosReceive machine);
    }

    private PaxosReceive.Result receive(Hold hold, Receiving step) {
        return io.run(
                hold.resource,
                context -> step.step(new PaxosReceive(context, hold.partner())),
                PaxosReceive.Result.Failed::new);
    }

    private static ReceiveResult notPrepared() {
        return new ReceiveResult.NotOurs(LeaseFault.NOT_OWNER, "this host has not prepared to receive it");
    }

    private ReceiveResult toCaller(Hold hold, PaxosReceive.Result result) {
        if (result instanceof PaxosReceive.Result.Prepared) {
            return new ReceiveResult.Prepared();
        }
        if (result instanceof PaxosReceive.Result.NotYet) {
            return new ReceiveResult.NotYet();
        }
        if (result instanceof PaxosReceive.Result.NotOurs no) {
            return new ReceiveResult.NotOurs(no.fault(), no.why());
        }
        PaxosReceive.Result.Failed failed = (PaxosReceive.Result.Failed) result;
        return new ReceiveResult.CannotTell(failed.fault(), io.withFile(hold.resource, failed.fault(), failed.why()));
    }
}
