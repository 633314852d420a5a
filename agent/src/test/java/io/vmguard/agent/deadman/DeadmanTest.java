/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.fence.FenceTimes;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.Timeouts;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the agent leaves for the deadman, and what it notices of it: stepped by hand, in memory. That the deadman understands it is
 * {@link DeadmanScriptTest}'s to show.
 */
class DeadmanTest {
    private static final Path MEMORY = Path.of("/dev/shm");
    private static final LeaseName LS = new LeaseName("LS");
    private static final UUID DEMO = UUID.fromString("7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e");
    private static final ListedProcess ONE = new ListedProcess(101, 5, DEMO, "one");
    private static final ListedProcess TWO = new ListedProcess(102, 6, DEMO, "two");

    private final FakeClock clock = new FakeClock();
    private final List<ListedProcess> guarded = new ArrayList<>();
    private final List<ListedProcess> spared = new ArrayList<>();
    private final Set<ListedProcess> gone = new HashSet<>();

    private Path dir = Path.of("");

    @TempDir
    private Path onDisk;

    @BeforeEach
    void inMemory() throws IOException {
        if (!Files.isDirectory(MEMORY)) {
            System.out.println("DeadmanTest skipped: there is no " + MEMORY);
            Assumptions.abort("there is no " + MEMORY);
        }
        dir = Files.createTempDirectory(MEMORY, "vmguard-deadman-test");
    }

    @AfterEach
    void clear() throws IOException {
        try (var files = Files.list(dir)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(dir);
    }

    private Deadman agent(String bootId, Path runtimeDir) {
        FenceTimes times = new FenceTimes(Timeouts.ofSeconds(10), Duration.ofSeconds(5));
        return new Deadman(
                runtimeDir,
                LS,
                bootId,
                4711,
                times,
                clock,
                process -> !gone.contains(process),
                () -> new Deadman.Orders(guarded, spared));
    }

    private Deadman agent() {
        return agent("boot-1", dir);
    }

    private void step(Deadman deadman) {
        clock.advance(Duration.ofSeconds(1));
        deadman.step();
    }

    private List<String> lines() throws IOException {
        return Files.readAllLines(file()).stream()
                .map(String::strip)
                .filter(line -> !line.equals("free"))
                .toList();
    }

    private Path file() {
        return dir.resolve("LS.deadman");
    }

    private static Renewal at(long seconds) {
        long nanos = Duration.ofSeconds(seconds).toNanos();
        return new Renewal(nanos, nanos + Duration.ofSeconds(80).toNanos(), seconds, Duration.ofMillis(3));
    }

    @Test
    void aRenewalMovesTheDeadlineAsTheTableSays() throws IOException {
        try (Deadman deadman = agent()) {
            assertThat(lines()).containsExactly("vmguard-deadman 1 boot-1 4711", "deadline none");
            deadman.renewed(at(1000));
            String[] fields = lines().get(1).split(" ");
            assertThat(List.of(fields).subList(0, 3)).containsExactly("deadline", "108601", "104001");
        }
    }

    @Test
    void aProcessIsListedUntilItIsProvedGone() throws IOException {
        try (Deadman deadman = agent()) {
            guarded.addAll(List.of(ONE, TWO));
            step(deadman);
            assertThat(lines()).hasSize(4).contains(ONE.line(), TWO.line());
            assertThat(deadman.view().listed()).isEqualTo(2);

            guarded.remove(ONE);
            step(deadman);
            assertThat(lines()).as("nobody proved it gone").contains(ONE.line());
            gone.add(ONE);
            step(deadman);
            assertThat(lines()).hasSize(3).contains(TWO.line());
        }
    }

    @Test
    void aProcessIsListedAsSoonAsTheGuardTellsOfIt() throws Exception {
        AtomicReference<Deadman.Orders> orders = new AtomicReference<>(new Deadman.Orders(List.of(), List.of()));
        CountDownLatch lookedOnce = new CountDownLatch(1);
        FenceTimes times = new FenceTimes(Timeouts.ofSeconds(10), Duration.ofSeconds(5));
        try (Deadman deadman = new Deadman(dir, LS, "boot-1", 4711, times, clock, process -> true, () -> {
            lookedOnce.countDown();
            return orders.get();
        })) {
            deadman.start();
            assertThat(lookedOnce.await(10, TimeUnit.SECONDS)).isTrue();
            orders.set(new Deadman.Orders(List.of(ONE), List.of()));
            deadman.look();
            long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
            while (!lines().contains(ONE.line()) && System.nanoTime() < end) {
                Thread.onSpinWait();
            }
            assertThat(lines()).contains(ONE.line());
        }
    }

    @Test
    void aProcessThatTheGuardSparesIsNotListedAnyMore() throws IOException {
        try (Deadman deadman = agent()) {
            guarded.addAll(List.of(ONE, TWO));
            step(deadman);
            guarded.remove(ONE);
            spared.add(ONE);
            step(deadman);
            assertThat(lines()).hasSize(3).contains(TWO.line());
            spared.clear();
            guarded.add(ONE);
            step(deadman);
            assertThat(lines()).hasSize(4).contains(ONE.line());
        }
    }

    @Test
    void aNewAgentGoesOnWithDeadlineAndListUntilItRenewsItself() throws IOException {
        guarded.add(ONE);
        Deadman before = agent();
        before.renewed(at(1000));
        step(before);
        before.close();
        String deadline = lines().get(1);
        Object inode = Files.readAttributes(file(), "unix:ino");
        guarded.clear();

        try (Deadman after = agent()) {
            step(after);
            assertThat(Files.readAttributes(file(), "unix:ino")).isEqualTo(inode);
            assertThat(lines().subList(1, 3)).containsExactly(deadline, ONE.line());
            after.renewed(at(1020));
            assertThat(lines().get(1)).startsWith("deadline 110601 106001 ");
        }
    }

    @Test
    void whatAnotherBootLeftIsNothing() throws IOException {
        guarded.add(ONE);
        step(agent("boot-0", dir));
        guarded.clear();
        try (Deadman deadman = agent()) {
            step(deadman);
            assertThat(lines()).containsExactly("vmguard-deadman 1 boot-1 4711", "deadline none");
        }
    }

    @Test
    void aFileThatSomebodyRemovedOrCutShortIsMadeAnew() throws IOException {
        guarded.add(ONE);
        try (Deadman deadman = agent()) {
            deadman.renewed(at(1000));
            step(deadman);
            List<String> good = lines();
            Files.delete(file());
            step(deadman);
            assertThat(lines()).isEqualTo(good);

            try (RandomAccessFile raw = new RandomAccessFile(file().toFile(), "rw")) {
                raw.setLength(70);
            }
            step(deadman);
            assertThat(lines()).isEqualTo(good);
        }
    }

    @Test
    void moreProcessesThanThereIsRoomForGetMore() throws IOException {
        for (int i = 0; i < 600; i++) {
            guarded.add(new ListedProcess(1000 + i, i, DEMO, "many"));
        }
        try (Deadman deadman = agent()) {
            step(deadman);
            assertThat(lines()).hasSize(602);
            step(deadman);
            assertThat(lines()).hasSize(602);
        }
    }

    @Test
    void onADiskThereIsNoDeadmanAndItIsSaid() throws IOException {
        Assumptions.assumeFalse(Files.getFileStore(onDisk).type().equals("tmpfs"), onDisk + " is in memory");
        try (Deadman deadman = agent("boot-1", onDisk)) {
            deadman.renewed(at(1000));
            step(deadman);
            assertThat(onDisk).isEmptyDirectory();
            assertThat(deadman.view().problems()).anyMatch(p -> p.contains("not in memory"));
        }
    }

    @Test
    void standingDownTakesTheOrdersAwayForGood() {
        guarded.add(ONE);
        Deadman deadman = agent();
        deadman.standDown();
        deadman.renewed(at(1000));
        step(deadman);
        assertThat(file()).doesNotExist();
    }

    @Test
    void aDeadmanThatDoesNotRunIsSaidAndSoIsItsReturn() throws IOException {
        try (Deadman deadman = agent()) {
            step(deadman);
            assertThat(deadman.view().problems()).as("it is given a moment").isEmpty();
            clock.advance(Duration.ofSeconds(10));
            step(deadman);
            assertThat(deadman.view().problems()).singleElement().asString().contains("the deadman does not run");

            Files.writeString(dir.resolve("deadman.alive"), clock.bootNanos() / 10_000_000 + " 77 \n");
            step(deadman);
            assertThat(deadman.view().problems()).isEmpty();
            assertThat(deadman.view().running()).isTrue();
            clock.advance(Duration.ofSeconds(6));
            step(deadman);
            assertThat(deadman.view().running()).isFalse();
            assertThat(deadman.view().problems()).isNotEmpty();
        }
    }

    @Test
    void aNameCannotBreakTheLine() {
        ListedProcess nasty = new ListedProcess(7, 8, DEMO, "a b\nprocess 1 1 " + "x".repeat(300));
        assertThat(nasty.line()).hasSizeLessThan(DeadmanFile.LINE_BYTES).doesNotContain("\n");
        assertThat(ListedProcess.parse(nasty.line())).contains(nasty);
    }
}
