/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * A small hidden file beside the leases, {@code .vmguard-host.INSTALLATION.NODE}, by which hosts tell that they have one machine id. It
 * holds a digest of it, for the id itself is not for everybody. Nothing but the doctor reads it, and no lease depends on it.
 */
final class HostCard {
    static final String PREFIX = ".vmguard-host.";
    private static final int MAX_BYTES = 1024;

    private HostCard() {}

    /** The same for the same machine id, and of no use for anything else. */
    static String digest(String machineId) {
        try {
            byte[] sha = MessageDigest.getInstance("SHA-256")
                    .digest(("vmguard host card " + machineId).getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(sha, 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /**
     * Leaves ours, in place of an earlier one.
     *
     * @param name of this host on disk, {@code IIIIIIII-BBBBBBBB.node}
     */
    static void leave(Path leaseDir, String name, String machine) throws IOException {
        String stable = name.replaceFirst("^([0-9a-f]{8})-[0-9a-f]{8}(\\+[0-9]{2})?\\.", "$1-.");
        String plain = stable.replaceAll("[^A-Za-z0-9._-]", "_");
        Path file = leaseDir.resolve(PREFIX + plain);
        String text = "name " + plain + "\nmachine " + machine + "\n";
        if (Files.exists(file) && text.equals(Files.readString(file))) {
            return;
        }
        Path fresh = leaseDir.resolve(PREFIX + plain + ".new");
        Files.writeString(fresh, text);
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    }

    /** Empty if it is none. */
    static Optional<CloneCheck.Card> read(Path file) throws IOException {
        if (!Files.isRegularFile(file) || Files.size(file) > MAX_BYTES) {
            return Optional.empty();
        }
        String name = "";
        String machine = "";
        for (String line : new String(Files.readAllBytes(file), StandardCharsets.UTF_8).split("\n")) {
            name = line.startsWith("name ") ? line.substring(5) : name;
            machine = line.startsWith("machine ") ? line.substring(8) : machine;
        }
        return name.isEmpty() || machine.isEmpty() ? Optional.empty() : Optional.of(new CloneCheck.Card(name, machine));
    }
}
