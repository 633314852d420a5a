/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.statusfile;

import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Watches the directory of status files (inotify) and tells of each change with the new content.
 *
 * <p>At the start, when the directory comes back, and when the kernel could not keep up, all files are read anew. Changes of one file
 * in quick succession may be told as one. One thread, on which the listener is called; it reads from a file system in memory and calls
 * nothing of libvirt's.
 */
public final class StatusFiles implements AutoCloseable {

    /** Where libvirt's QEMU driver keeps them when it runs as root. */
    public static final Path SYSTEM_DIRECTORY = Path.of("/run/libvirt/qemu");

    private static final Logger LOG = LogManager.getLogger(StatusFiles.class);
    private static final String SUFFIX = ".xml";

    /** How often a directory that is not there is looked for: libvirt may be installed or started later. */
    private static final long LOOK_AGAIN_MILLIS = 1000;

    private static final long CLOSE_MILLIS = 2000;

    /** Told of active domains. Must only put it into a queue. */
    public interface Listener {
        /** The live domain is now like this. Also told when nothing has changed in what is told. */
        void status(DomainStatus status);

        /** The status file of this domain has gone. */
        void noStatus(String name);
    }

    private final Path directory;
    private final Listener listener;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final Thread thread = new Thread(this::run, "vmguard-status-files");
    private final Set<String> known = new HashSet<>();
    private final Set<String> unreadable = new HashSet<>();

    public StatusFiles(Path directory, Listener listener) {
        this.directory = directory;
        this.listener = listener;
        thread.setDaemon(true);
    }

    /** Starts the thread. */
    public void start() {
        thread.start();
    }

    private void run() {
        try {
            while (!closing.await(0, TimeUnit.MILLISECONDS)) {
                try (WatchService watch = directory.getFileSystem().newWatchService()) {
                    directory.register(
                            watch,
                            StandardWatchEventKinds.ENTRY_CREATE, // by rename as well
                            StandardWatchEventKinds.ENTRY_MODIFY,
                            StandardWatchEventKinds.ENTRY_DELETE);
                    readAll();
                    follow(watch);
                } catch (NoSuchFileException | NotDirectoryException e) {
                    forgetAll();
                } catch (IOException e) {
                    LOG.warn("VG-510 cannot watch {}: {}; looking again every second", directory, e.toString());
                }
                closing.await(LOOK_AGAIN_MILLIS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Until the directory goes away or this is closed. */
    private void follow(WatchService watch) throws InterruptedException, IOException {
        while (closing.getCount() > 0) {
            WatchKey key = watch.poll(LOOK_AGAIN_MILLIS, TimeUnit.MILLISECONDS);
            if (key == null) {
                continue;
            }
            Set<String> names = new LinkedHashSet<>();
            boolean missed = false;
            for (WatchEvent<?> event : key.pollEvents()) {
                if (event.kind() == StandardWatchEventKinds.OVERFLOW) {
                    missed = true;
                } else if (event.context() instanceof Path file) {
                    domainOf(file).ifPresent(names::add);
                }
            }
            if (missed) {
                readAll();
            } else {
                names.forEach(this::read);
            }
            if (!key.reset()) {
                return;
            }
        }
    }

    private void readAll() throws IOException {
        Set<String> names = new HashSet<>(known);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                domainOf(file.getFileName()).ifPresent(names::add);
            }
        }
        names.forEach(this::read);
    }

    private void forgetAll() {
        Set.copyOf(known).forEach(this::gone);
    }

    private void gone(String name) {
        unreadable.remove(name);
        if (known.remove(name)) {
            listener.noStatus(name);
        }
    }

    private void read(String name) {
        try (InputStream in = Files.newInputStream(directory.resolve(name + SUFFIX))) {
            DomainStatus status = DomainXml.parseStatus(in.readNBytes(DomainXml.MAX_BYTES + 1));
            known.add(name);
            unreadable.remove(name);
            listener.status(status);
        } catch (NoSuchFileException e) {
            gone(name);
        } catch (IOException | DomainXmlException e) {
            // libvirt's word comes by its list as well; this one is only faster.
            if (unreadable.add(name)) {
                LOG.warn("VG-511 cannot read the status file of domain {}: {}", name, e.toString());
            }
        } catch (RuntimeException e) {
            LOG.error("VG-906 a listener to the status of domain {} failed", name, e);
        }
    }

    private static Optional<String> domainOf(Path file) {
        String text = file.toString();
        boolean status = text.endsWith(SUFFIX) && text.length() > SUFFIX.length();
        return status ? Optional.of(text.substring(0, text.length() - SUFFIX.length())) : Optional.empty();
    }

    /** Ends the thread; waits a little for it. */
    @Override
    public void close() {
        closing.countDown();
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
