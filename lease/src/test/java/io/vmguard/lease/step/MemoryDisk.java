/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.step;

import io.vmguard.lease.LeaseFault;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A lockspace area and a resource area in memory, and who runs machines on them: one step after the other, each at once.
 *
 * <p>What was asked for is kept in order. A test can let an I/O fail, with or without its bytes reaching the disk, and can let
 * something happen right before one: another host's write, or time.
 */
public final class MemoryDisk {
    /** A read as it was asked for. */
    public record Read(Step.Area area, long offset, int length, Duration limit) {}

    /** A write as it was asked for. */
    public record Write(Step.Area area, long offset, byte[] sector, Duration limit) {}

    private enum Fate {
        FAILS,
        LANDS_AND_FAILS
    }

    private final byte[] lockspace;
    private final byte[] resource;
    private final HandClock clock;
    private final List<Read> reads = new ArrayList<>();
    private final List<Write> writes = new ArrayList<>();
    private final List<Duration> pauses = new ArrayList<>();
    private final Map<Integer, Fate> fates = new HashMap<>();
    private final Map<Integer, Runnable> happenings = new HashMap<>();
    private int ios;

    public MemoryDisk(byte[] lockspace, byte[] resource, HandClock clock) {
        this.lockspace = lockspace.clone();
        this.resource = resource.clone();
        this.clock = clock;
    }

    /** Forgets what was asked for and what was to happen; the bytes stay. */
    public MemoryDisk fresh() {
        reads.clear();
        writes.clear();
        pauses.clear();
        fates.clear();
        happenings.clear();
        ios = 0;
        return this;
    }

    /** The nth I/O from now on, counted from 1, fails; nothing of it reaches the disk. */
    public MemoryDisk failing(int nth) {
        fates.put(ios + nth, Fate.FAILS);
        return this;
    }

    /** The nth I/O from now on is reported as failed although it was carried out. */
    public MemoryDisk landingThenFailing(int nth) {
        fates.put(ios + nth, Fate.LANDS_AND_FAILS);
        return this;
    }

    /** Right before the nth I/O from now on. */
    public MemoryDisk before(int nth, Runnable happening) {
        happenings.put(ios + nth, happening);
        return this;
    }

    /** Runs a machine to its end. */
    public <R> R run(Step<R> step) {
        Step<R> now = step;
        while (!(now instanceof Step.End<R>)) {
            now = next(now);
        }
        return ((Step.End<R>) now).result();
    }

    private <R> Step<R> next(Step<R> step) {
        if (step instanceof Step.Pause<R> pause) {
            pauses.add(pause.length());
            clock.pass(pause.length());
            return pause.then().get();
        }
        ios++;
        happenings.getOrDefault(ios, () -> {}).run();
        if (step instanceof Step.Read<R> read) {
            reads.add(new Read(read.area(), read.offsetBytes(), read.lengthBytes(), read.limit()));
            int from = Math.toIntExact(read.offsetBytes());
            byte[] bytes = Arrays.copyOfRange(area(read.area()), from, from + read.lengthBytes());
            return read.then().apply(outcome(bytes));
        }
        Step.Write<R> write = (Step.Write<R>) step;
        writes.add(new Write(write.area(), write.offsetBytes(), write.sector().clone(), write.limit()));
        if (fates.get(ios) != Fate.FAILS) {
            put(write.area(), write.offsetBytes(), write.sector());
        }
        return write.then().apply(outcome(new byte[0]));
    }

    private IoOutcome outcome(byte[] bytes) {
        return fates.containsKey(ios)
                ? new IoOutcome.Failed(LeaseFault.IO, "I/O " + ios + " fails")
                : new IoOutcome.Done(bytes);
    }

    public byte[] area(Step.Area area) {
        return area == Step.Area.LOCKSPACE ? lockspace : resource;
    }

    /** Somebody else's write. */
    public void put(Step.Area area, long offset, byte[] bytes) {
        System.arraycopy(bytes, 0, area(area), Math.toIntExact(offset), bytes.length);
    }

    public List<Read> reads() {
        return List.copyOf(reads);
    }

    public List<Write> writes() {
        return List.copyOf(writes);
    }

    public List<Duration> pauses() {
        return List.copyOf(pauses);
    }
}
