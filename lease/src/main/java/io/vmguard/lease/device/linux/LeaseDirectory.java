/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/**
 * Lease files in a directory, as stock libvirt-sanlock lays them out: one area per file, the file named like the lease.
 *
 * <p>A new file is written completely under a hidden temporary name, made durable, and <em>linked</em> to its final name. Nobody ever
 * sees half of it, a crash leaves only the hidden file, and linking fails if another host was first, where renaming would replace
 * the file that host has already handed out leases on.
 */
public final class LeaseDirectory implements LeaseStore {
    private static final String CHECK_STORAGE = ". Check the storage and the way to it";

    private static final Duration INIT_LIMIT = Duration.ofSeconds(60);
    /** Stock hosts create the file first and fill it later; this long we wait for them. */
    private static final int CREATION_TRIES = 10;

    private static final Duration CREATION_PAUSE = Duration.ofMillis(500);

    /** One sector of either size begins with the leader record. */
    private static final int FIRST_LOOK_BYTES = 4096;

    private final Path directory;
    private final LeaseClock clock;
    private final RandomGenerator random;
    /** Never counted down: a wait on it is a pause. */
    private final CountDownLatch never = new CountDownLatch(1);

    public LeaseDirectory(Path directory, LeaseClock clock, RandomGenerator random) {
        this.directory = directory;
        this.clock = clock;
        this.random = random;
    }

    @Override
    public LeaseFiles files() {
        return new ReadOnlyDirectory(directory, clock);
    }

    @Override
    public String where() {
        return directory.toString();
    }

    @Override
    public Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        Path file = directory.resolve(name.value());
        for (int attempt = 1; ; attempt++) {
            Opened opened = openOnce(file, areaBytes, fresh, mayCreate);
            boolean perhapsUnderWay = opened instanceof Opened.Refused refused
                    && (refused.fault() == LeaseFault.SHORT || refused.fault() == LeaseFault.MAGIC);
            if (!perhapsUnderWay || attempt == CREATION_TRIES || !young(file)) {
                return opened;
            }
            pause();
        }
    }

    private Opened openOnce(Path file, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate) {
        boolean created = false;
        try {
            if (look(directory).filter(BasicFileAttributes::isDirectory).isEmpty()) {
                return refused(
                        LeaseFault.MISSING,
                        directory,
                        "the lease directory does not exist or is no directory. "
                                + "Create or mount it, or set lease_dir");
            }
            if (look(file).isEmpty()) {
                if (!mayCreate) {
                    return refused(LeaseFault.MISSING, file, "no such file");
                }
                created = create(file, fresh.get());
            }
            long size = Files.size(file);
            if (size < areaBytes) {
                return refused(
                        LeaseFault.SHORT,
                        file,
                        "it has " + size + " bytes instead of " + areaBytes + ": its creator did not finish. "
                                + "If no other host is creating it now, it holds no lease: remove it and try again");
            }
            DirectFile open = new DirectFile(file.toString(), 0, 0, clock);
            if (!created && blank(open)) {
                open.close();
                return refused(
                        LeaseFault.MAGIC,
                        file,
                        "it is all zeroes: its creator did not finish. "
                                + "If no other host is creating it now, it holds no lease: remove it and try again");
            }
            return new Opened.Ready(open, created);
        } catch (LastErrorException e) {
            return refused(LeaseFault.IO, file, Libc.leaseText(e.getErrorCode()));
        } catch (CannotInitialise e) {
            return refused(LeaseFault.IO, file, String.valueOf(e.getMessage()));
        } catch (AccessDeniedException e) {
            return refused(LeaseFault.IO, file, Libc.leaseText(Libc.EACCES)); // it has no reason of its own
        } catch (FileSystemException e) {
            return refused(LeaseFault.IO, file, e.getReason() + CHECK_STORAGE);
        } catch (IOException e) {
            return refused(LeaseFault.IO, file, e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }

    /** What is there; nothing only if nothing is (INV-9). A storage that does not let us look is another matter, and thrown. */
    private static Optional<BasicFileAttributes> look(Path path) throws IOException {
        try {
            return Optional.of(Files.readAttributes(path, BasicFileAttributes.class));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    @Override
    public void remove(LeaseName name, LeaseFile file) throws IOException {
        if (!file.stillNamed()) {
            throw new IOException("the lease file " + name + " was removed or replaced meanwhile");
        }
        Files.delete(directory.resolve(name.value()));
        try {
            syncDirectory();
        } catch (LastErrorException e) {
            throw new IOException("cannot make the removal of " + name + " durable: " + Libc.text(e.getErrorCode()), e);
        }
    }

    private static boolean blank(DirectFile file) {
        return file.read(0, FIRST_LOOK_BYTES, INIT_LIMIT) instanceof IoOutcome.Done done
                && Arrays.equals(done.bytes(), new byte[FIRST_LOOK_BYTES]);
    }

    private static final class CannotInitialise extends IOException {
        private static final long serialVersionUID = 1L;

        CannotInitialise(String why) {
            super(why);
        }
    }

    /** @return true if we made it, false if another host was first */
    private boolean create(Path file, byte[] fresh) throws IOException {
        byte[] suffix = new byte[8];
        random.nextBytes(suffix);
        Path temporary =
                directory.resolve(".vmguard-" + HexFormat.of().formatHex(suffix) + "-" + file.getFileName() + ".tmp");
        // An open that fails because direct I/O is not possible has made the file all the same.
        try (DirectFile out = new DirectFile(temporary.toString(), Libc.O_CREAT | Libc.O_EXCL, 0600, clock)) {
            if (out.write(0, fresh, INIT_LIMIT) instanceof IoOutcome.Failed failed) {
                // The file system gives what it has left and says so only to the next write.
                String why = failed.fault() == LeaseFault.SHORT
                        ? "no space left (" + failed.why() + "). Make room"
                        : failed.why();
                throw new CannotInitialise("cannot initialise it: " + why);
            }
            out.sync();
            Libc.link(temporary.toString(), file.toString());
            syncDirectory();
            return true;
        } catch (LastErrorException e) {
            if (e.getErrorCode() == Libc.EEXIST) {
                return false;
            }
            throw e;
        } finally {
            discard(temporary);
        }
    }

    /** Ours by its random name, made by this very call: nobody else's data. */
    private static void discard(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            // What failed before is what people need to know; a hidden file too many does no harm.
        }
    }

    private void syncDirectory() {
        int fd = Libc.open(directory.toString(), Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        try {
            Libc.fsync(fd);
        } finally {
            Libc.close(fd);
        }
    }

    private boolean young(Path file) {
        try {
            long ageSeconds =
                    clock.wallSeconds() - Files.getLastModifiedTime(file).to(TimeUnit.SECONDS);
            return Math.abs(ageSeconds) < 10;
        } catch (IOException e) {
            return false;
        }
    }

    private void pause() {
        try {
            boolean ignored = never.await(CREATION_PAUSE.toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static Opened refused(LeaseFault fault, Path path, String why) {
        return new Opened.Refused(fault, path + ": " + why);
    }
}
