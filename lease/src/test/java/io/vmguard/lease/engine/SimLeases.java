/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.engine.Hold.State;
import io.vmguard.lease.paxos.PaxosAcquire;
import io.vmguard.lease.paxos.PaxosAcquire.Want;
import io.vmguard.lease.paxos.PaxosAdopt;
import io.vmguard.lease.paxos.PaxosDowngrade;
import io.vmguard.lease.paxos.PaxosRelease;
import io.vmguard.lease.paxos.PaxosRequest;
import io.vmguard.lease.paxos.ResourceContext;
import io.vmguard.lease.step.Step;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;

/** The resources of one membership: what {@link Resources} and {@link Requests} do around the machines, without their threads. */
final class SimLeases {
    static final LeaseNote USER = new LeaseNote("vm", "", "", "", 0);
    private static final LeaseNote SECOND_USER = new LeaseNote("vm2", "", "", "", 0);

    final SimAgent agent;
    final SimHost host;
    final Simulation sim;
    final Membership membership;
    private final SimTransfers transfers;
    private final Map<LeaseName, Hold> holds = new TreeMap<>(Comparator.comparing(LeaseName::value));
    private final long beganNanos;
    private int underWay;

    SimLeases(SimAgent agent, Membership membership) {
        this.agent = agent;
        this.host = agent.host;
        this.sim = agent.sim;
        this.membership = membership;
        this.transfers = new SimTransfers(this);
        this.beganNanos = host.clock.bootNanos();
    }

    // ---- what a host does of its own accord

    void live() {
        if (membership.isLost()) {
            return;
        }
        LeaseName resource = sim.resources.get(sim.random.nextInt(sim.resources.size()));
        if (membership.inTime() && membership.hosts.checked()) {
            Hold hold = holds.get(resource);
            if (hold != null) {
                goOn(hold);
            } else if (!sim.calm) {
                boolean shared = sim.random.nextDouble() < sim.scenario.sharedShare();
                LeaseMode mode = shared && seenByAll() ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
                acquire(resource, mode, sim.random.nextBoolean() ? 0 : Simulation.millis(sim.random.nextInt(20_000)));
            }
        }
        long thinkNanos = (long) (sim.thinkNanos * 2 * sim.random.nextDouble());
        agent.process.later(sim.calm ? Simulation.millis(500) : thinkNanos, this::live);
    }

    /** Stock hosts do not see a shared holder that has just joined, as docs/interop.md says. */
    private boolean seenByAll() {
        return sim.scenario.stockHosts() == 0 || host.clock.bootNanos() - beganNanos > SimStock.settleNanos(sim);
    }

    private void goOn(Hold hold) {
        int dice = sim.calm ? 0 : sim.random.nextInt(10);
        switch (hold.state) {
            case HELD -> {
                boolean exclusive = hold.mode == LeaseMode.EXCLUSIVE;
                if (exclusive && !sim.calm && sim.random.nextDouble() < sim.scenario.handOverShare()) {
                    transfers.offer(hold);
                } else if (dice < 5) {
                    release(hold);
                } else if (sim.scenario.sharedShare() > 0 && dice < 8 && seenByAll()) {
                    convert(hold);
                } else if (!exclusive && dice == 8) {
                    hold.users.add(SECOND_USER);
                    writeRecord();
                }
            }
            case CONVERTING -> {
                if (dice == 0) {
                    host.stopUse(hold.resource);
                    hold.users.clear();
                }
            }
            case GIVEN -> {
                if (dice < 3) {
                    transfers.takeBack(hold);
                }
            }
            default -> {
                // Under way, and goes on by itself.
            }
        }
    }

    // ---- acquire

    void acquire(LeaseName resource, LeaseMode mode, long patienceNanos) {
        Hold hold = new Hold(resource, mode, USER, State.ACQUIRING, Runnable::run);
        enter(hold);
        runAcquire(hold, host.clock.bootNanos() + patienceNanos);
    }

    void enter(Hold hold) {
        holds.put(hold.resource, hold);
        writeRecord();
    }

    private void runAcquire(Hold hold, long untilNanos) {
        acquireOnDisk(hold, hold.mode == LeaseMode.SHARED ? Want.SHARED : Want.EXCLUSIVE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                hold.state = State.HELD;
                onAcquired(hold);
            } else if (result instanceof PaxosAcquire.Result.Held held) {
                againOrEnd(hold, untilNanos);
                if (!held.shared() && !sim.calm && sim.random.nextInt(6) == 0) {
                    request(hold.resource);
                }
            } else {
                PaxosAcquire.Result.Failed failed = (PaxosAcquire.Result.Failed) result;
                if (failed.mayHaveWon() && sim.planted != Planted.UNKNOWN_MEANS_NO) {
                    sim.counts.cannotTells++;
                    undetermined(hold);
                } else {
                    againOrEnd(hold, untilNanos);
                }
            }
        });
    }

    private void onAcquired(Hold hold) {
        if (!membership.inTime()) {
            drop(hold);
        } else if (!sim.calm && sim.random.nextInt(12) == 0) {
            release(hold); // whoever wanted it has given up meanwhile
        } else {
            if (hold.mode == LeaseMode.SHARED) {
                sim.counts.shared++;
            } else {
                sim.counts.acquires++;
            }
            beginUse(hold);
        }
    }

    void beginUse(Hold hold) {
        host.use(hold.resource, hold.mode, membership.owner);
    }

    private void againOrEnd(Hold hold, long untilNanos) {
        long leftNanos = untilNanos - host.clock.bootNanos();
        if (leftNanos <= 0 || !membership.inTime()) {
            sim.counts.refusals++;
            drop(hold);
            return;
        }
        agent.process.later(Math.min(leftNanos, sim.ioTimeoutNanos), () -> runAcquire(hold, untilNanos));
    }

    void acquireOnDisk(Hold hold, Want want, Consumer<PaxosAcquire.Result> then) {
        operate(
                hold,
                context -> sim.planted.acquire(
                        new PaxosAcquire(sim.planted.knowing(context), want).start(), want, membership.owner.hostId()),
                then);
    }

    // ---- convert

    private void convert(Hold hold) {
        if (hold.users.size() > 1) {
            return;
        }
        hold.state = State.CONVERTING;
        sim.counts.converted++;
        if (hold.mode == LeaseMode.SHARED) {
            upgrade(hold);
        } else {
            host.use(hold.resource, LeaseMode.SHARED, membership.owner);
            downgrade(hold, 0);
        }
    }

    private void upgrade(Hold hold) {
        acquireOnDisk(hold, Want.UPGRADE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                settled(hold);
                return;
            }
            hold.recordStale = true;
            if (result instanceof PaxosAcquire.Result.Failed failed && failed.mayHaveWon()) {
                hold.state = State.UNDETERMINED;
                retry(hold, 0, () -> settleUpgrade(hold, 0));
            } else {
                settled(hold);
            }
        });
    }

    private void settleUpgrade(Hold hold, int tries) {
        acquireOnDisk(hold, Want.UPGRADE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                downgrade(hold, 0);
            } else if (result instanceof PaxosAcquire.Result.Held) {
                settled(hold);
            } else {
                retry(hold, tries, () -> settleUpgrade(hold, tries + 1));
            }
        });
    }

    private void downgrade(Hold hold, int tries) {
        operate(hold, context -> new PaxosDowngrade(context, hold.record()).start(), result -> {
            if (result instanceof PaxosDowngrade.Result.Shared shared) {
                hold.record(shared.held());
                settled(hold);
            } else {
                hold.state = State.UNDETERMINED;
                retry(hold, tries, () -> downgrade(hold, tries + 1));
            }
        });
    }

    /** It is held, in the mode of its record; its user goes on or is gone. */
    void settled(Hold hold) {
        hold.state = State.HELD;
        writeRecord();
        if (hold.users.isEmpty()) {
            beginRelease(hold);
        } else if (membership.inTime()) {
            beginUse(hold);
        }
    }

    // ---- release

    void release(Hold hold) {
        if (hold.users.size() > 1) {
            hold.users.remove(SECOND_USER);
            writeRecord();
            return;
        }
        if (sim.planted != Planted.RELEASED_BEFORE_THE_USER_ENDS) {
            host.stopUse(hold.resource);
        }
        beginRelease(hold);
    }

    private void beginRelease(Hold hold) {
        hold.state = State.RELEASING;
        runRelease(hold, 0);
    }

    private void runRelease(Hold hold, int tries) {
        operate(hold, context -> release(context, hold), result -> {
            if (result instanceof PaxosRelease.Result.Failed) {
                retry(hold, tries, () -> runRelease(hold, tries + 1));
            } else if (result instanceof PaxosRelease.Result.NotOurs && hold.recordStale) {
                forget(hold);
            } else {
                if (sim.planted == Planted.RELEASED_BEFORE_THE_USER_ENDS) {
                    agent.process.later(sim.soon(sim.ioTimeoutNanos), () -> host.stopUse(hold.resource));
                }
                drop(hold);
            }
        });
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
                            : new PaxosRelease.Result.NotOurs(
                                    io.vmguard.lease.LeaseFault.NOT_OWNER, "it is not ours any more"));
        });
    }

    // ---- outcomes that are not known

    void undetermined(Hold hold) {
        hold.state = State.UNDETERMINED;
        retry(hold, 0, () -> resolve(hold, 0));
    }

    private void resolve(Hold hold, int tries) {
        acquireOnDisk(hold, Want.EXCLUSIVE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                beginRelease(hold);
            } else if (result instanceof PaxosAcquire.Result.Held) {
                forget(hold);
            } else {
                retry(hold, tries, () -> resolve(hold, tries + 1));
            }
        });
    }

    void retry(Hold hold, int tries, Runnable operation) {
        later(hold, sim.ioTimeoutNanos * (tries == 0 ? 1 : 2), operation);
    }

    void later(Hold hold, long delayNanos, Runnable operation) {
        if (membership.inTime()) {
            agent.process.later(delayNanos, operation);
        } else if (sim.planted == Planted.EXPIRED_MEANS_UNUSED) {
            drop(hold);
        }
        // Nothing is done about it any more; but it may have a user, so it stays in the record.
    }

    void forget(Hold hold) {
        transfers.decline(hold, membership.owner, 0);
    }

    // ---- after a restart of the process

    void adopt(Map<LeaseName, LeaseUse> users) {
        users.entrySet().stream()
                .sorted(Map.Entry.comparingByKey(Comparator.comparing(LeaseName::value)))
                .forEach(entry -> {
                    LeaseUse use = entry.getValue();
                    // A hold whose user was leaving has none in the record.
                    LeaseNote first = use.users().isEmpty() ? USER : use.users().get(0);
                    Hold hold = new Hold(entry.getKey(), use.mode(), first, State.UNDETERMINED, Runnable::run);
                    hold.users.addAll(use.users());
                    holds.put(hold.resource, hold);
                    runAdopt(hold, 0);
                });
    }

    private void runAdopt(Hold hold, int tries) {
        operate(hold, context -> new PaxosAdopt(context).start(), result -> {
            if (result instanceof PaxosAdopt.Result.Held held) {
                hold.record(held.held());
                carriedOver(hold);
            } else if (result instanceof PaxosAdopt.Result.Overwritten overwritten) {
                hold.record(overwritten.held());
                hold.recordStale = true;
                carriedOver(hold);
            } else if (result instanceof PaxosAdopt.Result.Proposed) {
                adoptProposed(hold, tries);
            } else if (result instanceof PaxosAdopt.Result.HalfReleased half) {
                if (half.held().mode() == LeaseMode.SHARED) {
                    hold.record(half.held());
                    adoptShared(hold, 0);
                } else {
                    hasNoUser(hold);
                    undetermined(hold);
                }
            } else if (result instanceof PaxosAdopt.Result.Given given) {
                hasNoUser(hold);
                transfers.givenBefore(hold, given.receiver());
            } else if (result instanceof PaxosAdopt.Result.Failed) {
                retry(hold, tries, () -> runAdopt(hold, tries + 1));
            } else {
                hasNoUser(hold);
                forget(hold);
            }
        });
    }

    /** It was under way when the process ended, or it is held under a leader of an old version: a ballot tells. */
    private void adoptProposed(Hold hold, int tries) {
        acquireOnDisk(hold, hold.mode == LeaseMode.SHARED ? Want.SHARED : Want.EXCLUSIVE, result -> {
            if (result instanceof PaxosAcquire.Result.Acquired acquired) {
                hold.record(acquired.held());
                carriedOver(hold);
            } else if (result instanceof PaxosAcquire.Result.Held) {
                hasNoUser(hold);
                forget(hold);
            } else {
                retry(hold, tries, () -> runAdopt(hold, tries + 1));
            }
        });
    }

    private void adoptShared(Hold hold, int tries) {
        operate(hold, context -> new PaxosDowngrade(context, hold.record()).start(), result -> {
            if (result instanceof PaxosDowngrade.Result.Shared shared) {
                hold.record(shared.held());
                carriedOver(hold);
            } else {
                retry(hold, tries, () -> adoptShared(hold, tries + 1));
            }
        });
    }

    /** Its user is there and goes on, or is gone and the lease goes too. */
    private void carriedOver(Hold hold) {
        Optional<SimMachine.Use> use = host.useOf(hold.resource);
        hold.state = State.HELD;
        if (use.isEmpty()) {
            release(hold);
        } else if (use.get().mode() == LeaseMode.EXCLUSIVE && hold.mode == LeaseMode.SHARED) {
            throw new AssertionError(host + " adopts " + hold.resource + " shared; its user writes");
        } else if (membership.inTime()) {
            beginUse(hold);
        }
    }

    private void hasNoUser(Hold hold) {
        if (membership.inTime() && host.useOf(hold.resource).isPresent()) {
            throw new AssertionError(host + " lets " + hold.resource + " go; its user lives");
        }
    }

    // ---- requests

    private void request(LeaseName resource) {
        begin();
        agent.run(
                membership.owner,
                new PaxosRequest(context(resource), RequestMode.values()[0]).start(),
                resource,
                result -> {
                    end();
                    if (result instanceof PaxosRequest.Result.Asked asked) {
                        sim.counts.requests++;
                        membership.attend(asked.holder().hostId());
                    }
                });
    }

    void lookForRequests() {
        for (Hold hold : List.copyOf(holds.values())) {
            if (hold.state != State.HELD || hold.mode != LeaseMode.EXCLUSIVE) {
                continue;
            }
            long lver = hold.record().leader().lver();
            begin();
            agent.run(membership.owner, PaxosRequest.asked(context(hold.resource), lver), hold.resource, force -> {
                end();
                if (force != 0 && hold.state == State.HELD && holds.get(hold.resource) == hold) {
                    release(hold);
                }
            });
        }
    }

    // ---- the table

    /** Runs one operation on a resource. */
    <R> void operate(Hold hold, Function<ResourceContext, Step<R>> machine, Consumer<R> then) {
        begin();
        agent.run(membership.owner, machine.apply(context(hold.resource)), hold.resource, result -> {
            end();
            sim.say(() -> host + " " + hold.state + " " + hold.resource + ": " + result);
            then.accept(result);
        });
    }

    void begin() {
        underWay++;
    }

    void end() {
        underWay--;
    }

    boolean idle() {
        return underWay == 0;
    }

    Optional<Hold> hold(LeaseName resource) {
        return Optional.ofNullable(holds.get(resource));
    }

    SimTransfers transfers() {
        return transfers;
    }

    void drop(Hold hold) {
        holds.remove(hold.resource, hold);
        writeRecord();
    }

    void writeRecord() {
        if (membership.isLost()) {
            return; // a later membership of this process may have written its own
        }
        Map<LeaseName, LeaseUse> users = new LinkedHashMap<>();
        holds.values().forEach(hold -> users.put(hold.resource, hold.use()));
        agent.writeRecord(membership, users);
    }

    private ResourceContext context(LeaseName resource) {
        return new ResourceContext(
                Simulation.LOCKSPACE,
                resource,
                Simulation.LAYOUT,
                Simulation.MAX_HOSTS,
                sim.timeouts,
                membership.owner,
                membership.hosts,
                membership::inTime,
                host.clock,
                sim.random);
    }
}
