/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static io.vmguard.test.Site.LS;
import static io.vmguard.test.Site.OUR_ID;
import static io.vmguard.test.Site.R1;
import static io.vmguard.test.Site.STOCK_ID;
import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LeaseDirectory;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.engine.EngineSettings;
import io.vmguard.lease.engine.HostIdentity;
import io.vmguard.lease.engine.LeaseEngine;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What leases cost us and the stock daemon, side by side: the same directory, the same machine, in turns. Not a test: run by
 * {@code test/bench/lease.sh}.
 *
 * <p>Ours is timed from the caller's thread in this process, stock's from a client that is connected already. Bytes are the kernel's
 * count for each process ({@code /proc/PID/io}), so all that either does in that time is in them.
 */
@NeedsTestImage
class LeaseBenchmark {
    private static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    private static final LeaseNote USER =
            new LeaseNote("demo1", "7b1c6b1e-4a57-4a3b-9d26-1f6a0b8c2d3e", "vda (file)", "our-node", 1_700_000_000);
    private static final Path RESULT = Path.of("target", "lease-benchmark.txt");
    private static final int TURNS = 5;
    private static final int ROUNDS = 10;
    private static final int DOMAINS = 200;
    private static final int DISKS = 2;
    /** Renewals come every 2 T. */
    private static final Duration WATCHED = Duration.ofSeconds(14);

    private final List<String> lines = new ArrayList<>();

    @Test
    void everything() throws Exception {
        say("%d CPUs, load average %.1f; 512-byte sectors; medians", cpus(), load());
        say("");
        byHosts();
        renewals();
        inspection();
        say("");
        say("load average afterwards %.1f", load());
        Files.write(RESULT, lines);
    }

    // ---- acquire and release

    private record Cost(double millis, double kibRead, double kibWritten) {}

    private void byHosts() throws Exception {
        say("Acquire and release of one free lease, by the hosts that it is made for (ours: 254, stock's: 2000)");
        say(
                "%-8s%12s%12s%10s%14s%14s%10s",
                "hosts", "vmguard ms", "sanlock ms", "ratio", "vmguard KiB", "sanlock KiB", "ratio");
        for (int hosts : new int[] {10, 254, 2000}) {
            try (Pair pair = new Pair(hosts)) {
                List<String> one = List.of(R1);
                pair.ours(one, 1);
                Cost[] cost = pair.compare(one, one, ROUNDS);
                say(
                        "%-8d%12.2f%12.2f%10.2f%14.0f%14.0f%10.2f",
                        hosts,
                        cost[0].millis,
                        cost[1].millis,
                        cost[1].millis / cost[0].millis,
                        cost[0].kibRead + cost[0].kibWritten,
                        cost[1].kibRead + cost[1].kibWritten,
                        (cost[0].kibRead + cost[0].kibWritten) / (cost[1].kibRead + cost[1].kibWritten));
                if (hosts == 254) {
                    several(pair);
                }
            }
        }
        lines.addAll(severalLines);
    }

    private final List<String> severalLines = new ArrayList<>();

    /** Each side with the files that it makes itself. */
    private void several(Pair pair) throws Exception {
        severalLines.add("");
        severalLines.add(
                "Leases of one domain, then back; ours made for 254 hosts, stock's for 2000, as each makes them");
        severalLines.add(format(
                "%-22s%12s%12s%10s%14s%14s%10s",
                "leases", "vmguard ms", "sanlock ms", "ratio", "vmguard KiB", "sanlock KiB", "ratio"));
        List<String> ours = names("ours", DOMAINS * DISKS);
        List<String> stocks = names("stock", DOMAINS * DISKS);
        pair.ours(ours, 1);
        pair.stock("make", stocks);
        for (int count : new int[] {1, 8, 32}) {
            Cost[] cost = pair.compare(ours.subList(0, count), stocks.subList(0, count), count == 32 ? 3 : 5);
            severalLines.add(row("" + count, cost, count));
        }
        double[] our = new double[3];
        double[] stock = new double[3];
        for (int i = 0; i < our.length; i++) {
            long begun = System.nanoTime();
            pair.acquire(ours);
            our[i] = (System.nanoTime() - begun) / 1e6;
            pair.release(ours);
            stock[i] = pair.stock("storm", prefixed(DISKS, stocks)).get(0) / 1e6;
        }
        severalLines.add("");
        severalLines.add(format(
                "Boot storm, %d domains with %d disks each at once, until all have their leases: vmguard %.0f ms, sanlock %.0f ms, ratio %.1f",
                DOMAINS, DISKS, median(our), median(stock), median(stock) / median(our)));
    }

    private static String row(String what, Cost[] cost, int count) {
        double our = (cost[0].kibRead + cost[0].kibWritten) / count;
        double stock = (cost[1].kibRead + cost[1].kibWritten) / count;
        return format(
                "%-22s%12.2f%12.2f%10.2f%14.0f%14.0f%10.2f",
                what + (count > 1 ? " (KiB for each)" : ""),
                cost[0].millis,
                cost[1].millis,
                cost[1].millis / cost[0].millis,
                our,
                stock,
                our / stock);
    }

    private static List<String> names(String prefix, int count) {
        return IntStream.rangeClosed(1, count).mapToObj(i -> prefix + i).toList();
    }

    private static List<String> prefixed(Object first, List<String> rest) {
        return Stream.concat(Stream.of(first.toString()), rest.stream()).toList();
    }

    /** Our engine in this process and a stock daemon in a container, members of one lockspace. */
    private static final class Pair implements AutoCloseable {
        final Site site = new Site(Geometry.SECTORS_512);
        final LeaseEngine engine;
        final AtomicInteger renewals = new AtomicInteger();
        final SanlockHost stock;
        private final String script;

        Pair(int hosts) throws Exception {
            script = Files.readString(Path.of("bench", "stock-leases.py"));
            Path local = site.newLocal();
            // In memory, as on a host: on this disk each record would be flushed with the next write of a lease.
            Path run = Files.createTempDirectory(Path.of("/dev/shm"), "vmguard-bench-");
            site.<AutoCloseable>closing(() -> remove(run));
            SecureRandom random = new SecureRandom();
            engine = LeaseEngine.open(
                    new EngineSettings(
                            new LeaseName(LS),
                            Site.TIMEOUTS,
                            OptionalInt.of(OUR_ID),
                            HostIdentity.ofThisMachine(local.resolve("state"), random),
                            run,
                            local.resolve("state"),
                            LAYOUT,
                            hosts),
                    site.leases().path(),
                    random,
                    new Counting(renewals));
            site.closing(engine);
            engine.join();
            Eventually.await("membership", Site.SOON, engine::member);
            stock = site.stock("stock");
            // On a lease that is made for ten hosts a higher id could not even ask.
            stock.join(hosts < STOCK_ID ? OUR_ID + 1 : STOCK_ID);
        }

        private static void remove(Path directory) throws IOException {
            try (Stream<Path> all = Files.walk(directory)) {
                for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(path);
                }
            }
        }

        void acquire(List<String> names) {
            List<CompletableFuture<AcquireResult>> answers = names.stream()
                    .map(name -> engine.acquire(new LeaseName(name), USER))
                    .toList();
            answers.forEach(answer -> assertThat(answer.join()).isInstanceOf(AcquireResult.Acquired.class));
        }

        void release(List<String> names) {
            List<CompletableFuture<ReleaseResult>> answers = names.stream()
                    .map(name -> engine.release(new LeaseName(name)))
                    .toList();
            answers.forEach(answer -> assertThat(answer.join()).isInstanceOf(ReleaseResult.Released.class));
        }

        double[] ours(List<String> names, int rounds) {
            double[] millis = new double[rounds];
            for (int i = 0; i < rounds; i++) {
                long begun = System.nanoTime();
                acquire(names);
                release(names);
                millis[i] = (System.nanoTime() - begun) / 1e6;
            }
            return millis;
        }

        List<Long> stock(String deed, List<String> arguments) {
            return stock.run(
                            Duration.ofSeconds(120),
                            Stream.concat(Stream.of("python3", "-c", script, deed, LS, "/leases"), arguments.stream())
                                    .toArray(String[]::new))
                    .mustSucceed()
                    .stdout()
                    .lines()
                    .map(Long::valueOf)
                    .toList();
        }

        /** In turns. */
        Cost[] compare(List<String> ours, List<String> stocks, int rounds) throws IOException {
            ours(ours, ours.size() == 1 ? 40 : 5); // the JIT compiler's turn
            stock("rounds", prefixed(2, stocks));
            List<Double> our = new ArrayList<>();
            List<Double> theirs = new ArrayList<>();
            long[] ourBytes = new long[2];
            long[] theirBytes = new long[2];
            for (int turn = 0; turn < TURNS; turn++) {
                long[] before = ourIo();
                Arrays.stream(ours(ours, rounds)).forEach(our::add);
                add(ourBytes, before, ourIo());
                before = stockIo();
                stock("rounds", prefixed(rounds, stocks)).forEach(nanos -> theirs.add(nanos / 1e6));
                add(theirBytes, before, stockIo());
            }
            return new Cost[] {cost(our, ourBytes, rounds), cost(theirs, theirBytes, rounds)};
        }

        private static Cost cost(List<Double> millis, long[] bytes, int rounds) {
            double all = 1024.0 * TURNS * rounds;
            return new Cost(
                    median(millis.stream().mapToDouble(Double::doubleValue).toArray()), bytes[0] / all, bytes[1] / all);
        }

        private static void add(long[] sums, long[] before, long[] after) {
            sums[0] += after[0] - before[0];
            sums[1] += after[1] - before[1];
        }

        long[] ourIo() throws IOException {
            return io(Files.readString(Path.of("/proc/self/io")));
        }

        long[] stockIo() {
            return io(stock.run("cat", "/proc/1/io").mustSucceed().stdout());
        }

        private static long[] io(String text) {
            return new long[] {field(text, "read_bytes"), field(text, "write_bytes")};
        }

        private static long field(String text, String name) {
            return text.lines()
                    .filter(line -> line.startsWith(name + ": "))
                    .mapToLong(line -> Long.parseLong(line.substring(name.length() + 2)))
                    .findFirst()
                    .orElseThrow();
        }

        /** Of all threads of the daemon. */
        double stockCpuMillis() {
            String stat = stock.run("cat", "/proc/1/stat").mustSucceed().stdout();
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) * 10.0;
        }

        @Override
        public void close() {
            site.close();
        }
    }

    // ---- renewals

    private void renewals() throws Exception {
        say("");
        say("One renewal, by the hosts that renew in the lockspace (stock: all of the daemon's CPU time in it)");
        say("%-8s%16s%16s%14s%14s", "hosts", "vmguard CPU ms", "sanlock CPU ms", "vmguard KiB", "sanlock KiB");
        try (Pair pair = new Pair(2000)) {
            for (int hosts : new int[] {10, 254, 2000}) {
                try (Peers peers = new Peers(pair, hosts)) {
                    peers.awaitSeenBy(pair);
                    renewal(pair, hosts);
                }
            }
        }
    }

    private void renewal(Pair pair, int hosts) throws Exception {
        int count = pair.renewals.get();
        double ourCpu = ourCpuMillis();
        double stockCpu = pair.stockCpuMillis();
        long[] ourIo = pair.ourIo();
        long[] stockIo = pair.stockIo();
        long begun = System.nanoTime();
        Eventually.await("renewals", WATCHED.plusSeconds(30), () -> System.nanoTime() - begun > WATCHED.toNanos());
        double ours = pair.renewals.get() - count;
        // The daemon does not say how often it renews: every 2 T to 2 T + 1 s, as its sector shows.
        double stocks = WATCHED.toSeconds() / (2.0 * Site.T + 0.5);
        say(
                "%-8d%16.1f%16.1f%14.0f%14.0f",
                hosts,
                (ourCpuMillis() - ourCpu) / ours,
                (pair.stockCpuMillis() - stockCpu) / stocks,
                (pair.ourIo()[0] - ourIo[0]) / 1024.0 / ours,
                (pair.stockIo()[0] - stockIo[0]) / 1024.0 / stocks);
    }

    private static double ourCpuMillis() {
        var threads = ManagementFactory.getThreadMXBean();
        return Arrays.stream(threads.getThreadInfo(threads.getAllThreadIds()))
                .filter(info -> info != null && info.getThreadName().equals("vmguard-membership"))
                .mapToDouble(info -> threads.getThreadCpuTime(info.getThreadId()) / 1e6)
                .sum();
    }

    /** Hosts that do nothing but renew, all at once. */
    private static final class Peers implements AutoCloseable {
        private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
        private final LeaseFile file;
        private final int hosts;
        private final AtomicLong timestamp = new AtomicLong(1000);

        Peers(Pair pair, int hosts) {
            this.hosts = hosts;
            this.file = ((LeaseStore.Opened.Ready)
                            new LeaseDirectory(pair.site.leases().path(), new LinuxClock(), new SecureRandom())
                                    .open(new LeaseName(LS), LAYOUT.areaBytes(), () -> new byte[0], false))
                    .file();
            thread.scheduleAtFixedRate(this::renew, 0, 2 * Site.T, TimeUnit.SECONDS);
        }

        void awaitSeenBy(Pair pair) {
            Eventually.await(
                    "all peers to be seen",
                    Site.SOON,
                    () -> pair.engine.view().hosts().size() >= hosts - 2);
        }

        /** In whole runs of sectors; those of the two real members lie between. */
        private void renew() {
            long now = timestamp.incrementAndGet();
            renew(1, OUR_ID - 1, now);
            renew(OUR_ID + 1, Math.min(STOCK_ID - 1, hosts), now);
            renew(STOCK_ID + 1, hosts, now);
        }

        private void renew(int from, int to, long now) {
            if (from > to) {
                return;
            }
            byte[] sectors = new byte[(to - from + 1) * LAYOUT.sectorBytes()];
            for (int id = from; id <= to; id++) {
                byte[] sector = LeaderRecord.freeDelta(LAYOUT, new LeaseName(LS), Site.T)
                        .edit()
                        .owner(new Owner(id, 1))
                        .hostName("peer-" + id)
                        .timestamp(now)
                        .seal()
                        .sector(LAYOUT);
                System.arraycopy(sector, 0, sectors, (id - from) * sector.length, sector.length);
            }
            file.write(LAYOUT.deltaOffset(from), sectors, Duration.ofSeconds(60));
        }

        @Override
        public void close() {
            thread.shutdown();
            Eventually.await("the last renewal of the peers", Site.SOON, thread::isTerminated);
            file.close();
        }
    }

    // ---- inspection

    private void inspection() throws IOException {
        say("");
        say("Looking through a lease directory from outside");
        say("%-10s%10s%14s", "leases", "ms", "ms for each");
        for (int count : new int[] {100, 1000, 10_000}) {
            try (SharedDir dir = SharedDir.create("inspect")) {
                put(dir, LS, LeaseArea.lockspace(LAYOUT, new LeaseName(LS), 10), LAYOUT.areaBytes());
                for (int i = 1; i <= count; i++) {
                    byte[] area = LeaseArea.resource(LAYOUT, new LeaseName(LS), new LeaseName("R" + i), 254);
                    put(dir, "R" + i, area, 2 * LAYOUT.sectorBytes());
                }
                LeaseInspector inspector = new LeaseInspector(new ReadOnlyDirectory(dir.path(), new LinuxClock()));
                long begun = System.nanoTime();
                assertThat(inspector.inspect(LeaseInspector.Depth.HOLDERS).resources())
                        .hasSize(count);
                double millis = (System.nanoTime() - begun) / 1e6;
                say("%-10d%10.0f%14.2f", count, millis, millis / count);
            }
        }
    }

    /** As long as an area, with so many bytes of it written. */
    private static void put(SharedDir dir, String name, byte[] area, int written) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(dir.resolve(name).toFile(), "rw")) {
            file.write(area, 0, written);
            file.setLength(area.length);
        }
    }

    // ---- numbers

    private void say(String format, Object... values) {
        lines.add(format(format, values));
        System.out.println(lines.get(lines.size() - 1));
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    private static int cpus() {
        return Runtime.getRuntime().availableProcessors();
    }

    private static double load() {
        return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    private static final class Counting implements LockspaceListener {
        private final AtomicInteger renewals;

        Counting(AtomicInteger renewals) {
            this.renewals = renewals;
        }

        @Override
        public void renewed(Renewal renewal) {
            renewals.incrementAndGet();
        }

        @Override
        public void joined(Owner owner, boolean resumed) {}

        @Override
        public void joinFailed(LeaseFault fault, String why) {}

        @Override
        public void renewalLate(String why) {}

        @Override
        public void renewalRecovered() {}

        @Override
        public void lost(LeaseFault fault, String why) {}

        @Override
        public void previousLifeLost(Map<LeaseName, LeaseUse> users) {}
    }
}
