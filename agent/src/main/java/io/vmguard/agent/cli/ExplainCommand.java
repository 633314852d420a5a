/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Says which leases the domains in some files would take, and why, from the XML alone.
 *
 * <p>Exit code 0 if every file could be judged, also if a start would be refused; 2 if one could not, with a line
 * {@code vmguard: FILE:LINE:COLUMN: reason} on stderr for each; the others are still printed.
 */
@Command(
        name = "explain",
        description = {
            "Show which leases a domain would take, and why.",
            "Needs no agent, no libvirtd and no privileges."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:every file could be judged", "2:a file could not be read or is not a domain XML"})
public final class ExplainCommand implements Callable<Integer> {

    private static final String STDIN = "-";

    private final InputStream stdin;
    private final Function<AgentConfig, DomainLeases> leases;

    @Spec
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    @Parameters(paramLabel = "FILE", arity = "0..*", description = "Domain XML files; - or none for standard input.")
    private List<String> files = List.of();

    /**
     * @param stdin what {@code -} reads; not closed
     * @param leases what domains need on this host with these settings; without libvirt
     */
    @SuppressWarnings("NullAway.Init") // picocli sets the spec before it calls.
    public ExplainCommand(InputStream stdin, Function<AgentConfig, DomainLeases> leases) {
        this.stdin = stdin;
        this.leases = leases;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        DomainLeases onThisHost;
        try {
            onThisHost = leases.apply(agent.config());
        } catch (ConfigException e) {
            e.problems().forEach(this::complain);
            return ExitCode.USAGE;
        }
        int worst = ExitCode.OK;
        for (String file : files.isEmpty() ? List.of(STDIN) : files) {
            worst = Math.max(worst, explain(file, onThisHost, out));
        }
        out.flush();
        return worst;
    }

    private int explain(String file, DomainLeases onThisHost, PrintWriter out) {
        try {
            DomainSpec domain = parse(file);
            Explanation explanation = new Explanation(file, domain, onThisHost.derive(domain));
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
        PrintWriter err = spec.commandLine().getErr();
        err.println("vmguard: " + OneLine.of(what));
        err.flush();
        return ExitCode.USAGE;
    }
}
