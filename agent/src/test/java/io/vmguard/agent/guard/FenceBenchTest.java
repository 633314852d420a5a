/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.hypervisor.KillResult;
import io.vmguard.agent.process.linux.LinuxQemuProcesses;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeImages;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeTransfer;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.agent.watchdog.Watchdog;
import io.vmguard.lease.Owner;
import io.vmguard.lease.device.linux.LinuxClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A real guard with real processes: how long a loss takes to end two hundred of them while libvirt answers nothing. */
class FenceBenchTest {
    private static final int DOMAINS = 200;
    /** Far from what it takes, and far within what there is. */
    private static final Duration LIMIT = Duration.ofSeconds(10);

    private final List<Process> children = new ArrayList<>();
    private final ExecutorService hypervisorCalls = Executors.newFixedThreadPool(21);
    private final ExecutorService lookups = Executors.newFixedThreadPool(8);

    @TempDir
    private Path pidDirectory;

    @AfterEach
    void end() {
        children.forEach(Process::destroyForcibly);
        hypervisorCalls.shutdownNow();
        lookups.shutdownNow();
    }

    @Test
    void twoHundredProcessesAreGoneSoonAfterANoticedLossWithoutLibvirt() throws Exception {
        LinuxClock clock = new LinuxClock();
        FakeLockspace lockspace = new FakeLockspace(clock);
        FakeHypervisor hypervisor = new FakeHypervisor();
        hypervisor.silent(true);
        CompletableFuture<Void> never = new CompletableFuture<>();
        hypervisor.onDestroy(uuid -> {
            never.join(); // each call hangs for good
            return new KillResult.Destroyed();
        });
        try (LinuxQemuProcesses processes = LinuxQemuProcesses.start(pidDirectory);
                DomainGuard guard = new DomainGuard(
                        GuardBench.settings(false, false),
                        lockspace,
                        new FakeTransfer(new Owner(1, 1)),
                        hypervisor,
                        processes,
                        new ActiveDomains(hypervisor, TestDomain.BY_NAME, clock, new FakeImages(), lookups),
                        Watchdog.none(),
                        clock,
                        hypervisorCalls,
                        lookups)) {
            lockspace.listener(guard);
            guard.start();
            lockspace.becomeMember();
            List<TestDomain> domains = IntStream.range(0, DOMAINS)
                    .mapToObj(i -> TestDomain.of("bench" + i, "/images/bench" + i))
                    .toList();
            for (TestDomain domain : domains) {
                assertThat(guard.prepare(domain.spec(), domain.uuid(), domain.derivation())
                                .get(20, TimeUnit.SECONDS))
                        .isInstanceOf(StartAnswer.Granted.class);
                launch(domain);
            }
            await(() -> guard.view().domains().stream()
                            .filter(view -> view.state().equals("running"))
                            .count()
                    == DOMAINS);

            // Noticed when the time for anything orderly is over, as after a suspend: what is measured is the killing
            // alone.
            long lostNanos = System.nanoTime();
            lockspace.lose(GuardBench.TIMES.killed().plusSeconds(1));
            for (Process child : children) {
                assertThat(child.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
            }
            Duration dead = Duration.ofNanos(System.nanoTime() - lostNanos);
            await(() -> lockspace.usersGoneCalls() == 1);
            Duration proved = Duration.ofNanos(System.nanoTime() - lostNanos);
            System.out.printf(
                    "%d guarded processes: dead %d ms and proved gone %d ms after the loss%n",
                    DOMAINS, dead.toMillis(), proved.toMillis());
            assertThat(proved).isLessThan(LIMIT);
        } finally {
            never.complete(null);
        }
    }

    private void launch(TestDomain domain) throws IOException {
        Process child = new ProcessBuilder(
                        "/bin/sh",
                        "-c",
                        "read line",
                        "qemu-system-x86_64",
                        "-name",
                        "guest=" + domain.name(),
                        "-uuid",
                        domain.uuid().toString())
                .start();
        children.add(child);
        Files.writeString(pidDirectory.resolve(domain.name() + ".pid"), Long.toString(child.pid()));
    }

    private static void await(java.util.function.BooleanSupplier condition) {
        long untilNanos = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(untilNanos);
            Thread.onSpinWait();
        }
    }
}
