/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * Tries what the engine does to storage, and measures it, without touching a lease: in a directory on a hidden file of its own, which is
 * removed again; on a device by reading alone.
 */
public final class IoTrial {
    private static final int MOST = 200;

    private final LeaseClock clock;
    private final RandomGenerator random;
    /** Never counted down: a wait on it is a pause. */
    private final CountDownLatch never = new CountDownLatch(1);

    public IoTrial(LeaseClock clock, RandomGenerator random) {
        this.clock = clock;
        this.random = random;
    }

    /**
     * What came out.
     *
     * @param writes whether it was written to, or read only
     * @param millis of each write and each read
     * @param failure why sector-wise direct I/O is not possible; empty if it is
     */
    public record Result(boolean writes, List<Double> millis, String failure) {}

    /**
     * Blocks for about {@code howLong}, over which its tries are spread, and for as long as the storage does.
     *
     * @param where directory or device
     * @throws IOException if there is nothing to be tried
     */
    public Result run(Path where, int sectorBytes, Duration howLong) throws IOException {
        if (!Files.exists(where)) {
            throw new IOException(where + " does not exist");
        }
        boolean device = LinuxDevice.is(where);
        Path file = device
                ? where
                : where.resolve(".vmguard-doctor-" + HexFormat.of().toHexDigits(random.nextLong()) + ".tmp");
        try (DirectFile open = device
                ? DirectFile.toRead(file.toString(), clock)
                : new DirectFile(file.toString(), Libc.O_CREAT | Libc.O_EXCL, 0600, clock)) {
            return measure(open, !device, sectorBytes, howLong);
        } catch (LastErrorException e) {
            return new Result(!device, List.of(), Libc.leaseText(e.getErrorCode()));
        } finally {
            if (!device) {
                // Ours by its random name: nobody else's data.
                Files.deleteIfExists(file);
            }
        }
    }

    /** @return false if there is no more time */
    private boolean pause(Duration duration) {
        try {
            return !never.await(duration.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private Result measure(DirectFile file, boolean writes, int sectorBytes, Duration howLong) {
        List<Double> millis = new ArrayList<>();
        byte[] sector = new byte[sectorBytes];
        long startedNanos = clock.bootNanos();
        while (millis.size() < MOST
                && pause(howLong.dividedBy(writes ? MOST / 2 : MOST))
                && (millis.isEmpty() || clock.bootNanos() - startedNanos < howLong.toNanos())) {
            // The second sector as well: a sector at an odd offset is what the format writes.
            long offset = millis.size() / 2 % 2 * (long) sectorBytes;
            long beforeNanos = clock.bootNanos();
            if (writes) {
                IoOutcome written = file.write(offset, sector, howLong.plusDays(1));
                if (written instanceof IoOutcome.Failed failed) {
                    return new Result(true, List.of(), failed.why());
                }
                millis.add((clock.bootNanos() - beforeNanos) / 1e6);
                beforeNanos = clock.bootNanos();
            }
            IoOutcome read = file.read(offset, sectorBytes, howLong.plusDays(1));
            if (read instanceof IoOutcome.Failed failed) {
                return new Result(writes, List.of(), failed.why());
            }
            millis.add((clock.bootNanos() - beforeNanos) / 1e6);
        }
        return new Result(writes, millis, "");
    }
}
