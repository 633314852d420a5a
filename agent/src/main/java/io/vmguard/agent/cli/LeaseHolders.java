/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.agent.cli.LeaseReport.User;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.Finding;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** Who holds a lease now, as the lease directory says. The hosts are looked at once for all questions. */
final class LeaseHolders {
    private static final long END_OF_FOUR_DIGIT_YEARS = 253_402_300_800L;

    private final LeaseTools tools;
    private final Place place;
    private final HostLooks hosts;

    /** @throws IOException with a sentence for people, if there is no such lockspace: a lease that is not seen there is no news */
    LeaseHolders(LeaseTools tools, Place place) throws IOException, InterruptedException {
        DirectoryInspection directory =
                tools.inspectors().apply(place.dir()).inspect(new LeaseName(place.lockspace()), Depth.HOLDERS);
        if (directory.lockspaces().isEmpty()) {
            throw new IOException(noLockspace(place, directory));
        }
        this.tools = tools;
        this.place = place;
        this.hosts = HostLooks.of(tools, place, Duration.ZERO);
    }

    /** Why there is none in a look at its name. What cannot be read is not known to be missing. */
    static String noLockspace(Place place, DirectoryInspection directory) {
        return directory.resources().stream()
                .flatMap(file -> file.findings().stream())
                .map(Finding::sentence)
                .findFirst()
                .orElse(place.dir() + ": there is no lockspace " + place.lockspace() + ". See: vmguard lease list");
    }

    /** What is in the directory under this name; empty if there was never such a lease. */
    Optional<Lease> of(String resource) throws IOException {
        Optional<LeaseName> name = DirectoryCommand.leaseName(resource);
        if (name.isEmpty()) {
            return Optional.empty();
        }
        List<Lease> found = new LeaseReporter(hosts, place.lockspace())
                .report(tools.inspectors().apply(place.dir()).inspect(name.get(), Depth.HOLDERS))
                .leases();
        return found.stream().findFirst();
    }

    /** The same in a sentence. */
    static String sentence(Optional<Lease> lease) {
        if (lease.isEmpty()) {
            return "nobody: it was never taken";
        }
        Lease found = lease.get();
        User user = found.user();
        if (!found.state().equals("exclusive") || user == null) {
            return (found.state().equals("free") ? "nobody: " : "") + found.explanation();
        }
        boolean known = user.since() > 0 && user.since() < END_OF_FOUR_DIGIT_YEARS;
        return "domain " + user.domain() + " on " + user.node()
                + (known ? " since " + Instant.ofEpochSecond(user.since()) : "") + "; " + found.explanation();
    }
}
