/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.device.linux.LinuxClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;

/**
 * One lockspace in a directory of its own, with the hosts of both kinds that a test puts around it; all go with it.
 *
 * <p>T is 1 s, the least that the format knows, so a dead host's leases may be taken after 8 x 1 + 60 = 68 s.
 */
final class Site implements AutoCloseable {
    static final String LS = "LS";
    static final String R1 = "R1";
    static final int T = 1;
    static final Timeouts TIMEOUTS = Timeouts.ofSeconds(T);
    /** 8 T + 60 s. */
    static final long DEAD_SECONDS = TIMEOUTS.hostDead().toSeconds();

    /** For answers that need no waiting but for a loaded machine. */
    static final Duration SOON = Duration.ofSeconds(20);
    /** A takeover: the dead time, a renewal interval until the last sighting, and room for polling and load. */
    static final Duration TAKEOVER = TIMEOUTS.hostDead().plusSeconds(25);

    /** Of the stock host that most tests have. */
    static final int STOCK_ID = 77;
    /** Of ours where it must not be left to chance. */
    static final int OUR_ID = 9;

    final LinuxClock clock = new LinuxClock();

    private final Geometry geometry;
    private final SharedDir leases = SharedDir.createInMemory("leases");
    private final SharedDir local = SharedDir.createInMemory("local");
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private final List<String> seen = new ArrayList<>();
    private final long startedNanos = clock.bootNanos();
    private int locals;

    Site(Geometry geometry) {
        this.geometry = geometry;
    }

    Geometry geometry() {
        return geometry;
    }

    SharedDir leases() {
        return leases;
    }

    RawLease raw(String name) {
        return new RawLease(leases.resolve(name), geometry);
    }

    // ---- stock hosts

    /** A stock daemon that is no member yet. */
    SanlockHost stock(String name, String... daemonOptions) {
        return closing(SanlockHost.start(name, leases, LS, T, geometry, daemonOptions));
    }

    /** A stock host that has made the lockspace and {@link #R1}, and is a member as {@link #STOCK_ID}. */
    SanlockHost stockMember() {
        SanlockHost stock = stockFounder();
        stock.join(STOCK_ID);
        return stock;
    }

    /** A stock host that has made the lockspace and {@link #R1}, and is no member. */
    SanlockHost stockFounder() {
        SanlockHost stock = stock("stock");
        stock.initLockspace();
        stock.initResource(R1);
        return stock;
    }

    // ---- our hosts

    /** Local directories of one more host of ours. */
    Path newLocal() {
        return local.directory("host" + ++locals);
    }

    /** Our engine, a member under any free host id. */
    OurHost us() {
        return joined(open(newLocal(), OptionalInt.empty()));
    }

    /** Our engine, a member under this host id. */
    OurHost us(int hostId) {
        return joined(open(newLocal(), OptionalInt.of(hostId)));
    }

    /** Our engine, no member yet. */
    OurHost open(Path localDir, OptionalInt hostId) {
        return closing(OurHost.open(leases.path(), localDir, LS, T, hostId, geometry));
    }

    private static OurHost joined(OurHost host) {
        host.join();
        host.awaitMember(SOON);
        return host;
    }

    /** One of ours whose steps a test runs one at a time. */
    HandMember handMember(int hostId) {
        return closing(new HandMember(leases, geometry, LS, T, hostId));
    }

    <C extends AutoCloseable> C closing(C closeable) {
        open.push(closeable);
        return closeable;
    }

    // ---- waiting

    /** Until our engine sees that host so. */
    static void awaitStatus(OurHost us, int hostId, HostStatus status) {
        Eventually.await(
                "host id " + hostId + " to be " + status,
                SOON,
                () -> us.view().hosts().stream()
                        .anyMatch(host -> host.owner().hostId() == hostId && host.status() == status));
    }

    /** Until the stock daemon sees that host so. */
    static void awaitStatus(SanlockHost stock, int hostId, String status) {
        Eventually.await(
                stock.name() + " to see host id " + hostId + " " + status,
                SOON,
                () -> stock.hostStatus(hostId).equals(status));
    }

    /** Until a stock host gets the resource at last; how often it was told before that its owner or a sharer lives. */
    static int acquireAtLast(SanlockHost stock, String resource) {
        int refusals = 0;
        SanlockHost.Attempt attempt = stock.acquire(resource);
        int answer = attempt.answer(TAKEOVER);
        while (answer == SanlockHost.IDLIVE || answer == SanlockHost.SHARED_BY_OTHERS) {
            refusals++;
            attempt = stock.acquire(resource);
            answer = attempt.answer(TAKEOVER);
        }
        if (answer != SanlockHost.HELD) {
            throw new AssertionError("sanlock's answer is " + answer);
        }
        return refusals;
    }

    /** Since that moment of the boot clock. */
    double secondsSince(long nanos) {
        return (clock.bootNanos() - nanos) / 1e9;
    }

    // ---- the report

    /** Notes what was observed. */
    void saw(String format, Object... values) {
        seen.add(String.format(Locale.ROOT, format, values));
    }

    String seen() {
        return String.join("; ", seen);
    }

    double seconds() {
        return secondsSince(startedNanos);
    }

    @Override
    public void close() {
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Exception e) {
                throw new AssertionError("cannot close", e);
            }
        }
        leases.close();
        local.close();
    }
}
