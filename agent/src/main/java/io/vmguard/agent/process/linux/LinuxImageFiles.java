/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import io.vmguard.agent.process.FileKey;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.ImageFiles;
import io.vmguard.agent.process.OpenFiles;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * By {@code stat} of paths and of {@code /proc/PID/fd}. Both ask the file system of the image, which may hang: threads of its own, few,
 * left behind at a limit. When all hang nothing can be told any more until one comes back.
 */
public final class LinuxImageFiles implements ImageFiles, AutoCloseable {

    private static final Duration LIMIT = Duration.ofSeconds(2);
    private static final int MAX_LOOKS = 8;
    private static final long IDLE_SECONDS = 30;

    /** {@code S_IFMT} and {@code S_IFBLK} in stat.h. */
    private static final int TYPE = 0xF000;

    private static final int BLOCK_DEVICE = 0x6000;
    /** {@code S_IFREG}. */
    private static final int REGULAR = 0x8000;

    /**
     * What a QEMU has open beside images: memory that has no other name, the pid file and the like of libvirt, and firmware that comes
     * with the distribution.
     */
    private static final List<String> NO_STORAGE = List.of("/memfd:", "/run/libvirt/", "/usr/share/");

    private final Path proc;
    private final ThreadPoolExecutor looks;

    public LinuxImageFiles() {
        this(Path.of("/proc"));
    }

    LinuxImageFiles(Path proc) {
        this.proc = proc;
        this.looks =
                new ThreadPoolExecutor(0, MAX_LOOKS, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
                    Thread thread = new Thread(task, "vmguard-image-files");
                    thread.setDaemon(true);
                    return thread;
                });
    }

    @Override
    public Map<String, FileKey> identify(Collection<String> paths) {
        if (paths.isEmpty()) {
            return Map.of();
        }
        return within(() -> {
                    Map<String, FileKey> found = new HashMap<>();
                    for (String path : paths) {
                        key(path).ifPresent(key -> found.put(path, key));
                    }
                    return found;
                })
                .orElse(Map.of());
    }

    private static Optional<FileKey> key(String path) {
        try {
            return Optional.of(key(Path.of(path)));
        } catch (IOException | InvalidPathException e) {
            return Optional.empty(); // not known, which is what the caller makes of it
        }
    }

    private static FileKey key(Path path) throws IOException {
        return key(Files.readAttributes(path, "unix:mode,dev,ino,rdev"));
    }

    private static FileKey key(Map<String, Object> attributes) {
        boolean block = type(attributes) == BLOCK_DEVICE;
        return new FileKey(block, number(attributes, block ? "rdev" : "dev"), block ? 0 : number(attributes, "ino"));
    }

    private static long number(Map<String, Object> attributes, String name) {
        return (Long) Objects.requireNonNull(attributes.get(name));
    }

    private static int type(Map<String, Object> attributes) {
        return (Integer) Objects.requireNonNull(attributes.get("mode")) & TYPE;
    }

    @Override
    public Optional<OpenFiles> openBy(GuardedProcess process) {
        Optional<OpenFiles> open = within(() -> open(proc.resolve(process.pid() + "/fd")));
        // As long as it was not gone after the look, what was seen was its own.
        return process.isGone() ? Optional.empty() : open;
    }

    private static OpenFiles open(Path descriptors) throws IOException {
        Set<FileKey> all = new HashSet<>();
        Set<FileKey> storage = new HashSet<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(descriptors)) {
            for (Path entry : entries) {
                try {
                    Map<String, Object> attributes = Files.readAttributes(entry, "unix:mode,dev,ino,rdev");
                    FileKey key = key(attributes);
                    all.add(key);
                    int type = type(attributes);
                    if (type == BLOCK_DEVICE || (type == REGULAR && isStorage(entry))) {
                        storage.add(key);
                    }
                } catch (NoSuchFileException e) {
                    // Closed since the directory was read.
                }
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        return new OpenFiles(all, storage);
    }

    private static boolean isStorage(Path descriptor) throws IOException {
        String path = Files.readSymbolicLink(descriptor).toString();
        return NO_STORAGE.stream().noneMatch(path::startsWith);
    }

    private <T> Optional<T> within(Callable<T> look) {
        try {
            Future<T> answer = looks.submit(look);
            return Optional.of(answer.get(LIMIT.toMillis(), TimeUnit.MILLISECONDS));
        } catch (RejectedExecutionException | TimeoutException | ExecutionException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }

    @Override
    public void close() {
        looks.shutdownNow();
    }
}
