/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static io.vmguard.lease.engine.LiveHost.SOON;
import static io.vmguard.lease.engine.LiveHost.answer;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.engine.LiveHost.Machine.Rules;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.UnderTarget;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** A lockspace whose hosts have agreed on a watchdog constant of 10 s: 8 T + 10 s with T = 1 s, in real time. */
@Execution(ExecutionMode.CONCURRENT)
class FastProfileTest {
    private static final Rules FAST = Rules.USUAL.watchdog(Duration.ofSeconds(10));
    /** Counted from our last sighting of a change, in whole seconds, and strictly more. */
    private static final Duration DEAD = Duration.ofSeconds(18);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    @Test
    void theLeaseOfADeadHostCanBeTakenAfterTheAgreedTimeAndNotBefore() throws IOException {
        Path leases = Files.createDirectory(dir.resolve("leases"));
        LeaseClock clock = new LinuxClock();
        LiveHost dead = Machine.at(leases, dir.resolve("a")).with(FAST).member();
        try (LiveHost other = Machine.at(leases, dir.resolve("b")).with(FAST).member()) {
            Await.until("sight of the other", SOON, () -> other.sees(dead));
            assertThat(dead.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            Owner owner = dead.owner();
            dead.close(); // with a lease held: its record stays and expires
            long diedNanos = clock.bootNanos();

            AcquireResult refused = other.acquire(R1);
            assertThat(refused).isInstanceOf(AcquireResult.HeldBy.class);
            AcquireResult taken =
                    answer(other.engine.acquire(R1, NOTE, LeaseMode.EXCLUSIVE, DEAD.plus(SOON)), DEAD.plus(SOON));
            Duration waited = Duration.ofNanos(clock.bootNanos() - diedNanos);
            assertThat(taken).isInstanceOf(AcquireResult.Acquired.class);
            // Its last renewal may have been seen up to one renewal interval before it died.
            assertThat(waited).isBetween(DEAD.minusSeconds(3), DEAD.plus(SOON));
            // Told at the next renewal.
            Await.until("word of its death", SOON, () -> other.hostEvents.contains(owner + " DEAD"));
            assertThat(other.hostEvents).containsSubsequence(owner + " LIVE", owner + " FAIL", owner + " DEAD");
        }
    }
}
