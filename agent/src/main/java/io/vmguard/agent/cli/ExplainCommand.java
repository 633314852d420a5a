/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Says which leases the domains in some files would take on this host, and why.
 *
 * <p>Exit code 0 if every file could be judged, also if a start would be refused; 2 if one could not, with a line
 * {@code vmguard: FILE:LINE:COLUMN: reason} on stderr for each; the others are still printed.
 */
@Command(
        name = "explain",
        description = {
            "Show which leases a domain would take, and why.",
            "Needs no agent and no privileges; libvirt is asked for the volumes of storage pools, and for nothing else."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:every file could be judged", "2:a file could not be read or is not a domain XML"})
public final class ExplainCommand implements Callable<Integer> {

    private static final String STDIN = "-";

    private final InputStream stdin;
    private final Function<AgentConfig, DomainLeases> leases;
    private final LeaseTools tools;
    private final Path statusDirectory;

    @Spec
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    @Option(
            names = "--on",
            paramLabel = "DOMAIN",
            description = "A domain that runs on this host, by what libvirt has written of it; needs root.")
    private List<String> running = List.of();

    @Option(
            names = "--who",
            description = "Show the present holder of each lease too; reads the lease directory as root.")
    private boolean who;

    @Parameters(paramLabel = "FILE", arity = "0..*", description = "Domain XML files; - or none for standard input.")
    private List<String> files = List.of();

    /**
     * @param stdin what {@code -} reads; not closed
     * @param leases what domains need on this host with these settings
     * @param statusDirectory where libvirt keeps the status of running domains
     */
    @SuppressWarnings("NullAway.Init") // picocli sets the spec before it calls.
    public ExplainCommand(
            InputStream stdin, Function<AgentConfig, DomainLeases> leases, LeaseTools tools, Path statusDirectory) {
        this.tools = tools;
        this.statusDirectory = statusDirectory;
        this.stdin = stdin;
        this.leases = leases;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        int worst = ExitCode.OK;
        try {
            AgentConfig config = agent.config();
            DomainLeases onThisHost = leases.apply(config);
            LeaseHolders holders = who ? holders(config) : null;
            for (String file : asked()) {
                worst = Math.max(worst, explain(file, onThisHost, holders, out));
            }
        } catch (ConfigException e) {
            e.problems().forEach(this::complain);
            return ExitCode.USAGE;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return complain("interrupted");
        } catch (IOException e) {
            return complain(String.valueOf(e.getMessage()));
        } catch (UncheckedIOException e) {
            return complain(String.valueOf(Objects.requireNonNull(e.getCause()).getMessage()));
        } finally {
            out.flush();
        }
        return worst;
    }

    private LeaseHolders holders(AgentConfig config) throws ConfigException, IOException, InterruptedException {
        PrintWriter err = spec.commandLine().getErr();
        Patience patience = DirectoryCommand.patience(config.leaseDir(), Duration.ZERO, err);
        try {
            return new LeaseHolders(tools, new Place(config, config.leaseDir(), config.lockspace(), agent.socket()));
        } finally {
            patience.over();
        }
    }

    private List<String> asked() {
        List<String> asked = new ArrayList<>();
        for (String name : running) {
            // A name with a slash would be another file.
            asked.add(statusDirectory.resolve(name.replace('/', '_') + ".xml").toString());
        }
        asked.addAll(files);
        return asked.isEmpty() ? List.of(STDIN) : asked;
    }

    private int explain(String file, DomainLeases onThisHost, @Nullable LeaseHolders holders, PrintWriter out) {
        try {
            DomainSpec domain = parse(file);
            Explanation explanation = new Explanation(file, domain, onThisHost.derive(domain), holders);
            out.print(output.isJson() ? explanation.json() : explanation.text());
            return ExitCode.OK;
        } catch (DomainXmlException e) {
            return complain(file, e.line() + ":" + e.column() + ": " + e.reason());
        } catch (NoSuchFileException e) {
            return complain(file, " no such file");
        } catch (AccessDeniedException e) {
            return complain(file, " permission denied");
        } catch (IOException e) {
            return complain(file, " cannot be read: " + e.getMessage());
        } catch (InvalidPathException e) {
            return complain(file, " is not a file name: " + e.getReason());
        }
    }

    private DomainSpec parse(String file) throws IOException, DomainXmlException {
        if (file.equals(STDIN)) {
            return DomainXml.parse(stdin);
        }
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return DomainXml.parse(in);
        }
    }

    private int complain(String file, String what) {
        return complain(file + ":" + what);
    }

    private int complain(String what) {
        Complaint.print(spec.commandLine().getErr(), what);
        return ExitCode.USAGE;
    }
}
