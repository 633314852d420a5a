/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.fail;

import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * One writer, whatever happens: random schedules of the shipping machines, everything checked after every step. docs/simulation.md
 * says what is simulated, and how to replay a seed that failed.
 */
class SimulationTest {
    private static final long SCHEDULES = Long.getLong("sim.schedules", 10_000);

    /** Bounds the build on a machine that is busy with something else; fewer schedules than this many are a failure. */
    private static final Duration LIMIT = Duration.ofMinutes(4);

    private static final long AT_LEAST = Math.min(SCHEDULES, 1_000);

    @Test
    void noScheduleOfCrashesPausesStallsAndLateWritesBreaksAnInvariant(TestReporter reporter) {
        SimulationRun run = new SimulationRun(1, SCHEDULES, Planted.NONE);
        run.go(2, LIMIT, progress -> {});
        run.firstFailure().ifPresent(failure -> fail(failure.explain()));
        Simulation.Counts counts = run.counts();
        reporter.publishEntry("simulation", counts.toString());
        assertThat(counts.schedules).isGreaterThanOrEqualTo(AT_LEAST);
        assertThat(LongStream.of(
                                counts.acquires,
                                counts.shared,
                                counts.converted,
                                counts.refusals,
                                counts.cannotTells,
                                counts.handOvers,
                                counts.takeBacks,
                                counts.requests,
                                counts.resumes,
                                counts.lostMemberships,
                                counts.resets,
                                counts.lateWrites,
                                counts.stockAcquires)
                        .boxed())
                .as("everything that can happen has happened: %s", counts)
                .allMatch(count -> count > counts.schedules / 200);
    }

    /** Each of these broke an invariant once. */
    @ParameterizedTest
    @ValueSource(
            longs = {
                459,
                2017,
                5226,
                13_207,
                17_255,
                23_457,
                23_819,
                64_906,
                2996,
                5344,
                7228,
                25_784,
                29_056,
                110_130,
                215_112,
                3_018_458,
                3_040_425,
                3_067_412,
                3_109_658,
                3_129_225,
                3_166_260,
                3_186_292,
                3_216_616,
                Scenario.DENSE + 13_496,
                Scenario.DENSE + 23_777,
                Scenario.DENSE + 25_168,
                Scenario.DENSE + 26_942,
                Scenario.DENSE + 34_016,
                Scenario.DENSE + 35_378,
                Scenario.DENSE + 41_742,
                Scenario.DENSE + 109_389,
                Scenario.DENSE + 118_853,
                Scenario.DENSE + 138_940,
                Scenario.DENSE + 234_455,
                Scenario.DENSE + 352_462,
                Scenario.DENSE + 396_291,
                Scenario.DENSE + 418_874,
                Scenario.DENSE + 421_750,
                Scenario.DENSE + 477_805,
                Scenario.DENSE + 756_997
            })
    void whatWasFoundOnceStaysMended(long seed) {
        assertThat(SimulationRun.failureOf(seed, Planted.NONE).map(SimulationRun.Failure::explain))
                .isEmpty();
    }

    @Test
    void theSameSeedGivesTheSameTrace() {
        for (long seed = 1; seed <= 10; seed++) {
            Simulation one = new Simulation(seed, Scenario.of(seed), Planted.NONE, true);
            Simulation two = new Simulation(seed, Scenario.of(seed), Planted.NONE, true);
            one.run();
            two.run();
            assertThat(one.trace()).isNotEmpty().isEqualTo(two.trace());
            assertThat(one.fingerprint()).isEqualTo(two.fingerprint());
        }
    }

    @Test
    void anotherSeedGivesAnotherTrace() {
        List<Long> fingerprints = LongStream.rangeClosed(1, 10)
                .mapToObj(seed -> {
                    Simulation simulation = new Simulation(seed, quiet(), Planted.NONE, false);
                    simulation.run();
                    return simulation.fingerprint();
                })
                .collect(Collectors.toList());
        assertThat(fingerprints).doesNotHaveDuplicates();
    }

    @Test
    void withoutFaultsNothingIsLostAndNothingIsUnknownForLong() {
        for (long seed = 1; seed <= 20; seed++) {
            Simulation simulation = new Simulation(seed, quiet(), Planted.NONE, false);
            simulation.run();
            assertThat(simulation.counts.acquires).as("seed %d", seed).isGreaterThan(20);
            assertThat(simulation.counts.lostMemberships).as("seed %d", seed).isZero();
            assertThat(simulation.counts.crashes).as("seed %d", seed).isZero();
        }
    }

    @Test
    void aFailureNamesItsSeedAndTheCommandThatReplaysIt() {
        Optional<SimulationRun.Failure> failure = LongStream.rangeClosed(1, 100)
                .mapToObj(seed -> SimulationRun.failureOf(seed, Planted.GIVER_GOES_ON))
                .flatMap(Optional::stream)
                .findFirst();
        assertThat(failure.orElseThrow().explain())
                .contains("seed " + failure.orElseThrow().seed())
                .contains("make sim SEED=" + failure.orElseThrow().seed())
                .contains("uses disk-");
    }

    private static Scenario quiet() {
        Timeouts timeouts = new Timeouts(Duration.ofSeconds(1), Duration.ofSeconds(10));
        return new Scenario(
                3,
                0,
                2,
                timeouts,
                false,
                false,
                0.3,
                0.2,
                Duration.ofSeconds(1),
                Duration.ofMinutes(3),
                Scenario.Faults.NONE);
    }
}
