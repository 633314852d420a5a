/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.status;

import io.vmguard.agent.derive.OneLine;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A status report for people. */
public final class StatusText {
    /** What must not be overlooked. */
    private static final Pattern LOUD = Pattern.compile("NOT [A-Z ]*[A-Z]|WARNING:|PROBLEM:");

    private final PrintWriter out;
    private final boolean colours;

    public StatusText(PrintWriter out) {
        this(out, false);
    }

    /** @param colours whether {@code out} is a terminal that shows them */
    public StatusText(PrintWriter out, boolean colours) {
        this.out = out;
        this.colours = colours;
    }

    /** Prints all of it; does not flush or close. */
    public void print(StatusReport report) {
        StatusReport.LockspaceStatus lockspace = report.lockspace();
        line(
                "vmguard %s on %s, mode %s, %s",
                report.agent().version(),
                report.agent().node(),
                report.agent().mode(),
                report.ready() ? "ready" : "NOT READY: starts are refused");
        line(
                "lockspace %s in %s: %s%s",
                lockspace.name(),
                lockspace.dir(),
                lockspace.state(),
                lockspace.detail().isEmpty() ? "" : ", " + lockspace.detail());
        if (lockspace.hostId() != null) {
            line(
                    "  host id %d, generation %d, renewed %s ago; domains are stopped in %s unless a renewal succeeds",
                    lockspace.hostId(),
                    lockspace.generation(),
                    seconds(lockspace.renewedSecondsAgo()),
                    seconds(lockspace.lostInSeconds()));
        }
        line(
                "  io_timeout %d s; others may take our leases after %d s of silence",
                lockspace.ioTimeoutSeconds(), lockspace.hostDeadSeconds());
        worstCase(report);
        watchdog(report.watchdog());
        line(
                "libvirt %s: %s%s",
                report.libvirt().uri(),
                report.libvirt().connected() ? "connected" : "NOT CONNECTED",
                report.libvirt().connected() ? "" : ", " + report.libvirt().detail());
        hosts(report);
        domains(report);
        report.warnings().forEach(warning -> line("WARNING: %s", warning));
    }

    private void worstCase(StatusReport report) {
        if (report.lockspace().lostInSeconds() == null) {
            return;
        }
        String deadlines = report.worstCase().stream()
                .map(deadline -> deadline.what() + " in " + seconds(deadline.inSeconds()))
                .collect(Collectors.joining("; "));
        line("  worst case now, if no renewal succeeds any more: %s", deadlines);
    }

    private void watchdog(StatusReport.Watchdog watchdog) {
        line(
                "watchdog %s: %s%s",
                watchdog.kind(),
                !watchdog.armed()
                        ? watchdog.state().equals("disarmed") ? "not armed, for no lease is held" : "NOT ARMED"
                        : "armed, resets this machine " + watchdog.timeoutSeconds() + " s after it was fed last; fed "
                                + seconds(watchdog.lastFedSecondsAgo()) + " ago"
                                + (watchdog.state().equals("expiring") ? "; NOT FED ANY MORE" : ""),
                watchdog.detail().isEmpty() ? "" : ", " + watchdog.detail());
    }

    private void hosts(StatusReport report) {
        line("hosts:");
        line("  %-4s %-28s %-8s %-12s %s", "ID", "HOST", "STATUS", "LAST SEEN", "LEASES CAN BE TAKEN");
        for (StatusReport.Host host : report.hosts()) {
            String taken = host.deadInSeconds() == null
                    ? "-"
                    : host.status().equals("dead")
                            ? "now"
                            : "in " + seconds(host.deadInSeconds()) + " if it stays silent";
            line(
                    "  %-4d %-28s %-8s %-12s %s",
                    host.hostId(),
                    host.node() + (host.self() ? " (this host)" : ""),
                    host.status(),
                    host.status().equals("free") ? "-" : seconds(host.silentSeconds()) + " ago",
                    taken);
        }
    }

    private void domains(StatusReport report) {
        line("domains:%s", report.domains().isEmpty() ? " none with leases" : "");
        for (StatusReport.Domain domain : report.domains()) {
            line(
                    "  %s (%s) %s%s%s",
                    domain.name(),
                    domain.uuid(),
                    domain.state(),
                    domain.pid() == null ? "" : ", pid " + domain.pid(),
                    domain.onLockfailure().equals("poweroff") ? "" : ", on_lockfailure " + domain.onLockfailure());
            for (StatusReport.Lease lease : domain.leases()) {
                line(
                        "    %-44s %s",
                        lease.target() + (lease.identity().isEmpty() ? "" : " (" + lease.identity() + ")"),
                        lease.held() ? "held for " + lease.ageSeconds() + " s, lease " + lease.resource() : "NOT HELD");
            }
            domain.problems().forEach(problem -> line("    PROBLEM: %s", problem));
        }
    }

    private static String seconds(@Nullable Double value) {
        return value == null ? "?" : String.format(Locale.ROOT, "%.0f s", value);
    }

    /** Names come from other hosts' records and from domain XML: they must not steer the terminal. */
    private void line(String format, @Nullable Object... values) {
        String text = OneLine.of(String.format(Locale.ROOT, format, values)).stripTrailing();
        if (!text.isEmpty()) {
            out.println(colours ? LOUD.matcher(text).replaceAll("\u001b[1;31m$0\u001b[0m") : text);
        }
    }
}
