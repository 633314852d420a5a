/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Our engine and stock sanlock daemons on the same lease files: the interoperability matrix, row by row, in each direction and
 * geometry. {@code docs/interop.md} says what the rows are and what was measured.
 *
 * <p>Each row has files and hosts of its own, so they overlap; most of the time they wait for a dead host's 68 s.
 * {@code -Dmatrix.rows=E4,H7} runs some of them, {@code -Dmatrix.times=20} each so often.
 */
@NeedsTestImage
class SanlockMatrixIT {
    /** Rows at a time. They mostly wait; what bounds them is the starting of containers. */
    private static final int AT_A_TIME = 14;

    private static final Path REPORT = Path.of("target", "interop-matrix.txt");

    private static final List<Outcome> OUTCOMES = new ArrayList<>();

    private record Outcome(MatrixRow row, Geometry geometry, String seen, double seconds) {
        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT, "%-4s %-7s %5.1f s  %s: %s", row.id(), geometry, seconds, row.direction(), seen);
        }
    }

    private static Stream<MatrixRow> rows() {
        String wanted = System.getProperty("matrix.rows", "");
        Set<String> ids = Set.of(wanted.split(","));
        return Stream.of(
                        FormatRows.ROWS,
                        HostIdRows.ROWS,
                        StorageRows.ROWS,
                        ExclusiveRows.ROWS,
                        SharedRows.ROWS,
                        RequestRows.ROWS,
                        HandOverRows.ROWS,
                        DeviceRows.ROWS,
                        RaceRows.ROWS)
                .flatMap(List::stream)
                .filter(row -> wanted.isEmpty() || ids.contains(row.id()));
    }

    @TestFactory
    Stream<DynamicTest> matrix() {
        ExecutorService threads = Executors.newFixedThreadPool(AT_A_TIME);
        // Those that take long begin first, or the last of them would run alone at the end.
        List<DynamicTest> tests = rows().sorted(Comparator.comparing(row -> !row.waitsUntilDead()))
                .flatMap(row -> IntStream.range(0, Integer.getInteger("matrix.times", 1))
                        .boxed()
                        .flatMap(time -> Stream.of(Geometry.values()).map(geometry -> test(row, geometry, threads))))
                .toList();
        threads.shutdown();
        return tests.stream();
    }

    private static DynamicTest test(MatrixRow row, Geometry geometry, ExecutorService threads) {
        Future<?> run = threads.submit(() -> run(row, geometry));
        return DynamicTest.dynamicTest(row.id() + " " + geometry + " " + row.direction(), () -> {
            try {
                run.get();
            } catch (ExecutionException e) {
                throw e.getCause();
            }
        });
    }

    private static Void run(MatrixRow row, Geometry geometry) throws Exception {
        Site site = new Site(geometry);
        try (site) {
            row.body().run(site);
            note(new Outcome(row, geometry, site.seen(), site.seconds()));
        } catch (Exception | AssertionError e) {
            String seen = site.seen().isEmpty() ? "" : site.seen() + "; ";
            note(new Outcome(row, geometry, seen + "FAILED: " + e, site.seconds()));
            throw e;
        }
        return null;
    }

    private static void note(Outcome outcome) {
        synchronized (OUTCOMES) {
            OUTCOMES.add(outcome);
        }
    }

    @AfterAll
    static void report() throws IOException {
        List<String> lines = OUTCOMES.stream()
                .sorted(Comparator.comparing(Outcome::geometry)
                        .thenComparing(outcome -> outcome.row().id().charAt(0))
                        .thenComparing(
                                outcome -> Integer.parseInt(outcome.row().id().replaceAll("\\D", "")))
                        .thenComparing(outcome -> outcome.row().id())
                        .thenComparing(outcome -> outcome.row().direction()))
                .map(Outcome::toString)
                .toList();
        System.out.println("interoperability with sanlock\n" + String.join("\n", lines));
        Files.write(REPORT, lines);
    }
}
