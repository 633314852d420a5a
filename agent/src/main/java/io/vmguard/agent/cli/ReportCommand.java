/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.ReportArchive.Part;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.doctor.Commands;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.inspect.ResourceInspection;
import io.vmguard.lease.inspect.WallTime;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Everything about an incident in one file, for those who were not there. */
@Command(
        name = "report",
        description = {
            "Pack logs, state, leases and the doctor's findings of this host into one zip file, readable by its owner only.",
            "Without domain XML and without keys; words that look like secrets are taken out. Look through it before you pass it on: names of "
                    + "hosts, domains and images are in it."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the file was written; what could not be had says so in it",
            "1:the file could not be written",
            "2:wrong usage"
        })
public final class ReportCommand implements Callable<Integer> {
    private static final Duration LIMIT = Duration.ofSeconds(20);
    /** Longer than any of the doctor's own limits. */
    private static final Duration PART_LIMIT = Duration.ofSeconds(45);

    private static final int FAILED = 1;
    private static final int MOST_DUMPS = 50;

    private final LeaseTools tools;
    private final Commands commands;
    private final Supplier<CommandLine> self;
    private final Duration partLimit;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FILE",
            description = "The file to make; it must not exist (default: vmguard-report-TIME.zip here).")
    private @Nullable Path output;

    @Option(
            names = "--lease",
            paramLabel = "NAME",
            description =
                    "A lease whose every sector is to be in it too. The lockspace and damaged leases are in any case.")
    private List<String> leases = List.of();

    /** @param self this executable's own commands, to be run one after the other */
    public ReportCommand(LeaseTools tools, Commands commands, Supplier<CommandLine> self) {
        this(tools, commands, self, PART_LIMIT);
    }

    /** @param partLimit how long is waited for each part */
    ReportCommand(LeaseTools tools, Commands commands, Supplier<CommandLine> self, Duration partLimit) {
        this.tools = tools;
        this.commands = commands;
        this.self = self;
        this.partLimit = partLimit;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Path file = output != null
                ? output
                : Path.of("vmguard-report-"
                        + WallTime.text(tools.clock().wallSeconds()).replace(":", "") + ".zip");
        try (FileChannel channel = FileChannel.open(
                        file,
                        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
                OutputStream stream = Channels.newOutputStream(channel);
                ReportArchive archive = new ReportArchive(stream, out, partLimit)) {
            archive.pack(parts());
            // Only now: what is above does not hang, or is known to.
            Set<String> dumped = new LinkedHashSet<>(leases);
            archive.look(this::damaged).ifPresent(dumped::addAll); // the list of leases says why not
            archive.pack(dumps(dumped));
        } catch (FileAlreadyExistsException e) {
            Complaint.print(err, file + " is there already; name another one with --output");
            return FAILED;
        } catch (IOException e) {
            Complaint.print(err, "the report cannot be written: " + FileTrouble.of(e));
            return FAILED;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            err.println("vmguard: interrupted, " + OneLine.of(file + " is not whole"));
            return FAILED;
        }
        out.println("wrote " + OneLine.of(file.toString()) + ". Look through it before you pass it on");
        out.flush();
        return 0;
    }

    /** Of the leases that were named, and of those with which something is wrong. */
    private List<Part> dumps(Set<String> names) {
        return names.stream()
                .map(lease -> new Part(
                        "lease-" + lease.replaceAll("[^A-Za-z0-9._-]", "_") + ".txt",
                        true,
                        () -> ofThisHost("lease", "dump", lease)))
                .toList();
    }

    private List<String> damaged() throws IOException {
        return tools.inspectors().apply(config().leaseDir()).inspect(LeaseInspector.Depth.HOLDERS).resources().stream()
                .filter(lease -> lease.state() == ResourceInspection.State.CORRUPT)
                .map(ResourceInspection::file)
                .limit(MOST_DUMPS)
                .toList();
    }

    private List<Part> parts() {
        List<Part> parts = new ArrayList<>();
        parts.add(new Part("version.txt", () -> own("--version")));
        parts.add(new Part("status.json", () -> ofThisHost("status", "--json")));
        parts.add(new Part("status.txt", () -> ofThisHost("status")));
        parts.add(new Part("events.txt", () -> ofThisHost("events")));
        parts.add(new Part("hosts.json", true, () -> ofThisHost("hosts", "--json")));
        parts.add(new Part("leases.txt", true, () -> ofThisHost("lease", "list")));
        parts.add(new Part("leases.json", true, () -> ofThisHost("lease", "list", "--json")));
        parts.add(new Part("lockspace.txt", true, () -> ofThisHost("lease", "dump")));
        parts.add(new Part("doctor.txt", () -> ofThisHost("doctor", "--no-probe")));
        parts.add(new Part("doctor.json", () -> ofThisHost("doctor", "--no-probe", "--json")));
        parts.add(new Part("vmguard.yaml", () -> Files.readString(agent.file())));
        parts.add(
                new Part("audit.log", () -> Files.readString(config().stateDir().resolve("audit.log"))));
        parts.add(new Part(
                "runtime.txt",
                () -> run(
                        "ls",
                        "-la",
                        config().runtimeDir().toString(),
                        config().stateDir().toString())));
        parts.add(new Part("mountinfo.txt", () -> Files.readString(Path.of("/proc/self/mountinfo"))));
        parts.add(new Part(
                "journal.txt",
                () -> run(
                        "journalctl",
                        "--no-pager",
                        "-o",
                        "short-iso-precise",
                        "-n",
                        "20000",
                        "-u",
                        "vmguard",
                        "-u",
                        "vmguard-deadman",
                        "-t",
                        "vmguard")));
        parts.add(new Part(
                "journal-libvirt.txt",
                () -> run(
                        "journalctl",
                        "--no-pager",
                        "-o",
                        "short-iso-precise",
                        "-n",
                        "5000",
                        "-u",
                        "libvirtd",
                        "-u",
                        "virtqemud")));
        parts.add(new Part(
                "journal-kernel.txt",
                () -> run("journalctl", "--no-pager", "-k", "-o", "short-iso-precise", "-n", "5000")));
        parts.add(new Part(
                "units.txt",
                () -> run(
                        "systemctl",
                        "--no-pager",
                        "status",
                        "vmguard",
                        "vmguard-deadman",
                        "libvirtd",
                        "virtqemud",
                        "wdmd",
                        "sanlock")));
        parts.add(new Part("domains.txt", () -> run("virsh", "-r", "-c", config().libvirtUri(), "list", "--all")));
        parts.add(new Part("processes.txt", () -> run("ps", "-eo", "pid,ppid,stat,wchan:32,lstart,comm")));
        return parts;
    }

    private AgentConfig config() throws IOException {
        try {
            return agent.config();
        } catch (ConfigException e) {
            throw new IOException(String.join("; ", e.problems()), e);
        }
    }

    private String ofThisHost(String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        all.addAll(List.of("--config", agent.file().toString()));
        return own(all.toArray(String[]::new));
    }

    private String own(String... words) {
        StringWriter text = new StringWriter();
        PrintWriter both = new PrintWriter(text);
        int code = self.get().setOut(both).setErr(both).execute(words);
        both.flush();
        return text + "(exit code " + code + ")\n";
    }

    private String run(String... command) throws IOException, InterruptedException {
        return commands.run(LIMIT, List.of(command)).out();
    }
}
