/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.cli.DoctorCommand;
import io.vmguard.agent.cli.ExplainCommand;
import io.vmguard.agent.cli.HostsCommand;
import io.vmguard.agent.cli.LeaseCommand;
import io.vmguard.agent.cli.LeaseTools;
import io.vmguard.agent.cli.StatusCommand;
import io.vmguard.agent.cli.StopCommand;
import io.vmguard.agent.cli.WhohasCommand;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.derive.BoundedLeases;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.LeaseDeriver;
import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.agent.doctor.Checkup;
import io.vmguard.agent.doctor.SystemCommands;
import io.vmguard.agent.identity.linux.LinuxStorage;
import io.vmguard.lease.device.linux.IoTrial;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.time.WrapsThePlatform;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The executable {@code vmguard}. */
@Command(
        name = "vmguard",
        description = "One disk, one writer: guards the disks of libvirt domains with leases on shared storage.",
        versionProvider = Main.VersionLine.class,
        synopsisSubcommandLabel = "COMMAND")
@WrapsThePlatform // it alone ends the process
public final class Main implements Runnable {
    private static final int BUG = 70; // EX_SOFTWARE of sysexits.h: no command's own code

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Show this text.")
    private boolean help;

    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            description = "Show the version.")
    private boolean version;

    private Main() {}

    /** @param args the command line */
    public static void main(String[] args) {
        // Under systemd each line begins with its priority, and the journal adds time and name.
        boolean journal = System.getenv("JOURNAL_STREAM") != null;
        System.setProperty("log4j2.configurationFile", journal ? "log4j2-journal.xml" : "log4j2-console.xml");
        System.setProperty("log4j2.disableJmx", "true");
        System.exit(commandLine().execute(args));
    }

    /** Ends the process at once, without any of its own code: for a state in which that cannot be trusted. */
    static void halt() {
        Runtime.getRuntime().halt(CommandLine.ExitCode.SOFTWARE);
    }

    /** For tests, too. */
    static CommandLine commandLine() {
        CommandLine line = new CommandLine(new Main());
        line.addSubcommand(new AgentCommand());
        line.addSubcommand(new StatusCommand());
        line.addSubcommand(new StopCommand());
        LeaseTools tools = leaseTools();
        line.addSubcommand(
                new ExplainCommand(System.in, Main::leasesWithoutLibvirt, tools, Path.of("/run/libvirt/qemu")));
        line.addSubcommand(new WhohasCommand(tools, Main::leasesWithoutLibvirt));
        line.addSubcommand(new HostsCommand(tools));
        line.addSubcommand(new DoctorCommand(tools, doctorKit()));
        line.addSubcommand(LeaseCommand.commandLine(tools));
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setExecutionExceptionHandler((e, command, parsed) -> {
            command.getErr().println("vmguard: internal error: " + e);
            return BUG;
        });
        return line;
    }

    private static DoctorCommand.Kit doctorKit() {
        SecureRandom random = new SecureRandom();
        IoTrial trials = new IoTrial(new LinuxClock(), random);
        return new DoctorCommand.Kit(
                new LinuxStorage(),
                new SystemCommands(),
                (where, sectorBytes, howLong) -> {
                    IoTrial.Result result = trials.run(where, sectorBytes, howLong);
                    return new Checkup.Trial(result.writes(), result.millis(), result.failure());
                },
                Main::leasesWithoutLibvirt,
                random);
    }

    private static DomainLeases leasesWithoutLibvirt(AgentConfig config) {
        VolumeResolver volumes = (pool, volume, mode) ->
                new VolumeResolver.CannotTell("can only be resolved on a host that has the pool, needs libvirt");
        return new BoundedLeases(
                LeaseDeriver.onHost(volumes, AgentDaemon.deriverSettings(config), LinuxStorage::new),
                AgentDaemon.storageLooks(AgentDaemon.STORAGE_THREADS),
                AgentDaemon.STORAGE_LIMIT);
    }

    private static LeaseTools leaseTools() {
        LinuxClock clock = new LinuxClock();
        CountDownLatch never = new CountDownLatch(1);
        Function<Path, LeaseInspector> inspectors = dir -> new LeaseInspector(LeaseLocation.toLookAt(dir, clock));
        return new LeaseTools(
                inspectors,
                dir -> new LockspaceMaker(inspectors.apply(dir), new LeaseLocation(dir, clock, new SecureRandom())),
                clock,
                pause -> never.await(pause.toMillis(), TimeUnit.MILLISECONDS),
                System.getenv().getOrDefault("SUDO_USER", ""));
    }

    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }

    /** {@code vmguard 1.2.3}. */
    static final class VersionLine implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"vmguard " + Version.current()};
        }
    }
}
