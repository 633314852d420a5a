/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.List;

/** When nothing goes wrong any more, everything must work again, and within the time that the protocol's delays allow for. */
final class Progress {
    /** Random waits between rounds, waits for hosts that pass through, short I/Os. */
    private static final Duration SMALL_WAITS = Duration.ofSeconds(15);

    private final Simulation sim;

    Progress(Simulation sim) {
        this.sim = sim;
    }

    void demand() {
        Duration dead = Duration.ofNanos(sim.timeouts.deadNanos());
        Duration t = sim.timeouts.ioTimeout();
        // What is under way ends, whoever lost his membership by it is fenced.
        Duration quiet = Duration.ofNanos(Math.max(0, sim.quietNanos - sim.nowNanos))
                .plus(sim.timeouts.hostDead())
                .plusSeconds(2);
        sim.runFor(quiet);
        // A forced id must be watched until its last owner is dead, and he may have come back once.
        Duration member = dead.multipliedBy(2).plus(t.multipliedBy(8)).plus(SMALL_WAITS);
        if (!sim.runUntil(this::allMembers, member)) {
            throw new AssertionError("not all hosts are members " + member + " after everything works again: "
                    + sim.hosts.stream().filter(h -> h.member().isEmpty()).toList());
        }
        // A dead owner must be seen once and then be silent for its time; whatever is undetermined is tried every 2 T.
        Duration lease = dead.plus(t.multipliedBy(8)).plus(SMALL_WAITS);
        for (LeaseName resource : sim.resources) {
            for (SimHost host : sim.hosts) {
                if (host.member().isPresent()) {
                    demandLease(host, resource, lease);
                }
            }
        }
    }

    private boolean allMembers() {
        List<SimHost> members =
                sim.hosts.stream().filter(Progress::isWhereItCanBe).toList();
        // Of two hosts with one host id only one can be a member.
        return members.size() >= sim.hosts.size() - (sim.scenario.oneIdTwice() ? 1 : 0);
    }

    private static boolean isWhereItCanBe(SimHost host) {
        SimAgent agent = host.agent;
        return agent != null && (agent.isMember() || agent.hasNoId());
    }

    private void demandLease(SimHost host, LeaseName resource, Duration within) {
        boolean free = sim.runUntil(() -> !knows(host, resource), within)
                || (restartsStock(resource) && sim.runUntil(() -> !knows(host, resource), within.plus(stockDead())));
        if (!free) {
            throw new AssertionError(host + " has not let go of " + resource + " in " + within + ": "
                    + host.member()
                            .flatMap(SimAgent::leases)
                            .flatMap(l -> l.hold(resource))
                            .map(h -> h.state));
        }
        if (!takes(host, resource, within)
                && !takesOnceStockIsGone(host, resource, within)
                && !takesOnceFreedByHand(host, resource, within)) {
            throw new AssertionError(
                    host + " could not take " + resource + " in " + within + " although everything works");
        }
    }

    private boolean takes(SimHost host, LeaseName resource, Duration within) {
        SimLeases leases = host.member().flatMap(SimAgent::leases).orElseThrow();
        leases.acquire(resource, LeaseMode.EXCLUSIVE, within.toNanos());
        return sim.runUntil(
                () -> host.useOf(resource).isPresent(),
                within.plus(sim.timeouts.ioTimeout().multipliedBy(4)));
    }

    private boolean takesOnceStockIsGone(SimHost host, LeaseName resource, Duration within) {
        return restartsStock(resource)
                && sim.runUntil(() -> !knows(host, resource), within)
                && takes(host, resource, within.plus(stockDead()));
    }

    /** A claim for a host id that came very late, over a member, leaves leases behind of a life that nobody can tell is over. */
    private boolean takesOnceFreedByHand(SimHost host, LeaseName resource, Duration within) {
        int freed = sim.disk.freeWhatNeverWas(resource);
        sim.counts.freedByHand += freed;
        return freed > 0
                && sim.runUntil(() -> !knows(host, resource), within)
                && takes(host, resource, within.plus(stockDead()));
    }

    /** A stock host may stand in the way for as long as it lives. An administrator restarts it. */
    private boolean restartsStock(LeaseName resource) {
        List<SimStock> inTheWay = sim.machines.stream()
                .filter(SimStock.class::isInstance)
                .map(SimStock.class::cast)
                .filter(stock -> stock.isBeatenForEver(resource))
                .toList();
        sim.counts.beatenForEver += inTheWay.size();
        inTheWay.forEach(SimMachine::crash);
        return !inTheWay.isEmpty();
    }

    private Duration stockDead() {
        return sim.timeouts.renewalFailed().plus(Timeouts.STOCK_WATCHDOG);
    }

    private static boolean knows(SimHost host, LeaseName resource) {
        return host.member()
                .flatMap(SimAgent::leases)
                .flatMap(leases -> leases.hold(resource))
                .isPresent();
    }
}
