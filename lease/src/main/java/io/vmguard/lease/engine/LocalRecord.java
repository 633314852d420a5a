/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

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

    private static final String CHECK = "check";

    LocalRecord {
        users = Map.copyOf(users);
    }

    LocalRecord withCleanStop() {
        return new LocalRecord(bootId, where, owner, hostName, suspendedNanos, true, users);
    }

    /** @return empty if there is none, or it is not to be understood: then nothing is proved by it */
    static Optional<LocalRecord> read(Path file) throws IOException {
        try {
            return parse(Files.readAllBytes(file));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    static Optional<LocalRecord> parse(byte[] bytes) {
        try {
            Properties in = StateFile.parse(bytes);
            if (!Long.toString(check(in)).equals(in.getProperty(CHECK))) {
                return Optional.empty();
            }
            Map<LeaseName, LeaseUse> users = new LinkedHashMap<>();
            long count = StateFile.number(in, "users");
            for (long i = 0; i < count; i++) {
                String key = "user." + i + ".";
                LeaseNote note = new LeaseNote(
                        StateFile.text(in, key + "domain"),
                        StateFile.text(in, key + "uuid"),
                        StateFile.text(in, key + "disk"),
                        StateFile.text(in, key + "host"),
                        StateFile.number(in, key + "since"));
                LeaseMode mode = LeaseMode.valueOf(in.getProperty(key + "mode", LeaseMode.EXCLUSIVE.name()));
                users.merge(
                        new LeaseName(StateFile.text(in, key + "resource")),
                        new LeaseUse(mode, List.of(note), giver(in, key)),
                        (one, more) -> new LeaseUse(
                                mode,
                                Stream.concat(one.users().stream(), more.users().stream())
                                        .toList(),
                                one.giver()));
            }
            return Optional.of(new LocalRecord(
                    StateFile.text(in, "boot_id"),
                    StateFile.text(in, "where"),
                    new Owner(StateFile.number(in, "host_id"), StateFile.number(in, "generation")),
                    StateFile.text(in, "host_name"),
                    StateFile.number(in, "suspended_nanos"),
                    Boolean.parseBoolean(in.getProperty("clean_stop")),
                    users));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static Optional<Owner> giver(Properties in, String key) {
        return in.containsKey(key + "giver_id")
                ? Optional.of(new Owner(
                        StateFile.number(in, key + "giver_id"), StateFile.number(in, key + "giver_generation")))
                : Optional.empty();
    }

    /** A record that somebody has shortened or edited would free leases whose users run. */
    private static long check(Properties fields) {
        CRC32C crc = new CRC32C();
        fields.stringPropertyNames().stream()
                .filter(key -> !key.equals(CHECK))
                .sorted()
                .forEach(key ->
                        crc.update((key + "=" + fields.getProperty(key) + "\n").getBytes(StandardCharsets.UTF_8)));
        return crc.getValue();
    }

    /** Replaces the file in one step. The directory is in memory, so nothing needs to be made durable. */
    void write(Path file) throws IOException {
        StateFile.replace(file, format(), false);
    }

    String format() {
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
                use.getValue().giver().ifPresent(giver -> {
                    out.setProperty(key + "giver_id", Long.toString(giver.hostId()));
                    out.setProperty(key + "giver_generation", Long.toString(giver.generation()));
                });
                out.setProperty(key + "domain", note.domainName());
                out.setProperty(key + "uuid", note.domainUuid());
                out.setProperty(key + "disk", note.disk());
                out.setProperty(key + "host", note.hostName());
                out.setProperty(key + "since", Long.toString(note.sinceEpochSeconds()));
            }
        }
        out.setProperty("users", Integer.toString(i));
        out.setProperty(CHECK, Long.toString(check(out)));
        return StateFile.format(out, "vmguard: do not edit, do not copy");
    }
}
