/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Prints every lease of a directory. */
@Command(
        name = "list",
        description =
                "Show every lease of the directory: who holds it, since when, what for, and what is wrong with it.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the leases were shown",
            "1:shown, and something is wrong with some of them",
            "2:wrong usage or configuration, or the directory or a file in it cannot be read"
        })
final class LeaseListCommand extends DirectoryCommand {
    private final LeaseTools tools;

    @Mixin
    private WatchOption watch = new WatchOption();

    @Option(names = "--verify", description = "Check every disk block too; reads up to 1 MiB of each lease.")
    private boolean verify;

    LeaseListCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    Optional<Duration> waits() {
        return Optional.of(watch.duration());
    }

    @Override
    int run(Place place) throws IOException, InterruptedException {
        DirectoryInspection directory =
                tools.inspectors().apply(place.dir()).inspect(verify ? Depth.EVERY_BLOCK : Depth.HOLDERS);
        LeaseReport report =
                new LeaseReporter(HostLooks.of(tools, place, watch.duration()), place.lockspace()).report(directory);
        if (isJson()) {
            out().print(OutputOption.json(report));
        } else {
            new LeaseText(out()).list(report);
        }
        Optional<String> unreadable = unreadable(directory);
        if (unreadable.isPresent()) {
            return cannot(unreadable.get());
        }
        return hasProblems(report) ? PROBLEM : 0;
    }

    /** A file that is no lease disturbs nobody. */
    private static boolean hasProblems(LeaseReport report) {
        return report.lockspaces().stream().anyMatch(space -> !space.problems().isEmpty())
                || report.leases().stream()
                        .anyMatch(lease -> !lease.state().equals("foreign")
                                && !lease.problems().isEmpty());
    }
}
