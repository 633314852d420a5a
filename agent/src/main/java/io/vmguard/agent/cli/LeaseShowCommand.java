/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Prints all about one lease. */
@Command(
        name = "show",
        description = "Show one lease: who holds it, for which domain, since when, and when it can be had.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the lease was shown",
            "1:shown, and something is wrong with it",
            "2:wrong usage or configuration, there is no such lease, or it cannot be read"
        })
final class LeaseShowCommand extends DirectoryCommand {
    private final LeaseTools tools;

    @Mixin
    private WatchOption watch = new WatchOption();

    @Parameters(paramLabel = "NAME", description = "Name of the lease, as vmguard explain and lease list print it.")
    private String name = "";

    LeaseShowCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    Optional<Duration> waits() {
        return Optional.of(watch.duration());
    }

    @Override
    int run(Place place) throws IOException, InterruptedException {
        Optional<LeaseName> file = leaseName(name);
        if (file.isEmpty()) {
            return cannot("'" + name + "' cannot be the name of a lease");
        }
        DirectoryInspection directory = tools.inspectors().apply(place.dir()).inspect(file.get(), Depth.EVERY_BLOCK);
        if (directory.resources().isEmpty()) {
            return cannot(
                    directory.lockspaces().isEmpty()
                            ? place.dir() + "/" + name + ": no such file. A lease that was never taken has none"
                            : place.dir() + "/" + name + " is a lockspace. See: vmguard hosts");
        }
        Optional<String> unreadable = unreadable(directory);
        if (unreadable.isPresent()) {
            return cannot(unreadable.get());
        }
        LeaseReport report =
                new LeaseReporter(HostLooks.of(tools, place, watch.duration()), place.lockspace()).report(directory);
        Lease lease = report.leases().get(0);
        if (isJson()) {
            out().print(OutputOption.json(report));
        } else {
            new LeaseText(out()).show(report, lease);
        }
        return lease.problems().isEmpty() ? 0 : PROBLEM;
    }
}
