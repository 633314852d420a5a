/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * What a process leaves behind on its own machine so that its successor can prove who it is: in the runtime directory, which does
 * not outlive the boot.
 *
 * @param bootId the kernel's id of this boot
 * @param where lease directory
 * @param suspendedNanos boot clock minus monotonic clock when it was written: if it grew, the machine slept
 * @param cleanStop the process ended on request and left its users running on purpose
 * @param users resources held or being acquired, written before the acquire and removed after the release
 */
record LocalRecord(
        String bootId,
        String where,
        Owner owner,
        String hostName,
        long suspendedNanos,
        boolean cleanStop,
        Map<LeaseName, LeaseUse> users) {

    LocalRecord {
        users = Map.copyOf(users);
    }

    LocalRecord withCleanStop() {
        return new LocalRecord(bootId, where, owner, hostName, suspendedNanos, true, users);
    }

    /** @return empty if there is none, or it is not to be understood: then nothing is proved by it */
    static Optional<LocalRecord> read(Path file) throws IOException {
        Properties in = new Properties();
        try {
            in.load(new StringReader(Files.readString(file, StandardCharsets.UTF_8)));
            Map<LeaseName, LeaseUse> users = new LinkedHashMap<>();
            int count = Integer.parseInt(in.getProperty("users"));
            for (int i = 0; i < count; i++) {
                String key = "user." + i + ".";
                LeaseNote note = new LeaseNote(
                        in.getProperty(key + "domain"),
                        in.getProperty(key + "uuid"),
                        in.getProperty(key + "disk"),
                        in.getProperty(key + "host"),
                        Long.parseLong(in.getProperty(key + "since")));
                LeaseMode mode = LeaseMode.valueOf(in.getProperty(key + "mode", LeaseMode.EXCLUSIVE.name()));
                users.merge(
                        new LeaseName(in.getProperty(key + "resource")),
                        new LeaseUse(mode, List.of(note)),
                        (one, more) -> new LeaseUse(
                                mode,
                                Stream.concat(one.users().stream(), more.users().stream())
                                        .toList()));
            }
            return Optional.of(new LocalRecord(
                    in.getProperty("boot_id", ""),
                    in.getProperty("where", ""),
                    new Owner(Long.parseLong(in.getProperty("host_id")), Long.parseLong(in.getProperty("generation"))),
                    in.getProperty("host_name", ""),
                    Long.parseLong(in.getProperty("suspended_nanos")),
                    Boolean.parseBoolean(in.getProperty("clean_stop")),
                    users));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IllegalArgumentException | NullPointerException e) {
            return Optional.empty();
        }
    }

    /** Replaces the file in one step. The directory is in memory, so nothing needs to be made durable. */
    void write(Path file) throws IOException {
        Properties out = new Properties();
        out.setProperty("boot_id", bootId);
        out.setProperty("where", where);
        out.setProperty("host_id", Long.toString(owner.hostId()));
        out.setProperty("generation", Long.toString(owner.generation()));
        out.setProperty("host_name", hostName);
        out.setProperty("suspended_nanos", Long.toString(suspendedNanos));
        out.setProperty("clean_stop", Boolean.toString(cleanStop));
        int i = 0;
        for (Map.Entry<LeaseName, LeaseUse> use : users.entrySet()) {
            for (LeaseNote note : use.getValue().users()) {
                String key = "user." + i++ + ".";
                out.setProperty(key + "resource", use.getKey().value());
                out.setProperty(key + "mode", use.getValue().mode().name());
                out.setProperty(key + "domain", note.domainName());
                out.setProperty(key + "uuid", note.domainUuid());
                out.setProperty(key + "disk", note.disk());
                out.setProperty(key + "host", note.hostName());
                out.setProperty(key + "since", Long.toString(note.sinceEpochSeconds()));
            }
        }
        out.setProperty("users", Integer.toString(i));
        StringWriter text = new StringWriter();
        out.store(text, "vmguard: do not edit, do not copy");
        replace(file, text.toString(), false);
    }

    /**
     * Writes a small file so that it is seen whole or not at all.
     *
     * @param durable also after a power cut
     */
    static void replace(Path file, String text, boolean durable) throws IOException {
        Path next = file.resolveSibling(file.getFileName() + ".new");
        Files.writeString(next, text, StandardCharsets.UTF_8);
        if (durable) {
            try (FileChannel channel = FileChannel.open(next, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
        }
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
