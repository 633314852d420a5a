/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random walks of a running domain through snapshots, active and inner commits and copies, with pivots and aborts. In scope: status files that are read late,
 * events that are lost and doubled, lists, looks at open files and threads that fail, images that others hold, jobs that the guard aborts or
 * fails to, images that QEMU closes late, and restarts of the agent between any two steps.
 *
 * <p>No lease is given back while QEMU has the image open. When all news has arrived every image has its lease in the right mode, and
 * if this agent has seen it all nothing else has one; when QEMU has ended nothing has.
 *
 * <p>Replay one: {@code mvn -pl agent test -Dtest=BlockJobWalkSimTest -Dguard.walk.seed=N}.
 */
class BlockJobWalkSimTest {
    private static final int WALKS = 300;
    private static final int STEPS = 300;

    static LongStream seeds() {
        return RandomWalk.seeds(WALKS);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void leasesFollowSnapshotsAndBlockJobs(long seed) {
        new BlockJobWalk(seed).walk(STEPS);
    }

    @Test
    void theWalksGoWhereTheyShould() {
        BlockJobWalk.Tally all = new BlockJobWalk.Tally();
        long sighted = seeds().limit(100)
                .filter(seed -> {
                    BlockJobWalk walk = new BlockJobWalk(seed);
                    walk.wander(STEPS);
                    all.add(walk.tally);
                    return walk.isSighted();
                })
                .count();
        assertThat(all.snapshots).as("snapshots").isGreaterThan(200);
        assertThat(all.commits).as("active commits").isGreaterThan(100);
        assertThat(all.innerCommits).as("inner commits").isGreaterThan(50);
        assertThat(all.copies).as("copies").isGreaterThan(100);
        assertThat(all.pivots).as("pivots").isGreaterThan(100);
        assertThat(all.aborts).as("aborts").isGreaterThan(50);
        assertThat(all.abortsByGuard).as("jobs that the guard has aborted").isGreaterThan(10);
        assertThat(all.restarts).as("restarts").isGreaterThan(30);
        assertThat(all.givenBack).as("leases given back").isGreaterThan(100);
        assertThat(sighted).as("walks in which nothing may be kept").isGreaterThan(5);
    }
}
