/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * An exclusive {@code flock(2)} on a local file, for the life of the process.
 *
 * <p>A killed process whose thread is still stuck in storage I/O keeps its open files, and so this lock: whoever gets the lock knows
 * that no late write of the previous holder is under way. Who does not get it asks {@link LockHolder} why.
 */
public final class LocalLock implements AutoCloseable {
    private final int fd;
    private final AtomicBoolean closed = new AtomicBoolean();

    private LocalLock(int fd) {
        this.fd = fd;
    }

    /**
     * Takes the lock, or is empty if another process has it.
     *
     * @throws IllegalStateException if the file cannot be opened
     */
    public static Optional<LocalLock> tryTake(Path file) {
        int fd;
        try {
            fd = Libc.open(file.toString(), Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC, 0600);
        } catch (LastErrorException e) {
            throw new IllegalStateException("cannot open " + file + ": " + Libc.text(e.getErrorCode()), e);
        }
        try {
            Libc.flock(fd, Libc.LOCK_EX_NB);
            return Optional.of(new LocalLock(fd));
        } catch (LastErrorException e) {
            Libc.close(fd);
            if (e.getErrorCode() == Libc.EAGAIN) {
                return Optional.empty();
            }
            throw new IllegalStateException("cannot lock " + file + ": " + Libc.text(e.getErrorCode()), e);
        }
    }

    /**
     * Says in the locked file who has it. Only for whoever has.
     *
     * @throws IOException if that cannot be written, or this process cannot find out about itself
     */
    public static void sign(Path file, String bootId) throws IOException {
        LockHolder.self(bootId).write(file);
    }

    @Override
    public void close() {
        // The number of a closed file is the next file's: closed twice, it would be some other file that is closed.
        if (closed.compareAndSet(false, true)) {
            try {
                // The lock is the open file's, which a child of this process shares until it runs its own program.
                Libc.flock(fd, Libc.LOCK_UN);
            } finally {
                Libc.close(fd);
            }
        }
    }
}
