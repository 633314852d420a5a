/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Files of a lease directory on a real file system: made whole or not at all, read and written by the sector. */
@Execution(ExecutionMode.CONCURRENT)
class LeaseDirectoryTest {
    private static final LeaseName NAME = new LeaseName("R1");
    private static final int AREA = 1 << 20;
    private static final Duration LIMIT = Duration.ofSeconds(10);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private static byte[] pattern(int length, int seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private LeaseDirectory store(int seed) {
        return new LeaseDirectory(dir, new LinuxClock(), new Random(seed));
    }

    @Test
    void aNewFileAppearsWithAllItsBytesAndNothingElseStays() throws IOException {
        byte[] fresh = pattern(AREA, 1);
        Opened.Ready opened = (Opened.Ready) store(1).open(NAME, AREA, () -> fresh, true);
        opened.file().close();
        assertThat(opened.created()).isTrue();
        assertThat(dir.resolve("R1")).hasBinaryContent(fresh);
        try (Stream<Path> files = Files.list(dir)) {
            assertThat(files).containsExactly(dir.resolve("R1"));
        }
    }

    @Test
    void aFileThatIsThereIsKept() {
        byte[] first = pattern(AREA, 1);
        ((Opened.Ready) store(1).open(NAME, AREA, () -> first, true)).file().close();
        Opened.Ready again = (Opened.Ready) store(2).open(NAME, AREA, () -> pattern(AREA, 2), true);
        again.file().close();
        assertThat(again.created()).isFalse();
        assertThat(dir.resolve("R1")).hasBinaryContent(first);
    }

    /** To make a server that does so needs one: that is tried elsewhere. */
    @Test
    void aRootThatIsRefusedIsToldOfTheServerThatMayTakeItForNobody() {
        assertThat(Libc.leaseText(Libc.EACCES))
                .startsWith("permission denied (errno 13). ")
                .contains("no_root_squash");
        assertThat(Libc.leaseText(Libc.EPERM))
                .startsWith("operation not permitted (errno 1). ")
                .contains("no_root_squash");
        assertThat(Libc.leaseText(Libc.ENOSPC)).isEqualTo("no space left (errno 28). Make room");
    }

    @Test
    void anAbsentFileIsRefusedWhereItMayNotBeMade() {
        Opened.Refused refused = (Opened.Refused) store(1).open(NAME, AREA, () -> new byte[AREA], false);
        assertThat(refused.fault()).isEqualTo(LeaseFault.MISSING);
        assertThat(refused.why()).isEqualTo(dir.resolve("R1") + ": no such file");
        assertThat(dir).isEmptyDirectory();
    }

    @Test
    void ofManyThatMakeOneFileAtOnceExactlyOneMakesIt() throws Exception {
        int hosts = 8;
        ExecutorService threads = Executors.newFixedThreadPool(hosts);
        try {
            for (int round = 0; round < 10; round++) {
                LeaseName name = new LeaseName("race-" + round);
                CyclicBarrier together = new CyclicBarrier(hosts);
                List<Callable<Opened.Ready>> all = new ArrayList<>();
                for (int host = 0; host < hosts; host++) {
                    int seed = host;
                    all.add(() -> {
                        together.await();
                        return (Opened.Ready) store(seed).open(name, AREA, () -> pattern(AREA, seed), true);
                    });
                }
                int makers = 0;
                List<Integer> made = new ArrayList<>();
                List<Future<Opened.Ready>> results = threads.invokeAll(all);
                for (int host = 0; host < hosts; host++) {
                    Opened.Ready ready = results.get(host).get();
                    ready.file().close();
                    if (ready.created()) {
                        makers++;
                        made.add(host);
                    }
                }
                assertThat(makers).isEqualTo(1);
                assertThat(dir.resolve(name.value())).hasBinaryContent(pattern(AREA, made.get(0)));
            }
            try (Stream<Path> files = Files.list(dir)) {
                assertThat(files.map(f -> f.getFileName().toString())).noneMatch(f -> f.startsWith("."));
            }
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void aFileThatAStockHostHasJustBegunIsWaitedFor() throws Exception {
        byte[] finished = pattern(AREA, 3);
        Path file = Files.createFile(dir.resolve("R1"));
        ScheduledExecutorService stock = Executors.newSingleThreadScheduledExecutor();
        try {
            Future<Path> filled = stock.schedule(() -> Files.write(file, finished), 700, TimeUnit.MILLISECONDS);
            Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> new byte[AREA], true);
            ready.file().close();
            filled.get();
            assertThat(ready.created()).isFalse();
            assertThat(file).hasBinaryContent(finished);
        } finally {
            stock.shutdown();
        }
    }

    @Test
    void aFileThatWasBegunLongAgoIsRefusedWithoutWaiting() throws IOException {
        Files.setLastModifiedTime(Files.createFile(dir.resolve("R1")), FileTime.fromMillis(1_000_000_000_000L));
        long startedNanos = System.nanoTime();
        Opened.Refused refused = (Opened.Refused) store(1).open(NAME, AREA, () -> new byte[AREA], true);
        assertThat(refused.fault()).isEqualTo(LeaseFault.SHORT);
        // It would wait for 5 s; a look alone takes more than a second on a machine with too much to do.
        assertThat(Duration.ofNanos(System.nanoTime() - startedNanos)).isLessThan(Duration.ofSeconds(4));
    }

    @Test
    void aFileThatIsNeverFinishedIsRefusedAfterSomeSeconds() throws IOException {
        Files.createFile(dir.resolve("R1"));
        long startedNanos = System.nanoTime();
        Opened.Refused refused = (Opened.Refused) store(1).open(NAME, AREA, () -> new byte[AREA], true);
        assertThat(refused.fault()).isEqualTo(LeaseFault.SHORT);
        assertThat(Duration.ofNanos(System.nanoTime() - startedNanos)).isLessThan(Duration.ofSeconds(25));
        assertThat(dir.resolve("R1")).isEmptyFile();
    }

    @Test
    void oneSectorIsWrittenAndItsNeighboursStay() throws IOException {
        byte[] area = pattern(AREA, 4);
        byte[] sector = pattern(512, 5);
        Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> area, true);
        try (var file = ready.file()) {
            assertThat(file.write(3 * 512, sector, LIMIT)).isInstanceOf(IoOutcome.Done.class);
            assertThat(((IoOutcome.Done) file.read(3 * 512, 512, LIMIT)).bytes())
                    .isEqualTo(sector);
        }
        System.arraycopy(sector, 0, area, 3 * 512, 512);
        assertThat(dir.resolve("R1")).hasBinaryContent(area);
    }

    @Test
    void aReadBeyondTheEndIsShort() {
        Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> new byte[AREA], true);
        try (var file = ready.file()) {
            assertThat(file.read(AREA - 512, 1024, LIMIT))
                    .isInstanceOfSatisfying(
                            IoOutcome.Failed.class,
                            failed -> assertThat(failed.fault()).isEqualTo(LeaseFault.SHORT));
        }
    }

    @Test
    void anIoThatTookLongerThanItsLimitIsReportedAsTimedOut() {
        Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> new byte[AREA], true);
        try (var file = ready.file()) {
            assertThat(file.read(0, 512, Duration.ZERO))
                    .isInstanceOfSatisfying(
                            IoOutcome.Failed.class,
                            failed -> assertThat(failed.fault()).isEqualTo(LeaseFault.TIMED_OUT));
        }
    }

    @Test
    void aFileThatWasRemovedOrReplacedIsNotNamedAnyMore() throws IOException {
        Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> new byte[AREA], true);
        try (var file = ready.file()) {
            assertThat(file.stillNamed()).isTrue();
            Files.delete(dir.resolve("R1"));
            assertThat(file.stillNamed()).isFalse();
            Files.write(dir.resolve("R1"), new byte[AREA]);
            assertThat(file.stillNamed()).isFalse();
        }
    }

    @Test
    void aLocalLockIsHeldByOneAtATime() {
        Path file = dir.resolve("lock");
        LocalLock first = LocalLock.tryTake(file).orElseThrow();
        assertThat(LocalLock.tryTake(file)).isEmpty();
        first.close();
        LocalLock.tryTake(file).orElseThrow().close();
    }

    @Test
    void wholeAreasAreReadInOneGo() {
        byte[] area = pattern(AREA, 6);
        Opened.Ready ready = (Opened.Ready) store(1).open(NAME, AREA, () -> area, true);
        try (var file = ready.file()) {
            assertThat(Arrays.equals(((IoOutcome.Done) file.read(0, AREA, LIMIT)).bytes(), area))
                    .isTrue();
        }
    }
}
