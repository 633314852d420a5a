/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.status.StatusReport;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Whether the agent runs, is a member, with the settings of its file, and has nothing to complain about. */
final class AgentCheck implements Check<AgentCheck.Facts> {
    /**
     * @param status what it answered
     * @param noAnswer why it did not; empty if it did
     * @param dir lease directory of the configuration file
     * @param mode of the configuration file: enforce or observe
     */
    record Facts(
            Optional<StatusReport> status,
            String noAnswer,
            String dir,
            String lockspace,
            long ioTimeoutSeconds,
            String mode) {}

    @Override
    public String name() {
        return "agent";
    }

    @Override
    public String why() {
        return "the agent takes the leases; while it is away or no member of the lockspace, starts are refused";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (facts.status().isEmpty()) {
            return Judgement.red(
                    "the agent does not answer: " + facts.noAnswer(),
                    "systemctl status vmguard; systemctl start vmguard");
        }
        StatusReport status = facts.status().get();
        List<Judgement> all = new ArrayList<>();
        if (!status.ready()) {
            all.add(Judgement.red(
                    "starts are refused, lockspace " + status.lockspace().name() + " is "
                            + status.lockspace().state() + ": "
                            + status.lockspace().detail(),
                    "The sentence says what is in the way"));
        }
        changed("lease_dir", status.lockspace().dir(), facts.dir()).ifPresent(all::add);
        changed("lockspace", status.lockspace().name(), facts.lockspace()).ifPresent(all::add);
        changed("io_timeout", status.lockspace().ioTimeoutSeconds() + "s", facts.ioTimeoutSeconds() + "s")
                .ifPresent(all::add);
        changed("mode", status.agent().mode(), facts.mode()).ifPresent(all::add);
        if (status.agent().mode().equals("observe")) {
            all.add(Judgement.yellow(
                    "mode observe: nothing is refused or stopped; "
                            + status.agent().refused() + " starts would have been refused since it began "
                            + status.agent().uptimeSeconds() + " s ago",
                    "vmguard mode shows them and switches"));
        }
        // The mode has been said, and domains, watchdog and libvirt have lines of their own.
        status.warnings().stream()
                .filter(warning -> !warning.startsWith("mode observe")
                        && !warning.startsWith("domain ")
                        && !warning.startsWith("no watchdog")
                        && !warning.startsWith("no lease can be taken"))
                .forEach(warning -> all.add(Judgement.yellow(
                        warning, "See: journalctl -u vmguard, and /usr/share/doc/vmguard/operations.md")));
        all.add(Judgement.green("version " + status.agent().version() + ", member of "
                + status.lockspace().name() + worstCase(status)));
        return Judgement.all(all);
    }

    private static Optional<Judgement> changed(String key, String running, String file) {
        return running.equals(file)
                ? Optional.empty()
                : Optional.of(Judgement.yellow(
                        key + " is " + running + " in the running agent and " + file + " in the file",
                        "systemctl restart vmguard"));
    }

    /** The seconds that everything else is about. */
    private static String worstCase(StatusReport status) {
        List<StatusReport.Deadline> stages = status.worstCase();
        if (stages.isEmpty()) {
            return "";
        }
        StatusReport.Deadline last = stages.get(stages.size() - 1);
        return String.format(
                Locale.ROOT,
                "; if it could not renew any more: %s %.0f s after the last renewal%s",
                last.what(),
                last.afterSeconds(),
                now(last.inSeconds()));
    }

    private static String now(@Nullable Double inSeconds) {
        return inSeconds == null ? "" : String.format(Locale.ROOT, ", in %.0f s from now", inSeconds);
    }
}
