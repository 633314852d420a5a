/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.identity.StorageFacts;
import io.vmguard.agent.status.StatusReport;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Facts of the machine and what runs the agent on it. */
final class MachineSide {
    private static final String CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/";
    private static final Duration COMMAND_LIMIT = Duration.ofSeconds(8);
    private static final int AUDIT_TAIL = 512 * 1024;
    private static final Path AUDIT_LOG = Path.of("/var/log/audit/audit.log");
    private static final Pattern AUDIT_TIME = Pattern.compile("audit\\(([0-9]{1,12})\\.");
    private static final Pattern BOOT_TIME = Pattern.compile("(?m)^btime ([0-9]{1,12})$");
    /** By which the clock may have been set since, early in the boot. */
    private static final long CLOCK_SLACK_SECONDS = 60;

    private final StorageFacts facts;
    private final Commands commands;

    MachineSide(StorageFacts facts, Commands commands) {
        this.facts = facts;
        this.commands = commands;
    }

    static JavaCheck.Facts java() {
        return new JavaCheck.Facts(
                Runtime.version().feature(),
                System.getProperty("java.version", "?"),
                System.getProperty("java.vm.name", "?"),
                System.getProperty("sun.arch.data.model", "?"));
    }

    ClockSourceCheck.Facts clockSource() throws IOException {
        return new ClockSourceCheck.Facts(
                facts.text(CLOCK_SOURCE + "current_clocksource")
                        .orElseThrow(() -> new IOException("this kernel does not say"))
                        .strip(),
                facts.text(CLOCK_SOURCE + "available_clocksource").orElse("").strip());
    }

    String machineId() {
        return facts.text("/etc/machine-id")
                .or(() -> facts.text("/var/lib/dbus/machine-id"))
                .orElse("")
                .strip();
    }

    /**
     * The watchdog devices with their holders. Without root only our own files can be seen.
     *
     * @param status of the agent, if it answers
     */
    WatchdogCheck.Facts watchdog(String choice, boolean observe, Optional<StatusReport> status, long timeoutSeconds) {
        Map<String, String> holders = holders();
        List<WatchdogCheck.Device> devices = new ArrayList<>();
        for (String name : facts.names("/dev")) {
            if (name.matches("watchdog[0-9]+")) {
                String at = "/sys/class/watchdog/" + name + "/";
                devices.add(new WatchdogCheck.Device(
                        "/dev/" + name,
                        facts.text(at + "identity").orElse("").strip(),
                        number(at + "timeout"),
                        number(at + "max_timeout"),
                        Files.isWritable(Path.of("/dev", name)),
                        holders.getOrDefault(
                                "/dev/" + name,
                                name.equals("watchdog0") ? holders.getOrDefault("/dev/watchdog", "") : "")));
            }
        }
        Optional<StatusReport.Watchdog> ours = status.map(StatusReport::watchdog);
        return new WatchdogCheck.Facts(
                choice,
                devices,
                facts.node("/run/wdmd/wdmd.sock").kind() == StorageFacts.Node.Kind.OTHER
                        || facts.node("/var/run/wdmd/wdmd.sock").kind() == StorageFacts.Node.Kind.OTHER,
                observe,
                ours.map(StatusReport.Watchdog::kind).orElse(""),
                ours.map(StatusReport.Watchdog::detail).orElse(""),
                ours.map(StatusReport.Watchdog::armed).orElse(false),
                timeoutSeconds);
    }

    private @Nullable Long number(String file) {
        String text = facts.text(file).orElse("").strip();
        return text.matches("[0-9]{1,9}") ? Long.valueOf(text) : null;
    }

    /** Device to the process that has it open. */
    private Map<String, String> holders() {
        Map<String, String> holders = new TreeMap<>();
        for (String pid : facts.names("/proc")) {
            if (!pid.matches("[0-9]+")) {
                continue;
            }
            for (String fd : facts.names("/proc/" + pid + "/fd")) {
                StorageFacts.Node node = facts.node("/proc/" + pid + "/fd/" + fd);
                if (node.kind() == StorageFacts.Node.Kind.LINK && node.detail().startsWith("/dev/watchdog")) {
                    String name = facts.text("/proc/" + pid + "/cmdline")
                            .orElse("")
                            .replace('\0', ' ')
                            .strip();
                    String comm =
                            facts.text("/proc/" + pid + "/comm").orElse("?").strip();
                    holders.put(
                            node.detail(), (name.contains("vmguard") ? "vmguard" : comm) + " (process " + pid + ")");
                }
            }
        }
        return holders;
    }

    /** Since this boot. */
    DenialsCheck.Facts denials() throws IOException, InterruptedException {
        return denials(AUDIT_LOG);
    }

    DenialsCheck.Facts denials(Path audit) throws IOException, InterruptedException {
        List<String> lines = new ArrayList<>();
        boolean looked = false;
        if (Files.isReadable(audit)) {
            looked = true;
            long boot = bootSeconds();
            tail(audit)
                    .lines()
                    .filter(line -> line.contains("denied") || line.contains("apparmor=\"DENIED\""))
                    .filter(line -> isSince(boot, line))
                    .forEach(lines::add);
        }
        try {
            Commands.Result said = commands.run(
                    COMMAND_LIMIT,
                    List.of("journalctl", "-k", "-b", "-o", "cat", "--no-pager", "-q", "-n", "500", "-g", "denied"));
            looked = true;
            said.out()
                    .lines()
                    .filter(line -> line.contains("avc:") || line.contains("apparmor=\"DENIED\""))
                    .forEach(lines::add);
        } catch (IOException e) {
            if (!looked) {
                throw e;
            }
        }
        return new DenialsCheck.Facts(lines.stream().distinct().toList());
    }

    private long bootSeconds() {
        Matcher boot = BOOT_TIME.matcher(facts.text("/proc/stat").orElse(""));
        return boot.find() ? Long.parseLong(boot.group(1)) : 0;
    }

    /** The file goes on over reboots, and what was mended before the last one must not stay red. A line without a time counts. */
    private static boolean isSince(long bootSeconds, String line) {
        Matcher time = AUDIT_TIME.matcher(line);
        return !time.find() || Long.parseLong(time.group(1)) >= bootSeconds - CLOCK_SLACK_SECONDS;
    }

    private static String tail(Path file) throws IOException {
        try (RandomAccessFile log = new RandomAccessFile(file.toFile(), "r")) {
            long from = Math.max(0, log.length() - AUDIT_TAIL);
            byte[] bytes = new byte[(int) (log.length() - from)];
            log.seek(from);
            int count = log.read(bytes);
            return new String(bytes, 0, Math.max(0, count), StandardCharsets.UTF_8);
        }
    }

    /** What other hosts have left beside the leases. */
    static List<CloneCheck.Card> cards(Path leaseDir) throws IOException {
        List<CloneCheck.Card> cards = new ArrayList<>();
        if (!Files.isDirectory(leaseDir)) {
            return cards;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(leaseDir, HostCard.PREFIX + "*")) {
            for (Path file : files) {
                HostCard.read(file).ifPresent(cards::add);
            }
        }
        return cards;
    }
}
