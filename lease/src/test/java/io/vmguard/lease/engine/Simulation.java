/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.TreeMap;

/**
 * Several hosts, one simulated disk, one seeded scheduler: the shipping protocol machines without threads and without real time.
 *
 * <p>In scope: I/O that takes from a millisecond to minutes, is reported late, fails with or without effect; reads that see the disk
 * at any instant of their duration; writes that land at any instant of theirs, and after a crash at any time later or never; hosts
 * that crash, reboot, freeze and thaw between any two steps; clocks that start anywhere and run at rates 0.1 % apart. A host whose
 * users are not gone 8 T + 60 s after its last renewal is reset by its watchdog.
 *
 * <p>Out of scope: a disk that tears sectors, loses acknowledged writes or returns stale data; a watchdog that does not fire; shared
 * holders; foreign software on the disk.
 */
final class Simulation {
    static final LeaseLayout LAYOUT = LeaseLayout.SECTOR_512;
    static final LeaseName LOCKSPACE = new LeaseName("sim");

    /** A few faults per simulated hour, or none. */
    record Faults(
            double slowIo, double failedIo, double crashesPerHour, double freezesPerHour, boolean lateWritesOfTheDead) {
        static final Faults NONE = new Faults(0, 0, 0, 0, false);
        static final Faults HOSTILE = new Faults(0.01, 0.01, 6, 12, true);
    }

    private record Event(long atNanos, long order, Runnable action) {}

    final Random random;
    final Timeouts timeouts;
    final List<LeaseName> resources;
    final List<SimHost> hosts = new ArrayList<>();
    final List<String> trace = new ArrayList<>();
    Faults faults;
    long nowNanos;
    long acquires;
    long refusals;
    long cannotTells;
    long takeovers;

    private final PriorityQueue<Event> events =
            new PriorityQueue<>(Comparator.comparingLong(Event::atNanos).thenComparingLong(Event::order));
    private long order;
    private final byte[] lockspace;
    private final Map<LeaseName, byte[]> areas = new HashMap<>();
    private final Map<LeaseName, SimHost> users = new TreeMap<>(Comparator.comparing(LeaseName::value));

    Simulation(long seed, int hostCount, int resourceCount, int ioTimeoutSeconds, Faults faults) {
        this.random = new Random(seed);
        this.timeouts = Timeouts.ofSeconds(ioTimeoutSeconds);
        this.faults = faults;
        this.lockspace = LeaseArea.lockspace(LAYOUT, LOCKSPACE, ioTimeoutSeconds);
        List<LeaseName> names = new ArrayList<>();
        for (int i = 0; i < resourceCount; i++) {
            LeaseName name = new LeaseName("disk-" + i);
            names.add(name);
            // Few hosts, few disk blocks: the same code, a thousand times faster.
            areas.put(name, LeaseArea.resource(LAYOUT, LOCKSPACE, name, 16));
        }
        this.resources = List.copyOf(names);
        for (int i = 0; i < hostCount; i++) {
            SimHost host = new SimHost(this, i);
            hosts.add(host);
            after(millis(random.nextInt(5000)), host::boot);
        }
    }

    void runFor(Duration length) {
        long endNanos = nowNanos + length.toNanos();
        while (!events.isEmpty() && events.peek().atNanos() <= endNanos) {
            Event event = events.poll();
            nowNanos = event.atNanos();
            event.action().run();
        }
        nowNanos = endNanos;
    }

    void after(long delayNanos, Runnable action) {
        events.add(new Event(nowNanos + delayNanos, order++, action));
    }

    static long millis(long millis) {
        return millis * 1_000_000;
    }

    void say(String what) {
        trace.add("%.3f %s".formatted(nowNanos / 1e9, what));
    }

    // ---- who uses what: the property under test

    void use(SimHost host, LeaseName resource) {
        SimHost other = users.get(resource);
        if (other != null) {
            throw new AssertionError(host + " uses " + resource + " while " + other + " does");
        }
        users.put(resource, host);
    }

    void stopUse(SimHost host, LeaseName resource) {
        users.remove(resource, host);
    }

    // ---- the disk

    private byte[] area(Step.Area area, LeaseName resource) {
        return area == Step.Area.LOCKSPACE ? lockspace : areas.get(resource);
    }

    /** How long this I/O takes. */
    private long ioNanos() {
        if (random.nextDouble() < faults.slowIo()) {
            return switch (random.nextInt(3)) {
                case 0 ->
                    millis(random.nextInt(1, 2 * (int) timeouts.ioTimeout().toMillis()));
                case 1 ->
                    millis(random.nextInt(1, 9 * (int) timeouts.ioTimeout().toMillis()));
                default -> millis(random.nextInt(1, 200_000));
            };
        }
        return millis(1) + random.nextInt(20_000_000);
    }

    /** Carries out one read or write for a life of a host; the continuation is called only if that life still lasts. */
    <R> void io(SimHost.Life life, Step<R> step, LeaseName resource, java.util.function.Consumer<Step<R>> next) {
        long tookNanos = ioNanos();
        boolean fails = random.nextDouble() < faults.failedIo();
        if (step instanceof Step.Read<R> read) {
            byte[][] seen = new byte[1][];
            after((long) (tookNanos * random.nextDouble()), () -> {
                int from = (int) read.offsetBytes();
                seen[0] = Arrays.copyOfRange(area(read.area(), resource), from, from + read.lengthBytes());
            });
            after(
                    tookNanos,
                    () -> life.resume(
                            () -> next.accept(read.then().apply(outcome(fails, tookNanos, read.limit(), seen[0])))));
        } else if (step instanceof Step.Write<R> write) {
            boolean lands = !fails || random.nextBoolean();
            after((long) (tookNanos * random.nextDouble()), () -> land(life, write, resource, lands));
            after(
                    tookNanos,
                    () -> life.resume(() ->
                            next.accept(write.then().apply(outcome(fails, tookNanos, write.limit(), new byte[0])))));
        }
    }

    private <R> void land(SimHost.Life life, Step.Write<R> write, LeaseName resource, boolean lands) {
        Runnable put = () -> System.arraycopy(
                write.sector(), 0, area(write.area(), resource), (int) write.offsetBytes(), write.sector().length);
        if (!lands) {
            return;
        }
        if (!life.crashed()) {
            put.run();
        } else if (faults.lateWritesOfTheDead() && write.area() == Step.Area.RESOURCE && random.nextInt(3) == 0) {
            // It was on its way when the host died: storage may carry it out whenever it likes.
            after(millis(random.nextInt(300_000)), () -> {
                say("late write of a dead host lands at " + write.offsetBytes() + " of " + resource);
                put.run();
            });
        }
    }

    private static IoOutcome outcome(boolean fails, long tookNanos, Duration limit, byte[] bytes) {
        if (fails) {
            return new IoOutcome.Failed(LeaseFault.IO, "simulated error");
        }
        return tookNanos > limit.toNanos()
                ? new IoOutcome.Failed(LeaseFault.TIMED_OUT, "simulated stall")
                : new IoOutcome.Done(bytes);
    }

    byte[] lockspaceNow() {
        return lockspace.clone();
    }
}
