/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.inspect.Geometry;
import io.vmguard.lease.inspect.LockspaceMaker;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Makes a lockspace. */
@Command(
        name = "init",
        description = {
            "Make a new lockspace in the lease directory, or on an empty block device that all hosts share.",
            "An agent makes a usual one by itself when it finds none; this is for other geometries and rules. Nothing that is "
                    + "there is ever overwritten. On a device it makes the areas of all leases as well."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:it was made",
            "1:not made: something is in the way, and was named",
            "2:wrong usage or configuration, or the directory cannot be read"
        })
final class LeaseInitCommand extends DirectoryCommand {
    private static final int MIB = 1 << 20;

    private final LeaseTools tools;

    @Option(
            names = "--sector",
            paramLabel = "512|4096",
            defaultValue = "512",
            description = "Bytes that are written at once: what the storage can do with direct I/O (default: "
                    + "${DEFAULT-VALUE}).")
    private int sector;

    @Option(
            names = "--area",
            paramLabel = "1M|2M|4M|8M",
            defaultValue = "1M",
            description =
                    "Size of each lease. With 512-byte sectors 1M, for 2000 hosts; with 4096 1M is for 250 hosts, 2M for "
                            + "500, 4M for 1000, 8M for 2000 (default: ${DEFAULT-VALUE}).")
    private String area = "1M";

    @Option(
            names = "--io-timeout",
            paramLabel = "DURATION",
            converter = DurationOption.class,
            description = "io_timeout of the lockspace (default: from the configuration).")
    private @Nullable Duration ioTimeout;

    @Option(
            names = "--watchdog-timeout",
            paramLabel = "DURATION",
            converter = DurationOption.class,
            description =
                    "How long after 8 io_timeouts a silent host may still be stopping its domains: 10s to 60s. Every vmguard "
                            + "host must be set to the same; stock sanlock hosts get 60s in any case (default: from the "
                            + "configuration).")
    private @Nullable Duration watchdog;

    @Option(
            names = "--max-hosts",
            paramLabel = "N",
            description =
                    "Hosts that leases are made for: with more, every acquire reads more. 2000 where stock sanlock hosts "
                            + "join under any host id (default: from the configuration, or what fits).")
    private @Nullable Integer maxHosts;

    @Option(
            names = "--areas",
            paramLabel = "N",
            description =
                    "On a block device: how many leases it shall have room for. All of them are written now, and none "
                            + "is made later (default: as many as fit, up to " + LockspaceMaker.USUAL_AREAS + ").")
    private @Nullable Integer areas;

    LeaseInitCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    Optional<Duration> waits() {
        return Optional.empty(); // to fill a device takes as long as it takes
    }

    @Override
    int run(Place place) throws IOException {
        Optional<Geometry> geometry = Geometry.all().stream()
                .filter(g -> g.sectorBytes() == sector && area.equals(g.areaBytes() / MIB + "M"))
                .findFirst();
        if (geometry.isEmpty()) {
            return cannot("sectors of " + sector + " bytes in areas of " + area + " are no geometry of the format: "
                    + "512 with 1M, or 4096 with 1M, 2M, 4M or 8M");
        }
        Timeouts timeouts;
        try {
            timeouts = new Timeouts(
                    ioTimeout != null ? ioTimeout : place.config().ioTimeout(),
                    watchdog != null ? watchdog : place.config().watchdogTimeout());
        } catch (IllegalArgumentException e) {
            return cannot(String.valueOf(e.getMessage()));
        }
        int hosts = maxHosts != null
                ? maxHosts
                : Math.min(place.config().maxHosts(), geometry.get().maxHosts());
        OptionalInt wanted = areas == null ? OptionalInt.empty() : OptionalInt.of(areas);
        Optional<String> refused = tools.makers()
                .apply(place.dir())
                .make(new LeaseName(place.lockspace()), geometry.get(), timeouts, hosts, wanted);
        if (refused.isPresent()) {
            complain("not made: " + refused.get());
            return PROBLEM;
        }
        if (isJson()) {
            out().print(OutputOption.json(
                    new Report(LeaseReport.FORMAT, place.dir() + "/" + place.lockspace(), place.lockspace())));
        } else {
            out().println("made lockspace " + place.lockspace() + " in " + place.dir() + ": " + geometry.get()
                    + ", leases for " + hosts + " hosts; a silent host is dead after "
                    + timeouts.hostDead().toSeconds() + " s");
        }
        return 0;
    }

    /** @param made path of the new file */
    record Report(int format, String made, String lockspace) {}
}
