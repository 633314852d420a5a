/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A lease file behind {@code open(2)} with {@code O_DIRECT | O_SYNC} and {@code pread(2)}, {@code pwrite(2)}.
 *
 * <p>Not Java's own direct I/O: on JDK 17 that takes multiples of the file system's block size only, and writing 4096 bytes into a
 * format of 512-byte sectors would overwrite the records of seven other hosts.
 */
final class DirectFile implements LeaseFile {
    private static final int ALIGNMENT = 4096;
    private static final String IDENTITY = "unix:dev,ino";

    private final Path path;
    private final int fd;
    private final LeaseClock clock;
    private final AtomicBoolean closed = new AtomicBoolean();

    /** @throws LastErrorException with errno if it cannot be opened so */
    DirectFile(String path, int extraFlags, int mode, LeaseClock clock) {
        this(
                path,
                clock,
                Libc.open(path, Libc.O_RDWR | Libc.O_DIRECT | Libc.O_SYNC | Libc.O_CLOEXEC | extraFlags, mode));
    }

    private DirectFile(String path, LeaseClock clock, int fd) {
        this.path = Path.of(path);
        this.fd = fd;
        this.clock = clock;
    }

    /** For looking only: a write fails. */
    static DirectFile toRead(String path, LeaseClock clock) {
        return new DirectFile(path, clock, Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECT | Libc.O_CLOEXEC, 0));
    }

    @Override
    public IoOutcome read(long offsetBytes, int lengthBytes, Duration limit) {
        return timed(limit, lengthBytes, buffer -> {
            long count = Libc.pread(fd, buffer, lengthBytes, offsetBytes);
            return count == lengthBytes
                    ? new IoOutcome.Done(buffer.getByteArray(0, lengthBytes))
                    : shortTransfer("read", count, lengthBytes, offsetBytes);
        });
    }

    @Override
    public IoOutcome write(long offsetBytes, byte[] bytes, Duration limit) {
        return timed(limit, bytes.length, buffer -> {
            buffer.write(0, bytes, 0, bytes.length);
            long count = Libc.pwrite(fd, buffer, bytes.length, offsetBytes);
            return count == bytes.length
                    ? new IoOutcome.Done(new byte[0])
                    : shortTransfer("write", count, bytes.length, offsetBytes);
        });
    }

    private interface Transfer {
        IoOutcome run(Pointer buffer);
    }

    private IoOutcome timed(Duration limit, int length, Transfer transfer) {
        long startedNanos = clock.bootNanos();
        IoOutcome outcome;
        try (Memory memory = new Memory(length + (long) ALIGNMENT)) {
            outcome = transfer.run(memory.align(ALIGNMENT));
        } catch (LastErrorException e) {
            outcome = new IoOutcome.Failed(LeaseFault.IO, Libc.text(e.getErrorCode()));
        }
        long tookNanos = clock.bootNanos() - startedNanos;
        if (outcome instanceof IoOutcome.Done && tookNanos > limit.toNanos()) {
            return new IoOutcome.Failed(
                    LeaseFault.TIMED_OUT,
                    String.format(Locale.ROOT, "took %.1f s, allowed are %d s", tookNanos / 1e9, limit.toSeconds()));
        }
        return outcome;
    }

    private static IoOutcome shortTransfer(String what, long count, long wanted, long offset) {
        return new IoOutcome.Failed(
                LeaseFault.SHORT, what + " gave " + count + " of " + wanted + " bytes at offset " + offset);
    }

    /** Makes what was written durable together with the file's size. */
    void sync() {
        Libc.fsync(fd);
    }

    @Override
    public boolean stillNamed() {
        try {
            Map<String, Object> open = Files.readAttributes(Path.of("/proc/self/fd/" + fd), IDENTITY);
            Map<String, Object> named = Files.readAttributes(path, IDENTITY);
            return open.equals(named);
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Libc.close(fd);
        }
    }
}
