/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.lease.inspect.DirectoryInspection;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LeaseInspector.Depth;
import io.vmguard.lease.inspect.ResourceInspection;
import io.vmguard.lease.inspect.ResourceInspection.State;
import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Removes files of leases that nobody uses. */
@Command(
        name = "gc",
        description = {
            "Remove the files of leases that are free and were not used for a while.",
            "Without --yes it only shows which. The agent removes each one under the lease itself, so that no host can be left "
                    + "with a lease that others do not see. A lease that is needed again is made again."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:shown, or all of them removed",
            "1:some could not be removed, each with its reason",
            "2:wrong usage or configuration, or the directory or a file in it cannot be read: nothing was removed",
            "3:there is no agent here that is a member of this lockspace; nothing was removed"
        })
final class LeaseGcCommand extends DirectoryCommand {
    private final LeaseTools tools;

    @Option(
            names = "--older-than",
            paramLabel = "DURATION",
            converter = DurationOption.class,
            defaultValue = "30d",
            description = "Only leases whose file no host has written for so long (default: ${DEFAULT-VALUE}).")
    private Duration olderThan = Duration.ofDays(30);

    @Option(names = "--dry-run", description = "Only show what would be removed. This is the default.")
    private boolean dryRun;

    @Option(names = "--yes", description = "Remove them.")
    private boolean yes;

    LeaseGcCommand(LeaseTools tools) {
        this.tools = tools;
    }

    /** @param outcome candidate, or what the agent said: done, nothing_to_do, refused, cannot_tell */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Lease(String name, long unusedSeconds, String outcome, String message) {}

    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Report(int format, String dir, boolean dryRun, List<Lease> leases) {}

    @Override
    Optional<Duration> waits() {
        return yes && !dryRun ? Optional.empty() : Optional.of(Duration.ZERO); // the agent has limits of its own
    }

    @Override
    int run(Place place) throws IOException {
        LeaseInspector inspector = tools.inspectors().apply(place.dir());
        DirectoryInspection directory = inspector.inspect(Depth.HOLDERS);
        Optional<String> unreadable = unreadable(directory);
        if (unreadable.isPresent()) {
            return cannot(unreadable.get());
        }
        if (inspector.keepsPlaces()) {
            return cannot(place.dir() + " is " + (Files.isRegularFile(place.dir()) ? "a file" : "a device")
                    + " with areas: a lease keeps its area there for good, so there is nothing to remove");
        }
        boolean remove = yes && !dryRun;
        List<Lease> leases = candidates(place, directory);
        try {
            leases = remove ? removed(UpkeepClient.of(tools, place), leases) : leases;
        } catch (UpkeepClient.NoAgent e) {
            complain("nothing was removed: " + e.getMessage());
            return NO_AGENT;
        }
        if (isJson()) {
            out().print(OutputOption.json(
                    new Report(LeaseReport.FORMAT, place.dir().toString(), !remove, leases)));
        } else {
            print(place, leases, remove);
        }
        return leases.stream().allMatch(lease -> isGood(lease.outcome())) ? 0 : PROBLEM;
    }

    private List<Lease> candidates(Place place, DirectoryInspection directory) {
        long now = tools.clock().wallSeconds();
        List<Lease> candidates = new ArrayList<>();
        for (ResourceInspection lease : directory.resources()) {
            boolean ours = lease.leader()
                    .filter(leader -> leader.lockspace().equals(place.lockspace()))
                    .isPresent();
            long unused = now - lease.modifiedEpochSeconds();
            boolean sound = lease.state() == State.FREE && lease.findings().isEmpty();
            if (ours && sound && unused >= olderThan.toSeconds()) {
                candidates.add(new Lease(lease.file(), unused, "candidate", ""));
            }
        }
        return candidates;
    }

    private List<Lease> removed(UpkeepClient agent, List<Lease> candidates) throws IOException {
        List<Lease> removed = new ArrayList<>();
        for (Lease lease : candidates) {
            UpkeepClient.Answer answer = agent.remove(lease.name(), olderThan);
            removed.add(new Lease(lease.name(), lease.unusedSeconds(), answer.outcome(), answer.message()));
        }
        return removed;
    }

    private static boolean isGood(String outcome) {
        return outcome.equals("candidate") || outcome.equals("done") || outcome.equals("nothing_to_do");
    }

    private void print(Place place, List<Lease> leases, boolean removed) {
        for (Lease lease : leases) {
            String unused = ", not used for " + lease.unusedSeconds() / 86_400 + " days";
            out().println(OneLine.of(removed ? lease.message() : lease.name() + unused));
        }
        long good = leases.stream().filter(lease -> isGood(lease.outcome())).count();
        out().println(
                        removed
                                ? good + " of " + LeaseText.leases(leases.size()) + " removed from " + place.dir()
                                : LeaseText.leases(good) + " in " + place.dir() + " could be removed"
                                        + (good == 0 ? "" : "; nothing was: again with --yes"));
    }
}
