/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.Timeouts;
import io.vmguard.lease.ondisk.HostName;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.random.RandomGenerator;

/**
 * Who this machine instance is. The {@link HostName} made of it tells people which host it is and tells records of different boots
 * apart. It is never by itself a reason to take an id over: a cloned machine has the same machine id, and may have the same everything.
 *
 * @param nodeName as the administrator knows the machine
 * @param bootId the kernel's id of this boot
 * @param installation machine id and a random id of this installation
 */
public record HostIdentity(String nodeName, String bootId, String installation) {
    /**
     * Reads it off this machine.
     *
     * @param stateDir where the random id of this installation is kept
     */
    public static HostIdentity ofThisMachine(Path stateDir, RandomGenerator random) throws IOException {
        Files.createDirectories(stateDir);
        Path file = stateDir.resolve("instance-id");
        if (!Files.exists(file)) {
            byte[] id = new byte[16];
            random.nextBytes(id);
            StateFile.replace(file, HexFormat.of().formatHex(id) + "\n", true);
        }
        String installation = Files.readString(file, StandardCharsets.UTF_8).strip();
        String machine = firstOf(Path.of("/etc/machine-id"), Path.of("/var/lib/dbus/machine-id"));
        String bootId =
                Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        String node = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
        return new HostIdentity(node, bootId, machine + "/" + installation);
    }

    /** The name on disk of a host that lives by these delays. */
    public String hostName(Timeouts timeouts) {
        return HostName.of(digest(installation), digest(bootId), timeouts.watchdog(), nodeName);
    }

    /** Whether it is the name of this installation in this boot, whatever delays it lives by and whatever the machine is called now. */
    boolean isOfThisBoot(String hostName) {
        String instance = digest(installation) + "-" + digest(bootId);
        return HostName.isOurs(hostName) && hostName.startsWith(instance);
    }

    private static String firstOf(Path... files) throws IOException {
        for (Path file : files) {
            if (Files.isReadable(file)) {
                return Files.readString(file).strip();
            }
        }
        return "";
    }

    private static String digest(String text) {
        try {
            byte[] sha = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(sha, 0, 4);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
