/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import com.sun.jna.LastErrorException;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFiles;
import io.vmguard.lease.device.LeaseStore.Opened;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A lease directory behind {@code O_RDONLY | O_DIRECT}: what tools look through while others work in it. */
public final class ReadOnlyDirectory implements LeaseFiles {
    private final Path directory;
    private final LeaseClock clock;

    public ReadOnlyDirectory(Path directory, LeaseClock clock) {
        this.directory = directory;
        this.clock = clock;
    }

    @Override
    public String where() {
        return directory.toString();
    }

    @Override
    public List<Entry> list() throws IOException {
        List<Entry> entries = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                String name = String.valueOf(file.getFileName());
                if (!name.startsWith(".")) {
                    entries.add(entry(file, name));
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            throw new IOException(directory + ": the lease directory does not exist or is no directory", e);
        } catch (AccessDeniedException e) {
            throw new IOException(directory + ": permission denied. Run this as root", e);
        } catch (DirectoryIteratorException e) {
            throw new IOException(
                    directory + ": " + Objects.requireNonNull(e.getCause()).getMessage(), e);
        }
        entries.sort(Comparator.comparing(Entry::name));
        return entries;
    }

    private static Entry entry(Path file, String name) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
            return new Entry(
                    name,
                    attributes.isRegularFile(),
                    attributes.size(),
                    attributes.lastModifiedTime().to(TimeUnit.SECONDS));
        } catch (AccessDeniedException e) {
            return new Entry(name, true, 0, 0); // what it is cannot be told; who opens it is told why
        } catch (IOException e) {
            return new Entry(name, false, 0, 0); // removed meanwhile, or a link that leads nowhere
        }
    }

    @Override
    public Optional<Entry> find(LeaseName name) {
        Path file = directory.resolve(name.value());
        try {
            Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            return Optional.of(entry(file, name.value()));
        } catch (AccessDeniedException e) {
            return Optional.of(entry(file, name.value())); // not allowed to see it is not the same as not there
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    @Override
    public Opened openToRead(String name) {
        Path file = directory.resolve(name);
        try {
            return new Opened.Ready(DirectFile.toRead(file.toString(), clock), false);
        } catch (LastErrorException e) {
            LeaseFault fault = e.getErrorCode() == Libc.ENOENT ? LeaseFault.MISSING : LeaseFault.IO;
            return new Opened.Refused(fault, Libc.text(e.getErrorCode()));
        }
    }
}
