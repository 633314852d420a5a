/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.random.RandomGenerator;

/**
 * Who this machine instance is: the host name that goes to disk.
 *
 * <pre>
 * IIIIIIII-BBBBBBBB.node      I: machine id and a random id of this installation     B: this boot
 * </pre>
 *
 * 47 bytes at most. The name tells people which host it is and tells records of different boots apart. It is never by itself a
 * reason to take an id over: a cloned machine has the same machine id, and may have the same everything.
 *
 * @param nodeName as the administrator knows the machine
 * @param bootId the kernel's id of this boot
 * @param hostName the name on disk
 */
public record HostIdentity(String nodeName, String bootId, String hostName) {
    private static final int NODE_BYTES = 29;

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
            LocalRecord.replace(file, HexFormat.of().formatHex(id) + "\n", true);
        }
        String installation = Files.readString(file, StandardCharsets.UTF_8).strip();
        String machine = firstOf(Path.of("/etc/machine-id"), Path.of("/var/lib/dbus/machine-id"));
        String bootId =
                Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        String node = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
        return of(machine + "/" + installation, bootId, node);
    }

    /** Builds the name; pure. */
    static HostIdentity of(String instance, String bootId, String nodeName) {
        byte[] node = nodeName.getBytes(StandardCharsets.UTF_8);
        String shortNode =
                new String(node, 0, Math.min(node.length, NODE_BYTES), StandardCharsets.UTF_8).replace("\uFFFD", "");
        return new HostIdentity(nodeName, bootId, digest(instance) + "-" + digest(bootId) + "." + shortNode);
    }

    /** The part of a name on disk that people know; the whole name if it is not one of ours. */
    public static String nodeOf(String hostName) {
        return hostName.matches("[0-9a-f]{8}-[0-9a-f]{8}\\..+") ? hostName.substring(18) : hostName;
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
