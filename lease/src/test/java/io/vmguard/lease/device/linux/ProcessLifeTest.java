/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static io.vmguard.lease.device.linux.ProcessLife.ALIVE;
import static io.vmguard.lease.device.linux.ProcessLife.DYING;
import static io.vmguard.lease.device.linux.ProcessLife.GONE;
import static io.vmguard.lease.device.linux.ProcessLife.UNCLEAR;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.device.linux.ProcessLife.Task;
import io.vmguard.lease.testing.Await;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The rule by which a killed process that does not go away is told from one that can still act, and the look at real processes. */
class ProcessLifeTest {
    private static final long SIGKILL = 1L << 8;
    private static final long SIGTERM = 1L << 14;
    private static final long EXITING = 0x4;

    private static final Task STUCK = new Task('D', 0x400040, SIGKILL);
    private static final Task ZOMBIE = new Task('Z', 0x40044c, 0);

    // ---- the rule

    @Test
    void aZombieWithAThreadThatIsStuckAndKilledIsDying() {
        assertThat(ProcessLife.judge(List.of(ZOMBIE, STUCK))).isEqualTo(DYING);
    }

    @Test
    void aThreadOnItsWayOutIsDyingWhateverItWaitsFor() {
        assertThat(ProcessLife.judge(List.of(new Task('D', 0x400040 | EXITING, 0))))
                .isEqualTo(DYING);
        assertThat(ProcessLife.judge(List.of(new Task('R', 0x400040 | EXITING, 0))))
                .isEqualTo(DYING);
    }

    @Test
    void oneThreadThatWasNotKilledIsEnoughToBeAlive() {
        assertThat(ProcessLife.judge(List.of(ZOMBIE, STUCK, new Task('S', 0x400040, 0))))
                .isEqualTo(ALIVE);
        assertThat(ProcessLife.judge(List.of(new Task('D', 0x400040, 0), STUCK)))
                .as("stuck in storage, but not killed")
                .isEqualTo(ALIVE);
        assertThat(ProcessLife.judge(List.of(new Task('D', 0x400040, SIGTERM)))).isEqualTo(ALIVE);
        assertThat(ProcessLife.judge(List.of(new Task('T', 0x400040, 0))))
                .as("stopped, and may be continued")
                .isEqualTo(ALIVE);
    }

    /** Its program may run until the other processor has been told. */
    @Test
    void aKilledThreadThatIsOnAProcessorIsLookedAtAgain() {
        assertThat(ProcessLife.judge(List.of(STUCK, new Task('R', 0x400040, SIGKILL))))
                .isEqualTo(UNCLEAR);
        assertThat(ProcessLife.judge(List.of(new Task('R', 0x400040, SIGKILL), new Task('S', 0x400040, 0))))
                .isEqualTo(ALIVE);
    }

    // ---- real processes

    @Test
    void thisProcessIsAliveAndOneOfItsNumberThatBeganAtAnotherTimeIsGone() throws IOException {
        long pid = ProcessHandle.current().pid();
        long started = ProcessLife.startTicks(pid);
        assertThat(ProcessLife.of(pid, started)).isEqualTo(ALIVE);
        assertThat(ProcessLife.of(pid, started - 1))
                .as("its number was given again")
                .isEqualTo(GONE);
    }

    @Test
    void aProcessThatWasKilledAndReapedIsGone() throws IOException {
        Process process = new ProcessBuilder("sleep", "60").start();
        long started = ProcessLife.startTicks(process.pid());
        assertThat(ProcessLife.of(process.pid(), started)).isEqualTo(ALIVE);
        process.destroyForcibly();
        Await.until("it to be reaped", Duration.ofSeconds(10), () -> ProcessLife.of(process.pid(), started) == GONE);
    }

    /** As a zombie is that its parent does not wait for. */
    @Test
    void aZombieIsDying() throws IOException {
        Process parent = new ProcessBuilder("sh", "-c", "sleep 0.01 & echo $!; exec sleep 60").start();
        try {
            long child = Long.parseLong(parent.inputReader().readLine());
            long started = ProcessLife.startTicks(child);
            Await.until("it to be a zombie", Duration.ofSeconds(10), () -> ProcessLife.of(child, started) == DYING);
        } finally {
            parent.destroyForcibly();
        }
    }
}
