/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A machine with a vmguard agent: one process after the other, each under the exclusive local lock. */
final class SimHost extends SimMachine {
    /** 0: found automatically. */
    final long forcedId;
    /** On the local disk, across boots. */
    Optional<RememberedHostId> remembered = Optional.empty();

    @Nullable
    SimAgent agent;

    SimHost(Simulation sim, int number, long forcedId) {
        super(sim, number);
        this.forcedId = forcedId;
    }

    @Override
    void onPower() {
        startAgent();
    }

    private void startAgent() {
        SimAgent started = new SimAgent(this);
        agent = started;
        started.start();
    }

    @Override
    void onCrash() {
        sim.ledger.handOversEnd(this);
        agent = null;
        if (sim.random.nextInt(8) == 0) {
            remembered = Optional.empty(); // the local disk was not written in time, or is another
        }
    }

    @Override
    void onKill() {
        SimAgent killed = agent;
        if (killed == null) {
            return;
        }
        sim.say(() -> this + "'s agent is killed");
        sim.ledger.handOversEnd(this);
        killed.process.dead = true;
        agent = null;
        Boot current = boot;
        long goneNanos = sim.soon(sim.longestOutageNanos);
        sim.underWay(goneNanos);
        sim.after(goneNanos, () -> succeed(current));
    }

    /** A killed process lasts as long as its I/O, and its lock with it. */
    private void succeed(Boot current) {
        if (current.over) {
            return;
        }
        if (current.inFlight > 0 || sim.nowNanos < current.frozenUntilNanos) {
            sim.after(Simulation.millis(200), () -> succeed(current));
            return;
        }
        sim.say(() -> this + "'s agent starts again");
        startAgent();
    }

    Optional<SimAgent> member() {
        SimAgent now = agent;
        return now != null && now.isMember() ? Optional.of(now) : Optional.empty();
    }
}
