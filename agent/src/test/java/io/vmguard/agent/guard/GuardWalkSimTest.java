/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random walks of one host. In scope: hooks that are lost, late and doubled, clients that give up, starts that fail before QEMU, QEMUs
 * that libvirt gives up while they live, lists and lookups that fail or come late and in any order, leases that are held elsewhere,
 * that storage does not answer for or answers late, lost memberships, noticed at once or after a
 * sleep, disks plugged in and out with their news lost, late and doubled and QEMU closing them late, some of them somebody else's, pauses that are proved, late or refused, SIGKILLs that do not work at once, restarts of the agent, and
 * domains that no hook announced. Out of scope: a libvirt that lists a domain as inactive while it is starting it.
 *
 * <p>After every step: no lease is given back while its QEMU lives or may come, and no two QEMUs share a disk. Then all ends, and
 * every lease must be free within a minute.
 *
 * <p>Replay one: {@code mvn -pl agent test -Dtest=GuardWalkSimTest -Dguard.walk.seed=N}.
 */
class GuardWalkSimTest {
    private static final int WALKS = 250;
    private static final int STEPS = 400;

    static LongStream seeds() {
        return RandomWalk.seeds(WALKS);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void noLeaseIsFreeWhileItsQemuLivesAndNoneStaysBehind(long seed) {
        new GuardWalk(seed).walk(STEPS);
    }

    @Test
    void theWalksGoWhereTheyShould() {
        GuardWalk.Tally all = new GuardWalk.Tally();
        seeds().limit(100).forEach(seed -> {
            GuardWalk walk = new GuardWalk(seed);
            walk.wander(STEPS);
            all.add(walk.tally);
        });
        assertThat(all.launched).as("launched").isGreaterThan(100);
        assertThat(all.refused).as("refused").isGreaterThan(50);
        assertThat(all.released).as("released").isGreaterThan(50);
        assertThat(all.losses).as("losses").isGreaterThan(20);
        assertThat(all.rejoined).as("rejoined").isGreaterThan(10);
        assertThat(all.killed).as("killed").isGreaterThan(10);
        assertThat(all.restarts).as("restarts").isGreaterThan(10);
        assertThat(all.lateWakeups).as("late wakeups").isGreaterThan(10);
        assertThat(all.pausesProved).as("pauses proved").isGreaterThan(3);
        assertThat(all.plugged).as("plugged disks").isGreaterThan(30);
        assertThat(all.givenBack).as("leases of plugged disks given back").isGreaterThan(3);
        assertThat(all.expelled).as("plugged disks sent away").isPositive();
        assertThat(all.wentOn).as("paused ones that went on").isPositive();
    }

    @Test
    void theSameSeedGivesTheSameWalk() {
        GuardWalk one = new GuardWalk(7);
        GuardWalk two = new GuardWalk(7);
        one.wander(STEPS);
        two.wander(STEPS);
        assertThat(one.trace()).isEqualTo(two.trace());
    }
}
