/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A directory of this machine that containers and this process see at the same time: the shared storage of the tests. Removed, with
 * all that is in it, by {@link #close}.
 *
 * <p>It lies below {@code $VMGUARD_TEST_STATE}, or {@code /var/lib/vmguard-test} where that can be written, or else below
 * {@code target}; the file system must take direct I/O of 512 bytes, as ext4 and xfs do, and tmpfs only from Linux 6.6 on.
 */
public final class SharedDir implements AutoCloseable {
    private static final Path MEMORY = Path.of("/dev/shm");
    private static final boolean DIRECT_IO_IN_MEMORY = takesDirectIo(MEMORY);

    private final Path path;

    private SharedDir(Path path) {
        this.path = path;
    }

    /** @param purpose becomes part of its name, for people */
    public static SharedDir create(String purpose) {
        try {
            return createIn(base(), purpose);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot make a shared directory", e);
        }
    }

    /**
     * In memory if direct I/O is possible there, else as {@link #create}: for engines and daemons with an I/O timeout of 1 s, which a disk
     * that other tests load would exceed.
     */
    static SharedDir createInMemory(String purpose) {
        return DIRECT_IO_IN_MEMORY ? createIn(MEMORY, purpose) : create(purpose);
    }

    private static boolean takesDirectIo(Path directory) {
        try {
            Path probe = Files.createTempFile(directory, "vmguard-probe-", "");
            try (FileChannel channel = FileChannel.open(probe, StandardOpenOption.WRITE, ExtendedOpenOption.DIRECT)) {
                return channel.isOpen();
            } finally {
                Files.delete(probe);
            }
        } catch (IOException | UnsupportedOperationException e) {
            return false; // that is what was asked
        }
    }

    private static SharedDir createIn(Path base, String purpose) {
        try {
            Path made = Files.createTempDirectory(base, purpose + "-").toRealPath();
            // A container's users are others: libvirt-qemu, for one.
            Files.setPosixFilePermissions(made, PosixFilePermissions.fromString("rwxr-xr-x"));
            return new SharedDir(made);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot make a shared directory", e);
        }
    }

    private static Path base() throws IOException {
        String chosen = System.getenv("VMGUARD_TEST_STATE");
        Path state = Path.of(chosen == null ? "/var/lib/vmguard-test" : chosen);
        if (chosen != null || Files.isWritable(state)) {
            return Files.createDirectories(state);
        }
        return Files.createDirectories(Path.of("target", "shared").toAbsolutePath());
    }

    /** As this process sees it. */
    public Path path() {
        return path;
    }

    /** A file or directory in it, as this process sees it. */
    public Path resolve(String name) {
        return path.resolve(name);
    }

    /** A directory in it, made if missing. */
    public Path directory(String name) {
        try {
            return Files.createDirectories(path.resolve(name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        List<Path> all;
        try (Stream<Path> walk = Files.walk(path)) {
            all = walk.sorted(Comparator.reverseOrder()).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        for (Path each : all) {
            try {
                Files.deleteIfExists(each);
            } catch (IOException e) {
                throw new UncheckedIOException("cannot remove " + each, e);
            }
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
