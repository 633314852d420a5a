/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosHandOver;
import io.vmguard.lease.paxos.PaxosReceive;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import java.util.List;

/**
 * Leases that go from host to host: what {@link Transfers} does around the machines, and the messages between the two hosts, which may
 * be lost.
 */
final class SimTransfers {
    private static final long ASK_AGAIN_NANOS = Simulation.millis(200);

    private final SimLeases table;
    private final Simulation sim;
    private final SimHost host;
    private final Membership membership;

    SimTransfers(SimLeases table) {
        this.table = table;
        this.sim = table.sim;
        this.host = table.host;
        this.membership = table.membership;
    }

    // ---- giver

    /** Asks another host to receive it. */
    void offer(Hold hold) {
        List<SimHost> others = sim.hosts.stream()
                .filter(other -> other != host && other.member().isPresent())
                .toList();
        if (others.isEmpty()) {
            return;
        }
        SimHost receiver = others.get(sim.random.nextInt(others.size()));
        message(() -> receiver.member()
                .flatMap(SimAgent::leases)
                .ifPresent(theirs -> theirs.transfers().prepare(hold.resource, this)));
    }

    private void message(Runnable arrival) {
        if (sim.random.nextInt(20) > 0) {
            sim.after(sim.soon(sim.ioTimeoutNanos), arrival);
        }
    }

    private void prepared(LeaseName resource, SimTransfers receiver) {
        table.agent.process.resume(() -> table.hold(resource)
                .filter(hold -> hold.state == State.HELD && hold.mode == LeaseMode.EXCLUSIVE && membership.inTime())
                .ifPresent(hold -> {
                    hold.state = State.GIVING;
                    hold.partner(receiver.membership.owner);
                    if (sim.planted != Planted.GIVER_GOES_ON) {
                        host.stopUse(resource);
                    }
                    if (receiver.isReceiving(resource, membership.owner)) {
                        sim.ledger.handOverBegins(
                                resource, host, membership.owner, receiver.host, receiver.membership.owner);
                    }
                    runHandOver(hold, 0);
                }));
    }

    private boolean isReceiving(LeaseName resource, Owner giver) {
        return table.agent.process.alive()
                && membership.inTime()
                && table.hold(resource)
                        .filter(hold ->
                                hold.state == State.RECEIVING && hold.partner().equals(giver))
                        .isPresent();
    }

    private void runHandOver(Hold hold, int tries) {
        boolean begun = tries > 0;
        boolean late =
                membership.ageNanos() > membership.timeouts.renewalWarning().toNanos();
        if (late && !begun) {
            kept(hold);
            return;
        }
        table.operate(hold, context -> handOver(context, hold, begun), result -> {
            if (result instanceof PaxosHandOver.Result.Given) {
                hold.state = State.GIVEN;
                sim.counts.handOvers++;
                watch(hold);
            } else if (result instanceof PaxosHandOver.Result.Kept) {
                hold.recordStale = true;
                kept(hold);
            } else if (result instanceof PaxosHandOver.Result.NotOurs) {
                sim.ledger.handOverEnds(hold.resource);
                if (begun) {
                    table.undetermined(hold);
                } else {
                    table.forget(hold);
                }
            } else {
                hold.state = State.UNDETERMINED;
                table.retry(hold, tries, () -> runHandOver(hold, tries + 1));
            }
        });
    }

    private void kept(Hold hold) {
        sim.ledger.handOverEnds(hold.resource);
        table.settled(hold);
    }

    private static Step<PaxosHandOver.Result> handOver(ResourceContext context, Hold hold, boolean begun) {
        if (!hold.recordStale) {
            return new PaxosHandOver(context, hold.record(), hold.partner(), begun).start();
        }
        return new PaxosAdopt(context).start().andThen(found -> {
            if (!(found instanceof PaxosAdopt.Result.Held held) || held.held().mode() != LeaseMode.EXCLUSIVE) {
                return Step.end(new PaxosHandOver.Result.Kept(LeaseFault.IO, "the lease could not be looked at"));
            }
            hold.record(held.held());
            return new PaxosHandOver(context, held.held(), hold.partner(), begun).start();
        });
    }

    void givenBefore(Hold hold, Owner receiver) {
        hold.partner(receiver);
        hold.state = State.GIVEN;
        sim.counts.givenBefore++;
        watch(hold);
    }

    private void watch(Hold hold) {
        table.later(hold, membership.timeouts.ioTimeout().toNanos(), () -> {
            if (!isGiven(hold)) {
                return;
            }
            table.operate(hold, context -> PaxosHandOver.progress(context, hold.partner()), progress -> {
                boolean gone =
                        progress == PaxosHandOver.Progress.CONFIRMED || progress == PaxosHandOver.Progress.ELSEWHERE;
                if (!isGiven(hold)) {
                    return;
                }
                if (gone) {
                    hold.state = State.RELEASING;
                    table.forget(hold);
                } else if (sim.calm && progress == PaxosHandOver.Progress.RETURNED) {
                    takeBack(hold);
                } else {
                    watch(hold);
                }
            });
        });
    }

    private boolean isGiven(Hold hold) {
        return hold.state == State.GIVEN
                && table.hold(hold.resource).filter(h -> h == hold).isPresent();
    }

    void takeBack(Hold hold) {
        hold.state = State.UNDETERMINED; // one operation at a time, and nobody uses it
        sim.ledger.handOverEnds(hold.resource);
        table.acquireOnDisk(hold, Want.EXCLUSIVE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                hold.state = State.HELD;
                sim.counts.takeBacks++;
                if (membership.inTime() && !sim.calm) {
                    table.beginUse(hold);
                }
            } else if (result instanceof PaxosAcquire.Result.Failed failed && failed.mayHaveWon()) {
                table.undetermined(hold);
            } else {
                hold.state = State.GIVEN;
                watch(hold);
            }
        });
    }

    // ---- receiver

    private void prepare(LeaseName resource, SimTransfers giver) {
        table.agent.process.resume(() -> {
            if (table.hold(resource).isPresent() || !membership.inTime()) {
                return;
            }
            Owner from = giver.membership.owner;
            Hold hold = new Hold(resource, LeaseMode.EXCLUSIVE, SimLeases.USER, State.RECEIVING, Runnable::run);
            hold.partner(from);
            table.enter(hold);
            table.operate(hold, context -> new PaxosReceive(context, from).prepare(), result -> {
                if (result instanceof PaxosReceive.Result.Failed) {
                    hold.state = State.RELEASING;
                    sim.ledger.handOverEnds(resource);
                    table.forget(hold);
                    return;
                }
                if (!(result instanceof PaxosReceive.Result.Prepared)) {
                    table.drop(hold);
                    return;
                }
                if (sim.planted == Planted.RECEIVER_BEGINS_EARLY) {
                    host.use(resource, LeaseMode.EXCLUSIVE, membership.owner);
                }
                message(() -> giver.prepared(resource, this));
                long patienceNanos = Simulation.millis(sim.random.nextInt(100, 20_000));
                confirm(hold, host.clock.bootNanos() + patienceNanos);
            });
        });
    }

    private void confirm(Hold hold, long untilNanos) {
        table.operate(hold, context -> new PaxosReceive(context, hold.partner()).confirm(), result -> {
            if (result instanceof PaxosReceive.Result.Confirmed confirmed) {
                hold.record(confirmed.held());
                hold.state = State.HELD;
                sim.ledger.handOverEnds(hold.resource);
                if (membership.inTime()) {
                    table.beginUse(hold);
                }
            } else if (result instanceof PaxosReceive.Result.NotOurs) {
                hold.state = State.RELEASING;
                sim.ledger.handOverEnds(hold.resource);
                table.forget(hold);
            } else if (host.clock.bootNanos() < untilNanos && membership.inTime()) {
                table.later(hold, ASK_AGAIN_NANOS, () -> confirm(hold, untilNanos));
            } else {
                hold.state = State.UNDETERMINED;
                sim.ledger.handOverEnds(hold.resource);
                decline(hold, hold.partner(), 0);
            }
        });
    }

    /** Not wanted here: what was given goes back, what is not given yet will not be. */
    void decline(Hold hold, Owner giver, int tries) {
        table.operate(hold, context -> new PaxosReceive(context, giver).decline(), result -> {
            if (result instanceof PaxosReceive.Result.Failed) {
                table.retry(hold, tries, () -> decline(hold, giver, tries + 1));
            } else {
                table.drop(hold);
            }
        });
    }
}
