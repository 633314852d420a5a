/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/**
 * One writer, whatever happens: random schedules of the shipping machines, exclusivity checked at every single use. A failure names
 * its seed; {@code -Dsim.seed=N} replays it, {@code -Dsim.seeds=N} runs more of them.
 */
class OneWriterSimTest {
    private static final int SEEDS = Integer.getInteger("sim.seeds", 60);

    @Test
    void noScheduleOfCrashesFreezesStallsAndLateWritesGivesTwoWriters() {
        long only = Long.getLong("sim.seed", -1);
        long acquires = 0;
        long cannotTells = 0;
        for (long seed = only < 0 ? 1 : only; seed <= (only < 0 ? SEEDS : only); seed++) {
            Simulation sim = new Simulation(seed, 4, 3, 2, Simulation.Faults.HOSTILE);
            try {
                sim.runFor(Duration.ofMinutes(60));
            } catch (AssertionError | RuntimeException e) {
                String tail =
                        String.join("\n", sim.trace.subList(Math.max(0, sim.trace.size() - 60), sim.trace.size()));
                throw new AssertionError("seed " + seed + " (replay: -Dsim.seed=" + seed + "): " + e + "\n" + tail, e);
            }
            acquires += sim.acquires;
            cannotTells += sim.cannotTells;
        }
        assertThat(acquires).as("the simulation must not be idle").isGreaterThan(only < 0 ? 100L * SEEDS : 0);
        assertThat(cannotTells).as("unknown outcomes must occur").isGreaterThan(only < 0 ? 1 : -1);
    }

    @Test
    void withoutFaultsEveryHostBecomesAMemberAndLeasesMove() {
        for (long seed = 1; seed <= 20; seed++) {
            Simulation sim = new Simulation(seed, 4, 2, 1, Simulation.Faults.NONE);
            sim.runFor(Duration.ofMinutes(10));
            assertThat(sim.hosts).as("seed %d", seed).allMatch(SimHost::member);
            assertThat(sim.acquires).isGreaterThan(50);
            assertThat(sim.cannotTells).isZero();
        }
    }

    @Test
    void theSameSeedGivesTheSameRun() {
        Simulation one = new Simulation(42, 4, 3, 2, Simulation.Faults.HOSTILE);
        Simulation two = new Simulation(42, 4, 3, 2, Simulation.Faults.HOSTILE);
        one.runFor(Duration.ofMinutes(30));
        two.runFor(Duration.ofMinutes(30));
        assertThat(one.trace).isNotEmpty().isEqualTo(two.trace);
    }

    @Test
    void onceTheFaultsEndEveryHostIsAMemberWithinTheProtocolsBound() {
        for (long seed = 1; seed <= 20; seed++) {
            Simulation sim = new Simulation(seed, 3, 2, 2, new Simulation.Faults(0.01, 0.01, 6, 12, false));
            sim.runFor(Duration.ofMinutes(30));
            sim.faults = Simulation.Faults.NONE;
            long before = sim.acquires;
            // The longest stall (200 s), a reboot (240 s), two rounds of waiting for a dead host id.
            sim.runFor(
                    Duration.ofSeconds(200 + 240).plus(sim.timeouts.hostDead().multipliedBy(4)));
            assertThat(sim.hosts).as("seed %d", seed).allMatch(SimHost::member);
            sim.runFor(Duration.ofMinutes(5));
            assertThat(sim.acquires).as("seed %d", seed).isGreaterThan(before + 10);
        }
    }
}
