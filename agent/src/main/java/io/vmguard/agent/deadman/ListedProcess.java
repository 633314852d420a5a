/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.deadman;

import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A QEMU that must not outlive the leases of its domain.
 *
 * @param startTicks when it was started, as field 22 of {@code /proc/PID/stat} says; with the pid it names one process of this boot
 * @param name of its domain, for messages
 */
public record ListedProcess(int pid, long startTicks, UUID uuid, String name) {
    private static final int MAX_NAME = 40;
    private static final Pattern LINE =
            Pattern.compile("process ([0-9]{1,9}) ([0-9]{1,15}) ([0-9a-f-]{36}) ([0-9]{1,5}) (\\S+) *");

    /** Without what would break the line, or a terminal. */
    public ListedProcess {
        name = name.replaceAll("[^A-Za-z0-9._+-]", "?");
        name = name.isEmpty() ? "?" : name.substring(0, Math.min(MAX_NAME, name.length()));
    }

    String line() {
        return "process " + pid + " " + startTicks + " " + uuid + " " + (pid + startTicks) % DeadmanFile.CHECK + " "
                + name;
    }

    static Optional<ListedProcess> parse(String line) {
        Matcher fields = LINE.matcher(line);
        if (!fields.matches()) {
            return Optional.empty();
        }
        int pid = Integer.parseInt(fields.group(1));
        long startTicks = Long.parseLong(fields.group(2));
        try {
            return (pid + startTicks) % DeadmanFile.CHECK == Long.parseLong(fields.group(4))
                    ? Optional.of(new ListedProcess(pid, startTicks, UUID.fromString(fields.group(3)), fields.group(5)))
                    : Optional.empty();
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
