/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.cli.LeaseReport.Problem;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceInspection;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Prints the hosts of a lockspace, from the agent if it runs, else from the disk. */
@Command(
        name = "hosts",
        description = {
            "Show the hosts of the lockspace and who of them lives.",
            "The agent knows; without one the disk is looked at, for a while with --watch. A member renews every "
                    + "2 io_timeouts (20 s): what has not changed for longer is late."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the hosts were shown",
            "1:shown, and something is wrong with the lockspace",
            "2:wrong usage or configuration, or there is no such lockspace"
        })
public final class HostsCommand extends DirectoryCommand {
    /** @param hostsSeen as in a lease report */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Report(
            int format,
            String dir,
            String lockspace,
            String hostsSeen,
            List<StatusReport.Host> hosts,
            List<Problem> problems) {}

    private final LeaseTools tools;

    @Mixin
    private WatchOption watch = new WatchOption();

    public HostsCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    Optional<Duration> waits() {
        return Optional.of(watch.duration());
    }

    @Override
    int run(Place place) throws IOException, InterruptedException {
        LeaseName name = new LeaseName(place.lockspace());
        LeaseInspector inspector = tools.inspectors().apply(place.dir());
        DirectoryInspection directory = inspector.inspect(name, LeaseInspector.Depth.HOLDERS);
        Optional<LockspaceInspection> space = directory.lockspace(place.lockspace());
        if (space.isEmpty()) {
            return cannot(LeaseHolders.noLockspace(place, directory));
        }
        HostLooks looks = HostLooks.of(tools, place, watch.duration());
        Report report = new Report(
                LeaseReport.FORMAT,
                place.dir().toString(),
                place.lockspace(),
                looks.seen(),
                looks.hosts(),
                LeaseReporter.problems(space.get().findings()));
        if (isJson()) {
            out().print(OutputOption.json(report));
        } else {
            print(report);
        }
        return report.problems().isEmpty() ? 0 : PROBLEM;
    }

    private void print(Report report) {
        out().println("hosts of lockspace " + report.lockspace() + " in " + report.dir() + ", "
                + LeaseText.seen(report.hostsSeen()));
        TextTable table = new TextTable("ID", "GENERATION", "HOST", "STATUS", "LAST SEEN", "LEASES CAN BE TAKEN");
        for (StatusReport.Host host : report.hosts()) {
            table.row(
                    Long.toString(host.hostId()),
                    Long.toString(host.generation()),
                    host.node() + (host.self() ? " (this host)" : ""),
                    host.status(),
                    host.status().equals("free") || host.silentSeconds() == null
                            ? "-"
                            : LeaseExplanation.seconds(host.silentSeconds()) + " ago",
                    taken(host));
        }
        out().print(table.isEmpty() ? "  none ever joined\n" : table);
        report.problems().forEach(problem -> out().println("PROBLEM: " + problem.sentence()));
    }

    private static String taken(StatusReport.Host host) {
        return switch (host.status()) {
            case "free", "dead" -> "now";
            default ->
                host.deadInSeconds() == null
                        ? "-"
                        : "in " + LeaseExplanation.seconds(host.deadInSeconds()) + " if it stays silent";
        };
    }
}
