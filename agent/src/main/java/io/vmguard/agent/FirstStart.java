/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * When an agent first ran on this host: what began to run earlier did so when nobody could have asked. A file in the state directory,
 * one line {@code BOOT_ID NANOSECONDS} on the boot clock.
 */
final class FirstStart {
    private static final Logger LOG = LogManager.getLogger(FirstStart.class);

    private FirstStart() {}

    /**
     * Reads the file, or writes it if there is none.
     *
     * @return on the boot clock of this boot; {@link Long#MIN_VALUE} if it was in an earlier one, or if the file cannot be used
     */
    static long nanos(Path stateDir, String bootId, LeaseClock clock) {
        Path file = stateDir.resolve("first-start");
        try {
            String[] words = Files.readString(file).strip().split(" ");
            if (words.length != 2) {
                LOG.error("VG-104 {} is damaged; every domain is taken to have begun after it was written", file);
                return Long.MIN_VALUE;
            }
            return words[0].equals(bootId) ? Long.parseLong(words[1]) : Long.MIN_VALUE;
        } catch (NoSuchFileException e) {
            return write(file, bootId, clock.bootNanos());
        } catch (IOException | NumberFormatException e) {
            LOG.error(
                    "VG-104 {} cannot be used ({}); every domain is taken to have begun after it was written",
                    file,
                    e.toString());
            return Long.MIN_VALUE;
        }
    }

    private static long write(Path file, String bootId, long nowNanos) {
        try {
            Path fresh = file.resolveSibling("first-start.new");
            Files.writeString(fresh, bootId + " " + nowNanos + "\n");
            Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            LOG.error("VG-104 {} cannot be written: {}", file, e.toString());
        }
        return nowNanos;
    }
}
