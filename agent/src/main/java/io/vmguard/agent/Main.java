/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.cli.AttachCheckCommand;
import io.vmguard.agent.cli.DoctorCommand;
import io.vmguard.agent.cli.EventsCommand;
import io.vmguard.agent.cli.ExplainCommand;
import io.vmguard.agent.cli.HostsCommand;
import io.vmguard.agent.cli.ImportSanlockCommand;
import io.vmguard.agent.cli.InitCommand;
import io.vmguard.agent.cli.LeaseCommand;
import io.vmguard.agent.cli.LeaseTools;
import io.vmguard.agent.cli.ModeCommand;
import io.vmguard.agent.cli.ReportCommand;
import io.vmguard.agent.cli.ReserveCommand;
import io.vmguard.agent.cli.StatusCommand;
import io.vmguard.agent.cli.StopCommand;
import io.vmguard.agent.cli.WhohasCommand;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.doctor.Checkup;
import io.vmguard.agent.doctor.SystemCommands;
import io.vmguard.agent.identity.linux.LinuxStorage;
import io.vmguard.lease.device.linux.IoTrial;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.LockspaceMaker;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.time.WrapsThePlatform;
import java.io.InputStream;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** The executable {@code vmguard}. */
@Command(
        name = "vmguard",
        description = "One disk, one writer: guards the disks of libvirt domains with leases on shared storage.",
        footer = {"", "What each message means, and what to do: /usr/share/doc/vmguard/operations.md"},
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
        // picocli would load all of java.time and java.sql for each command; no option of ours is of such a type.
        System.setProperty("picocli.converters.excludes", "java.time.*,java.sql.*");
        // And look for Groovy in every jar.
        System.setProperty("picocli.disable.closures", "true");
        System.exit(commandLine(args, System.in).execute(args));
    }

    /** Ends the process at once, without any of its own code: for a state in which that cannot be trusted. */
    static void halt() {
        Runtime.getRuntime().halt(CommandLine.ExitCode.SOFTWARE);
    }

    /** With all commands. */
    static CommandLine commandLine() {
        return commandLine(new String[0], System.in);
    }

    /** With what these arguments need: a command that is not asked for costs time as well, each some milliseconds. {@code in} is their standard input. */
    static CommandLine commandLine(String[] args, InputStream in) {
        CommandLine line = new CommandLine(new Main());
        Map<String, Supplier<Object>> commands = commands(args, in);
        if (args.length > 0 && commands.containsKey(args[0])) {
            commands.keySet().retainAll(Set.of(args[0]));
        }
        commands.forEach((name, command) -> line.addSubcommand(name, command.get()));
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.registerConverter(Path.class, new NoEmptyPath());
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
                Main::leases,
                random);
    }

    /** In the order of the help. */
    private static Map<String, Supplier<Object>> commands(String[] args, InputStream in) {
        Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
        commands.put("agent", AgentCommand::new);
        commands.put("status", StatusCommand::new);
        commands.put("stop", StopCommand::new);
        commands.put("explain", () -> new ExplainCommand(in, Main::leases, leaseTools(), Path.of("/run/libvirt/qemu")));
        commands.put("whohas", () -> new WhohasCommand(leaseTools(), Main::leases));
        commands.put("attach-check", () -> new AttachCheckCommand(in));
        commands.put("reserve", () -> new ReserveCommand(in));
        commands.put("hosts", () -> new HostsCommand(leaseTools()));
        commands.put("leases", () -> LeaseCommand.leases(leaseTools()));
        commands.put("events", () -> new EventsCommand(leaseTools()));
        commands.put("doctor", () -> new DoctorCommand(leaseTools(), doctorKit()));
        commands.put("init", () -> new InitCommand(leaseTools(), doctorKit(), in));
        commands.put("import-sanlock", () -> new ImportSanlockCommand(leaseTools(), new SystemCommands(), in));
        commands.put("mode", () -> new ModeCommand(leaseTools(), new SystemCommands(), in));
        commands.put(
                "report",
                () -> new ReportCommand(
                        leaseTools(),
                        new SystemCommands(),
                        () -> commandLine(new String[0], InputStream.nullInputStream())));
        commands.put("lease", () -> LeaseCommand.commandLine(leaseTools(), args.length > 1 ? args[1] : ""));
        return commands;
    }

    private static DomainLeases leases(AgentConfig config) {
        return StorageLooks.leases(config, new VolumesOfThisHost(config.libvirtUri()), StorageLooks.threads());
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

    /** An empty path, as of a variable of the shell that is not set, would be the directory in which one happens to be. */
    static final class NoEmptyPath implements ITypeConverter<Path> {
        @Override
        public Path convert(String value) {
            if (value.isEmpty()) {
                throw new TypeConversionException("a path cannot be empty");
            }
            return Path.of(value);
        }
    }

    /** {@code vmguard 1.2.3}. */
    static final class VersionLine implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"vmguard " + Version.current()};
        }
    }
}
