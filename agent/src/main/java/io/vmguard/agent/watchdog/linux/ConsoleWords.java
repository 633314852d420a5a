/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import io.vmguard.agent.watchdog.LastWords;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Says it in the log, to the kernel (so on the console, and where a crash of the kernel is kept), and beside the leases, where other
 * hosts find it. Each on a thread of its own, which may hang in it.
 */
public final class ConsoleWords implements LastWords {
    private static final Logger LOG = LogManager.getLogger(ConsoleWords.class);

    /** Level "alert", the facility of daemons: {@code man 3 syslog}. */
    private static final String KERNEL_PREFIX = "<" + (3 << 3 | 1) + ">";

    private static final Path KERNEL = Path.of("/dev/kmsg");
    private static final Path CONSOLE = Path.of("/dev/console");

    private final Path beside;
    private final LeaseClock clock;

    /**
     * @param beside the file in the lease directory that gets the last word of this host; hidden, so that nobody takes it for a lease
     */
    public ConsoleWords(Path beside, LeaseClock clock) {
        this.beside = beside;
        this.clock = clock;
    }

    /** The file for {@link #ConsoleWords}. */
    public static Path fileIn(Path leaseDir, String node) {
        return leaseDir.resolve(".vmguard-reset." + node);
    }

    @Override
    public void say(String text) {
        LOG.error("VG-620 {}", text);
        onItsOwn("vmguard-console", () -> {
            if (!write(KERNEL, KERNEL_PREFIX + text + "\n")) {
                write(CONSOLE, text + "\r\n");
            }
        });
        String line = Instant.ofEpochSecond(clock.wallSeconds()) + " " + text + "\n";
        onItsOwn("vmguard-reset-note", () -> note(line));
    }

    private static void onItsOwn(String name, Runnable task) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        thread.start();
    }

    private static boolean write(Path device, String text) {
        Libc libc = Libc.load();
        int fd = libc.open(device.toString(), Libc.O_WRONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC | Libc.O_NOCTTY);
        if (fd < 0) {
            LOG.warn("VG-621 {}: {}", device, Libc.text(Native.getLastError()));
            return false;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        boolean written = libc.write(fd, bytes, new NativeLong(bytes.length)).intValue() == bytes.length;
        libc.close(fd);
        return written;
    }

    private void note(String line) {
        try {
            Files.writeString(
                    beside,
                    line,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.DSYNC,
                    StandardOpenOption.WRITE);
        } catch (IOException e) {
            LOG.warn("VG-622 could not leave word beside the leases: {}", e.toString());
        }
    }
}
