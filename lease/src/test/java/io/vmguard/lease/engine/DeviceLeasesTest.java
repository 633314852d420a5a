/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import static io.vmguard.lease.engine.LiveHost.LS;
import static io.vmguard.lease.engine.LiveHost.NOTE;
import static io.vmguard.lease.engine.LiveHost.R1;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.engine.FaultyStore.Kind;
import io.vmguard.lease.engine.LiveHost.Machine;
import io.vmguard.lease.engine.LiveHost.Machine.Rules;
import io.vmguard.lease.inspect.Geometry;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.testing.Await;
import io.vmguard.lease.testing.Mounted;
import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Leases side by side on a device that all hosts are given: who makes it, how leases get their areas when hosts race for them, die over
 * it, or find it damaged. A plain file stands for the device, and a loop device where there can be one.
 */
@Execution(ExecutionMode.CONCURRENT)
class DeviceLeasesTest {
    private static final LeaseLayout SMALL = LeaseLayout.SECTOR_512;
    private static final int AREAS = 20;
    private static final Duration PATIENCE = Duration.ofSeconds(15);
    /** Who fills a device gives up if a look and a write take longer; a busy disk may need a second for that. */
    private static final Duration SETTLE = Duration.ofSeconds(3);

    private static final Duration SHORT_SETTLE = Duration.ofMillis(300);

    @TempDir(factory = UnderTarget.class)
    Path dir;

    private Path device;
    private Machine a;
    private Machine b;

    @BeforeEach
    void aDeviceAndTwoMachines() {
        device = dir.resolve("device");
        a = Machine.at(device, dir.resolve("a"));
        b = Machine.at(device, dir.resolve("b"));
    }

    static Stream<LeaseLayout> layouts() {
        return LeaseLayout.all().stream().filter(layout -> layout.areaBytes() <= 2 << 20);
    }

    // ---- making it

    @ParameterizedTest
    @MethodSource("layouts")
    void aFilledDeviceHoldsWhatASanlockHostWouldMakeAtEachOffset(LeaseLayout layout) throws IOException {
        assertThat(fill(layout)).isEmpty();
        int hosts = Math.min(254, layout.maxHosts());
        assertThat(bytes(layout, 1)).isEqualTo(LeaseArea.resource(layout, LS, AreaPool.NAMES, hosts));
        assertThat(bytes(layout, 2)).isEqualTo(LeaseArea.resource(layout, LS, AreaPool.standIn(2), hosts));
        assertThat(bytes(layout, AREAS)).isEqualTo(LeaseArea.resource(layout, LS, AreaPool.standIn(AREAS), hosts));
        byte[] lockspace = bytes(layout, 0);
        byte[] stock = LeaseArea.lockspace(layout, LS, LiveHost.T);
        int last = (int) layout.noteOffset(); // our rules
        assertThat(Arrays.copyOf(lockspace, last)).isEqualTo(Arrays.copyOf(stock, last));
    }

    @Test
    void aDeviceWithAnyByteOnItIsNotTouched() throws IOException {
        blank(SMALL);
        put(7 * SMALL.areaBytes() + 12_345, new byte[] {1});
        byte[] before = Files.readAllBytes(device);
        assertThat(make(SMALL).orElseThrow()).contains("there is data at offset " + (7 * SMALL.areaBytes() + 12_345));
        assertThat(Files.readAllBytes(device)).isEqualTo(before);
        put(7 * SMALL.areaBytes() + 12_345, new byte[] {0});
        assertThat(make(SMALL)).isEmpty();
        assertThat(make(SMALL).orElseThrow()).contains("it is not empty: there is data at offset 0");
    }

    @Test
    void ofTwoWhoFillADeviceAtOnceOneDoes() throws IOException {
        blank(SMALL);
        List<CompletableFuture<Optional<String>>> both = Stream.of(1, 2)
                .map(operator -> CompletableFuture.supplyAsync(() -> {
                    try {
                        return make(SMALL);
                    } catch (IOException e) {
                        throw new AssertionError(e);
                    }
                }))
                .toList();
        List<Optional<String>> answers =
                both.stream().map(CompletableFuture::join).toList();
        assertThat(answers)
                .as("at most one, or both gave way")
                .filteredOn(Optional::isEmpty)
                .hasSizeLessThan(2);
        assertThat(answers.stream().flatMap(Optional::stream))
                .allMatch(why -> why.contains("somebody else is filling it") || why.contains("not empty"));
    }

    @Test
    void anAgentDoesNotFillADeviceByItself() throws IOException {
        blank(SMALL);
        try (LiveHost host = a.join()) {
            host.awaitEvent("joinFailed MAGIC " + device + ": the device is empty. Make one with vmguard lease init");
        }
        assertThat(bytes(SMALL, 0)).containsOnly(0);
    }

    @Test
    void aDeviceThatIsTooSmallIsRefused() throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(device.toFile(), "rw")) {
            file.setLength(2L * SMALL.areaBytes());
        }
        assertThat(make(SMALL).orElseThrow()).contains("has room for 1 areas");
    }

    // ---- using it

    @ParameterizedTest
    @MethodSource("layouts")
    void hostsExcludeEachOtherAndShare(LeaseLayout layout) throws IOException {
        filled(layout);
        LeaseName r2 = new LeaseName("R2");
        try (LiveHost one = a.with(Rules.USUAL.layout(layout)).member();
                LiveHost two = b.with(Rules.USUAL.layout(layout)).member()) {
            assertThat(one.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(two.acquire(R1))
                    .isInstanceOfSatisfying(
                            AcquireResult.HeldBy.class,
                            held -> assertThat(held.owner()).isEqualTo(one.owner()));
            Await.until(
                    "the note on its holder",
                    LiveHost.SOON,
                    () -> two.acquire(R1) instanceof AcquireResult.HeldBy held
                            && held.note().equals(Optional.of(NOTE)));
            assertThat(two.acquire(r2)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(LiveHost.answer(one.engine.convert(R1, NOTE, LeaseMode.SHARED)))
                    .isInstanceOf(AcquireResult.Acquired.class);
            assertThat(LiveHost.answer(two.engine.acquire(R1, NOTE, LeaseMode.SHARED, PATIENCE)))
                    .isInstanceOf(AcquireResult.Acquired.class);
            assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(two.release(R1)).isInstanceOf(ReleaseResult.Released.class);
            assertThat(two.release(r2)).isInstanceOf(ReleaseResult.Released.class);
        }
        assertThat(names(layout)).containsExactly(AreaPool.NAMES.value(), "R1", "R2");
        for (int area = 4; area <= AREAS; area++) {
            assertThat(bytes(layout, area))
                    .isEqualTo(
                            LeaseArea.resource(layout, LS, AreaPool.standIn(area), Math.min(254, layout.maxHosts())));
        }
    }

    @Test
    void aSuccessorFindsTheLeasesOfItsPredecessor() throws IOException {
        filled(SMALL);
        try (LiveHost first = a.member()) {
            first.acquire(R1);
            first.kill();
        }
        try (LiveHost second = a.member();
                LiveHost other = b.member()) {
            Await.until(
                    "R1 carried over",
                    LiveHost.SOON,
                    () -> second.engine.carriedOver().contains(R1));
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
            assertThat(second.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(second.release(R1)).isInstanceOf(ReleaseResult.Released.class);
        }
    }

    @Test
    void aLeaseKeepsItsAreaAndIsNotRemoved() throws IOException {
        filled(SMALL);
        try (LiveHost host = a.member()) {
            host.acquire(R1);
            host.release(R1);
            assertThat(LiveHost.answer(host.engine.remove(R1)))
                    .isInstanceOfSatisfying(
                            RemoveResult.Refused.class,
                            no -> assertThat(no.why()).contains("keeps its area"));
        }
        assertThat(names(SMALL)).containsExactly(AreaPool.NAMES.value(), "R1");
    }

    @Test
    void aFullDeviceSaysSoAndItsLeasesGoOn() throws IOException {
        filled(SMALL);
        try (LiveHost host = a.member()) {
            for (int i = 2; i <= AREAS; i++) {
                assertThat(host.acquire(new LeaseName("L" + i))).isInstanceOf(AcquireResult.Acquired.class);
            }
            assertThat(host.acquire(R1))
                    .isInstanceOfSatisfying(
                            AcquireResult.CannotTell.class,
                            no -> assertThat(no.why()).contains("all " + AREAS + " areas of the device have names"));
            assertThat(host.release(new LeaseName("L7"))).isInstanceOf(ReleaseResult.Released.class);
            assertThat(host.acquire(new LeaseName("L7"))).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    // ---- giving areas to leases

    @Test
    void hostsThatRaceForNewLeasesGiveEachOneArea() throws IOException {
        filled(SMALL);
        List<LeaseName> wanted = IntStream.rangeClosed(1, AREAS - 1)
                .mapToObj(i -> new LeaseName("L" + i))
                .toList();
        Machine c = Machine.at(device, dir.resolve("c"));
        try (LiveHost one = a.member();
                LiveHost two = b.member();
                LiveHost three = c.member()) {
            List<CompletableFuture<AcquireResult>> answers = new ArrayList<>();
            for (LiveHost host : List.of(one, two, three)) {
                for (LeaseName name : wanted) {
                    answers.add(host.engine
                            .acquire(name, NOTE, LeaseMode.SHARED, Duration.ofSeconds(60))
                            .thenCompose(result -> host.engine.release(name).thenApply(released -> result)));
                }
            }
            for (CompletableFuture<AcquireResult> answer : answers) {
                assertThat(LiveHost.answer(answer, Duration.ofSeconds(90))).isInstanceOf(AcquireResult.Acquired.class);
            }
        }
        assertThat(names(SMALL)).hasSize(AREAS).doesNotHaveDuplicates().contains("L1", "L" + (AREAS - 1));
        assertThat(leader(SMALL, 1).isFree()).isTrue();
    }

    @ParameterizedTest
    @MethodSource("faults")
    void aLeaseWhoseFirstWritesGoWrongGetsOneAreaAndNobodyIsKeptFromGivingOthers(int write, Kind kind)
            throws IOException {
        filled(SMALL);
        AtomicReference<FaultyStore> store = new AtomicReference<>();
        try (LiveHost host = a.through(real -> {
                            store.set(new FaultyStore(real, LS, SMALL.noteOffset()));
                            return store.get();
                        })
                        .member();
                LiveHost other = b.member()) {
            store.get().failWrite(write, kind);
            AcquireResult first = host.acquire(R1);
            assertThat(store.get().hasFailed()).isTrue();
            if (!(first instanceof AcquireResult.Acquired)) {
                Await.until("R1 at last", LiveHost.SOON, () -> host.acquire(R1) instanceof AcquireResult.Acquired);
            }
            assertThat(LiveHost.answer(other.engine.acquire(new LeaseName("R2"), NOTE, LeaseMode.EXCLUSIVE, PATIENCE)))
                    .isInstanceOf(AcquireResult.Acquired.class);
            assertThat(other.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
        }
        assertThat(names(SMALL)).containsExactly(AreaPool.NAMES.value(), "R1", "R2");
    }

    /** Three writes of the lease on names, the name, two of its release. */
    static Stream<Arguments> faults() {
        return IntStream.range(0, 6)
                .boxed()
                .flatMap(write -> Stream.of(Kind.values()).map(kind -> Arguments.of(write, kind)));
    }

    @Test
    void aProcessThatDiesWhileItGivesNamesLeavesThatToItsSuccessor() throws IOException {
        filled(SMALL);
        Owner owner;
        try (LiveHost host = a.member()) {
            owner = host.owner();
            host.acquire(R1);
            host.kill();
        }
        LeaderRecord names = leader(SMALL, 1);
        put(
                SMALL.areaBytes(),
                names.edit()
                        .owner(owner)
                        .lver(names.lver() + 1)
                        .timestamp(77)
                        .writer(owner, 77)
                        .seal()
                        .sector(SMALL));
        try (LiveHost successor = a.member();
                LiveHost other = b.member()) {
            assertThat(successor.owner()).isEqualTo(owner);
            Await.until(
                    "the lease on names free",
                    LiveHost.SOON,
                    () -> leader(SMALL, 1).isFree());
            assertThat(other.acquire(new LeaseName("R2"))).isInstanceOf(AcquireResult.Acquired.class);
        }
    }

    @Test
    void whileASilentHostHoldsTheLeaseOnNamesOldLeasesGoOnAndNewOnesAreRefusedAtOnce() throws IOException {
        filled(SMALL);
        try (LiveHost host = a.member()) {
            host.acquire(R1);
            host.release(R1);
            Owner dead = new Owner(200, 3);
            LeaderRecord delta = LeaderRecord.freeDelta(SMALL, LS, LiveHost.T)
                    .edit()
                    .owner(dead)
                    .hostName("dead")
                    .timestamp(5)
                    .seal();
            put(SMALL.deltaOffset(200), delta.sector(SMALL));
            LeaderRecord names = leader(SMALL, 1);
            put(
                    SMALL.areaBytes(),
                    names.edit()
                            .owner(dead)
                            .lver(names.lver() + 1)
                            .timestamp(77)
                            .writer(dead, 77)
                            .seal()
                            .sector(SMALL));
            assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(host.acquire(new LeaseName("R2"))).isInstanceOfSatisfying(AcquireResult.CannotTell.class, no -> {
                assertThat(no.fault()).isEqualTo(LeaseFault.LOST_RACE);
                assertThat(no.why()).contains("host id 200 gives areas to leases");
            });
            assertThat(names(SMALL)).containsExactly(AreaPool.NAMES.value(), "R1");
        }
    }

    // ---- damage

    @Test
    void aDamagedAreaMayBeAnyLeaseThatIsNotFound() throws IOException {
        filled(SMALL);
        LeaseName r2 = new LeaseName("R2");
        try (LiveHost host = a.member()) {
            host.acquire(R1);
            host.acquire(r2);
            host.release(R1);
            host.release(r2);
        }
        byte[] whole = bytes(SMALL, 2);
        put(2L * SMALL.areaBytes() + 60, "junk".getBytes(StandardCharsets.US_ASCII));
        try (LiveHost host = a.member()) {
            assertThat(host.acquire(r2)).isInstanceOf(AcquireResult.Acquired.class);
            for (LeaseName unknown : List.of(R1, new LeaseName("R3"))) {
                assertThat(host.acquire(unknown)).isInstanceOfSatisfying(AcquireResult.CannotTell.class, no -> {
                    assertThat(no.fault()).isEqualTo(LeaseFault.CHECKSUM);
                    assertThat(no.why())
                            .contains("the area at offset " + 2 * SMALL.areaBytes() + " is damaged and may be");
                });
            }
            put(2L * SMALL.areaBytes(), whole);
            assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            host.release(R1);
            host.release(r2);
        }
        // Given up for lost, as the operators' guide says.
        put(2L * SMALL.areaBytes(), LeaseArea.resource(SMALL, LS, new LeaseName("vmguard-lost-1"), 2000));
        try (LiveHost host = b.member()) {
            assertThat(host.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            assertThat(host.acquire(r2)).isInstanceOf(AcquireResult.Acquired.class);
        }
        assertThat(names(SMALL)).containsExactly(AreaPool.NAMES.value(), "vmguard-lost-1", "R2", "R1");
    }

    @Test
    void namesOfTheTableItselfAreNoLeases() throws IOException {
        filled(SMALL);
        try (LiveHost host = a.member()) {
            assertThat(host.acquire(AreaPool.standIn(5)))
                    .isInstanceOfSatisfying(
                            AcquireResult.CannotTell.class,
                            no -> assertThat(no.fault()).isEqualTo(LeaseFault.RESOURCE));
        }
    }

    // ---- a real block device

    @ParameterizedTest
    @MethodSource("layouts")
    void aLoopDeviceIsUsedLikeAnyOther(LeaseLayout layout) throws IOException {
        try (LoopDevice loop =
                LoopDevice.of(dir.resolve("image"), (AREAS + 1L) * layout.areaBytes(), layout.sectorBytes())) {
            device = loop.path();
            assertThat(make(layout)).isEmpty();
            Rules rules = Rules.USUAL.layout(layout);
            try (LiveHost one = Machine.at(device, dir.resolve("a")).with(rules).member();
                    LiveHost two =
                            Machine.at(device, dir.resolve("b")).with(rules).member()) {
                assertThat(one.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
                assertThat(two.acquire(R1)).isInstanceOf(AcquireResult.HeldBy.class);
                assertThat(one.release(R1)).isInstanceOf(ReleaseResult.Released.class);
                assertThat(two.acquire(R1)).isInstanceOf(AcquireResult.Acquired.class);
            }
        }
    }

    /** A file behind the loop driver. Where there is none the test is skipped, aloud. */
    private record LoopDevice(Path path) implements AutoCloseable {
        static LoopDevice of(Path image, long bytes, int sectorBytes) throws IOException {
            try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
                file.setLength(bytes);
            }
            Process process = new ProcessBuilder(
                            "losetup", "--find", "--show", "--sector-size", "" + sectorBytes, image.toString())
                    .redirectErrorStream(true)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            Mounted.skipUnless(said.startsWith("/dev/loop"), "needs a loop device: " + said);
            return new LoopDevice(Path.of(said));
        }

        @Override
        public void close() throws IOException {
            new ProcessBuilder("losetup", "--detach", path.toString())
                    .start()
                    .onExit()
                    .join();
        }
    }

    // ---- the device as bytes

    private void blank(LeaseLayout layout) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(device.toFile(), "rw")) {
            file.setLength((AREAS + 1L) * layout.areaBytes());
        }
    }

    private Optional<String> fill(LeaseLayout layout) throws IOException {
        blank(layout);
        return make(layout);
    }

    /** The same for what comes after it, as often as the disk was too slow for it. */
    private void filled(LeaseLayout layout) {
        Await.until("a device", LiveHost.SOON, () -> {
            try {
                Files.deleteIfExists(device);
                blank(layout);
                Optional<String> why = make(layout, SHORT_SETTLE);
                assertThat(why.orElse("too slow")).contains("too slow");
                return why.isEmpty();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
    }

    private Optional<String> make(LeaseLayout layout) throws IOException {
        return make(layout, SETTLE);
    }

    private Optional<String> make(LeaseLayout layout, Duration settle) throws IOException {
        LinuxClock clock = new LinuxClock();
        return new LockspaceMaker(
                        new LeaseInspector(LeaseLocation.toLookAt(device, clock)),
                        new LeaseLocation(device, clock, new Random(), settle))
                .make(
                        LS,
                        Geometry.all().stream()
                                .filter(g ->
                                        g.sectorBytes() == layout.sectorBytes() && g.areaBytes() == layout.areaBytes())
                                .findFirst()
                                .orElseThrow(),
                        Timeouts.ofSeconds(LiveHost.T),
                        Math.min(254, layout.maxHosts()),
                        OptionalInt.empty());
    }

    private byte[] bytes(LeaseLayout layout, int area) {
        try (RandomAccessFile file = new RandomAccessFile(device.toFile(), "r")) {
            byte[] bytes = new byte[layout.areaBytes()];
            file.seek((long) area * layout.areaBytes());
            file.readFully(bytes);
            return bytes;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void put(long offset, byte[] bytes) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(device.toFile(), "rws")) {
            file.seek(offset);
            file.write(bytes);
        }
    }

    private LeaderRecord leader(LeaseLayout layout, int area) {
        return LeaderRecord.at(bytes(layout, area), 0);
    }

    /** Of all areas that have one, in their order. */
    private List<String> names(LeaseLayout layout) {
        return IntStream.rangeClosed(1, AREAS)
                .mapToObj(area -> leader(layout, area).resourceName())
                .filter(name -> !name.startsWith("vmguard-free-"))
                .toList();
    }
}
