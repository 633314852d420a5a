/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigLoader;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.doctor.Checkup;
import io.vmguard.agent.doctor.Commands;
import io.vmguard.agent.doctor.DoctorReport;
import io.vmguard.agent.doctor.Finding;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.identity.StorageFacts;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.inspect.LeaseInspector;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Finds what could make the promise untrue, before the accident. */
@Command(
        name = "doctor",
        description = {
            "Look for everything on this host that could make the promise untrue, before the accident.",
            "Needs root for most of it. Writes into no lease; it tries direct I/O on a hidden file beside them, leaves a small "
                    + "hidden file there by which copied machines are found, and asks libvirt to start a domain that cannot start, to see "
                    + "whether the hook is called."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:all is green", "1:something is yellow", "2:something is red, or wrong usage"})
public final class DoctorCommand implements Callable<Integer> {
    private static final Duration AGENT_LIMIT = Duration.ofSeconds(3);
    private static final int USUAL_SECTOR = 512;

    /**
     * What it works with beside the lease tools.
     *
     * @param leases what domains need on this host with these settings
     */
    public record Kit(
            StorageFacts facts,
            Commands commands,
            Checkup.IoTrials trials,
            Function<AgentConfig, DomainLeases> leases,
            RandomGenerator random) {}

    private final LeaseTools tools;
    private final Kit kit;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    @Option(
            names = "--peers",
            paramLabel = "HOST",
            split = ",",
            description = "Hosts that must be seen in the lease directory, by their own names: red unless they are.")
    private List<String> peers = List.of();

    @Option(
            names = "--no-probe",
            description =
                    "Do not ask libvirt to start anything; whether the hook is called is then judged by what is known.")
    private boolean noProbe;

    public DoctorCommand(LeaseTools tools, Kit kit) {
        this.tools = tools;
        this.kit = kit;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try {
            DoctorReport report = Checkup.doctor(order(), sources()).examine();
            if (output.isJson()) {
                out.print(OutputOption.json(report));
            } else {
                print(report, out);
            }
            out.flush();
            return report.exitCode();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            spec.commandLine().getErr().println("vmguard: interrupted");
            return 2;
        }
    }

    private Checkup.Order order() {
        try {
            return new Checkup.Order(agent.file(), agent.config(), List.of(), peers, !noProbe);
        } catch (ConfigException e) {
            return new Checkup.Order(agent.file(), ConfigLoader.defaults(), e.problems(), peers, !noProbe);
        }
    }

    private Checkup.Sources sources() {
        return new Checkup.Sources(
                kit.facts(),
                kit.commands(),
                () -> StatusReport.parse(new AgentClient(socket(), AGENT_LIMIT).get("/v1/status")),
                this::peersNow,
                domain -> kit.leases().apply(configOrDefaults()).derive(domain),
                kit.trials(),
                tools.clock()::wallSeconds,
                kit.random());
    }

    private Path socket() throws IOException {
        try {
            return agent.socket();
        } catch (ConfigException e) {
            throw new IOException("the configuration does not say where its socket is", e);
        }
    }

    private AgentConfig configOrDefaults() {
        try {
            return agent.config();
        } catch (ConfigException e) {
            return ConfigLoader.defaults();
        }
    }

    private Checkup.Peers peersNow() throws IOException, InterruptedException {
        AgentConfig config = configOrDefaults();
        Place place = new Place(config, config.leaseDir(), config.lockspace(), socket());
        LeaseInspector inspector = tools.inspectors().apply(place.dir());
        int sector = inspector
                .inspect(new LeaseName(place.lockspace()), LeaseInspector.Depth.HOLDERS)
                .lockspace(place.lockspace())
                .map(space -> space.geometry().sectorBytes())
                .orElse(USUAL_SECTOR);
        HostLooks looks = HostLooks.of(tools, place, Duration.ZERO);
        return new Checkup.Peers(looks.seen(), looks.hosts(), sector);
    }

    private static void print(DoctorReport report, PrintWriter out) {
        for (Finding finding : report.checks()) {
            boolean good = finding.verdict().equals("green");
            out.println(Colour.verdict(finding.verdict())
                    + " ".repeat(8 - finding.verdict().length())
                    + String.format(java.util.Locale.ROOT, "%-18s ", finding.check())
                    + OneLine.of(finding.seen()));
            if (!good) {
                out.println("          why: " + OneLine.of(finding.why()));
                out.println("          fix: " + OneLine.of(finding.fix()));
            }
        }
        long worse = report.checks().stream()
                .filter(finding -> !finding.verdict().equals("green"))
                .count();
        out.println(report.checks().size() + " checks, " + (worse == 0 ? "all green" : worse + " not green"));
    }
}
