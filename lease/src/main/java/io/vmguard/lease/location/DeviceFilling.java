/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.device.LeaseDevice;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.random.RandomGenerator;

/**
 * Fills an empty device with lease areas.
 *
 * <p>Only a device whose every byte in question is zero: what is not zero is somebody's. And by one operator at a time: two who begin at
 * once would see the same zeroes, and the slower one would write over leases that hosts took in what the faster one made. So each puts
 * a mark of his own into the last sector of the lockspace's area first, lets the other do so too, and goes on only if his own mark
 * stands there.
 */
final class DeviceFilling {
    private static final int CHUNK_BYTES = 1 << 20;
    private static final String WIPE =
            ". If nobody needs what is there, overwrite it with zeroes first (blkdiscard -z)";

    private final LeaseDevice device;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final Duration settle;
    /** Never counted down: a wait on it is a pause. */
    private final CountDownLatch never = new CountDownLatch(1);

    /** @param settle longer than a write may take that another operator has begun */
    DeviceFilling(LeaseDevice device, LeaseClock clock, RandomGenerator random, Duration settle) {
        this.device = device;
        this.clock = clock;
        this.random = random;
        this.settle = settle;
    }

    int room(int areaBytes) {
        try {
            return (int) Math.min(Integer.MAX_VALUE - 1, Math.max(0, device.bytes() / areaBytes - 1));
        } catch (IOException e) {
            return 0;
        }
    }

    Optional<String> fill(IntFunction<byte[]> area, int areas, int areaBytes, int sectorBytes) {
        Opened opened = device.open(true);
        if (opened instanceof Opened.Refused refused) {
            return Optional.of(refused.why());
        }
        try (LeaseFile file = ((Opened.Ready) opened).file()) {
            write(file, area, areas, areaBytes, sectorBytes);
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of(device.where() + ": " + e.getMessage());
        }
    }

    private void write(LeaseFile file, IntFunction<byte[]> area, int areas, int areaBytes, int sectorBytes)
            throws IOException {
        if (device.bytes() < (long) areas * areaBytes) {
            throw new IOException("there is room for " + device.bytes() / areaBytes
                    + " areas, the lockspace included, not for " + areas);
        }
        if (file.read(sectorBytes, sectorBytes, AreaTable.LIMIT) instanceof IoOutcome.Failed failed) {
            throw new IOException("sectors of " + sectorBytes + " bytes cannot be read (" + failed.why()
                    + "). A device with larger sectors needs --sector 4096");
        }
        requireZeroes(file, (long) areas * areaBytes);
        claim(file, areaBytes - sectorBytes, sectorBytes);
        for (int number = 1; number < areas; number++) {
            put(file, (long) number * areaBytes, area.apply(number));
        }
        // The mark is in the way until the lockspace is there, whole but for its first sector, which makes it one.
        byte[] lockspace = area.apply(0);
        byte[] first = Arrays.copyOf(lockspace, sectorBytes);
        Arrays.fill(lockspace, 0, sectorBytes, (byte) 0);
        put(file, 0, lockspace);
        put(file, 0, first);
    }

    private void requireZeroes(LeaseFile file, long bytes) throws IOException {
        byte[] zeroes = new byte[CHUNK_BYTES];
        for (long offset = 0; offset < bytes; offset += CHUNK_BYTES) {
            byte[] read = get(file, offset, CHUNK_BYTES);
            int where = Arrays.mismatch(read, zeroes);
            if (where >= 0) {
                throw new IOException(
                        String.format(Locale.ROOT, "it is not empty: there is data at offset %d", offset + where)
                                + WIPE);
            }
        }
    }

    private void claim(LeaseFile file, long offset, int sectorBytes) throws IOException {
        byte[] mark = new byte[sectorBytes];
        random.nextBytes(mark);
        Arrays.fill(mark, 0, 4, (byte) 0); // so that no tool takes it for a record
        // Whoever found zeroes here has written his mark within the pause of whoever wrote first, or not at all:
        //   one    zeroes? write, pause ............ mine: go on
        //   other     zeroes? ......write             (late: gives up)     zeroes? no: gives up
        long startedNanos = clock.bootNanos();
        if (!Arrays.equals(get(file, offset, sectorBytes), new byte[sectorBytes])) {
            throw new IOException("somebody else is filling it at this moment");
        }
        put(file, offset, mark);
        if (clock.bootNanos() - startedNanos > settle.toNanos()) {
            throw new IOException("it is too slow to tell whether somebody else is filling it" + WIPE);
        }
        pause();
        if (!Arrays.equals(get(file, offset, sectorBytes), mark)) {
            throw new IOException("somebody else is filling it at this moment");
        }
    }

    private void pause() throws IOException {
        try {
            boolean ignored = never.await(settle.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private static byte[] get(LeaseFile file, long offset, int bytes) throws IOException {
        IoOutcome outcome = file.read(offset, bytes, AreaTable.LIMIT);
        if (outcome instanceof IoOutcome.Failed failed) {
            throw new IOException("reading at offset " + offset + ": " + failed.why());
        }
        return ((IoOutcome.Done) outcome).bytes();
    }

    private static void put(LeaseFile file, long offset, byte[] bytes) throws IOException {
        if (file.write(offset, bytes, AreaTable.LIMIT) instanceof IoOutcome.Failed failed) {
            throw new IOException("writing at offset " + offset + ": " + failed.why());
        }
    }
}
