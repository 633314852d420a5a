/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import java.io.IOException;
import java.io.OutputStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;
import java.util.zip.Checksum;

/**
 * What a process leaves behind on its own machine so that its successor can prove who it is: in the runtime directory, which does
 * not outlive the boot.
 *
 * @param bootId the kernel's id of this boot
 * @param where lease directory
 * @param suspendedNanos how long the machine had slept before the last renewal that was known when it was written, or less
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

    private static final int CHECK_BYTES = "check=00000000\n".length();

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
            if (!isWhole(bytes)) {
                return Optional.empty();
            }
            Properties in = StateFile.parse(bytes);
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
    private static boolean isWhole(byte[] bytes) {
        int end = bytes.length - CHECK_BYTES;
        return end > 0 && Arrays.equals(check(bytes, end), 0, CHECK_BYTES, bytes, end, bytes.length);
    }

    /** The last line of a record. */
    private static byte[] check(byte[] bytes, int end) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, end);
        return check(crc);
    }

    private static byte[] check(Checksum crc) {
        return String.format(Locale.ROOT, "check=%08x\n", crc.getValue()).getBytes(StandardCharsets.US_ASCII);
    }

    /** Replaces the file in one step. The directory is in memory, so nothing needs to be made durable. */
    void write(Path file) throws IOException {
        StateFile.replace(file, this::writeTo, false);
    }

    /**
     * Properties in UTF-8, line by line and never the whole of them in memory: it is written anew for each of a thousand leases that
     * comes or goes, by threads that others wait for, and must cost little.
     */
    void writeTo(OutputStream out) throws IOException {
        CheckedOutputStream checked = new CheckedOutputStream(out, new CRC32C());
        Writer text = StateFile.writer(checked);
        text.write("# vmguard: do not edit, do not copy\n");
        line(text, "boot_id", bootId);
        line(text, "where", where);
        line(text, "host_id", owner.hostId());
        line(text, "generation", owner.generation());
        line(text, "host_name", hostName);
        line(text, "suspended_nanos", suspendedNanos);
        line(text, "clean_stop", Boolean.toString(cleanStop));
        int number = 0;
        for (Map.Entry<LeaseName, LeaseUse> use : users.entrySet()) {
            for (LeaseNote note : use.getValue().users()) {
                user(text, "user." + number++ + ".", use.getKey(), use.getValue(), note);
            }
        }
        line(text, "users", number);
        text.flush();
        out.write(check(checked.getChecksum()));
    }

    private static void user(Writer text, String key, LeaseName resource, LeaseUse use, LeaseNote note)
            throws IOException {
        line(text.append(key), "resource", resource.value());
        line(text.append(key), "mode", use.mode().name());
        if (use.giver().isPresent()) {
            Owner giver = use.giver().get();
            line(text.append(key), "giver_id", giver.hostId());
            line(text.append(key), "giver_generation", giver.generation());
        }
        line(text.append(key), "domain", note.domainName());
        line(text.append(key), "uuid", note.domainUuid());
        line(text.append(key), "disk", note.disk());
        line(text.append(key), "host", note.hostName());
        line(text.append(key), "since", note.sinceEpochSeconds());
    }

    private static void line(Writer text, String key, long value) throws IOException {
        line(text, key, Long.toString(value));
    }

    private static void line(Writer text, String key, String value) throws IOException {
        text.append(key).append('=');
        int plain = 0;
        for (int i = 0; i < value.length(); i++) {
            String escaped = escaped(value.charAt(i), i);
            if (!escaped.isEmpty()) {
                text.write(value, plain, i - plain);
                text.write(escaped);
                plain = i + 1;
            }
        }
        text.write(value, plain, value.length() - plain);
        text.append('\n');
    }

    /** @return empty if it stands for itself */
    private static String escaped(char c, int index) {
        return switch (c) {
            case '\\' -> "\\\\";
            case '\n' -> "\\n";
            case '\r' -> "\\r";
            case '\t' -> "\\t";
            case '\f' -> "\\f";
            case ' ' -> index == 0 ? "\\ " : "";
            default -> "";
        };
    }
}
