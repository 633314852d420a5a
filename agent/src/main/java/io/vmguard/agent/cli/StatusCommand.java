/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.status.StatusText;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Prints what the running agent knows. */
@Command(
        name = "status",
        description = "Show the agent, its lockspace, the other hosts, and the domains with their leases.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the agent answers and is a member of its lockspace",
            "1:the agent answers, but starts that need a lease are refused now",
            "2:wrong usage or configuration",
            "3:the agent does not answer"
        })
public final class StatusCommand implements Callable<Integer> {
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final int NOT_READY = 1;
    private static final int BAD_CONFIG = 2;
    private static final int NO_AGENT = 3;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private OutputOption output = new OutputOption();

    @Mixin
    private AgentOptions agent = new AgentOptions();

    private final Duration limit;

    public StatusCommand() {
        this(LIMIT);
    }

    /** @param limit how long the agent may take to answer */
    StatusCommand(Duration limit) {
        this.limit = limit;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        Path path;
        try {
            path = agent.socket();
        } catch (ConfigException e) {
            Complaint.print(err, e);
            return BAD_CONFIG;
        }
        String body;
        StatusReport report;
        try {
            body = new AgentClient(path, limit).get("/v1/status");
            report = StatusReport.parse(body);
        } catch (IOException e) {
            Complaint.print(err, Complaint.noAgent(path, e));
            return NO_AGENT;
        }
        if (output.isJson()) {
            out.print(body);
        } else {
            new StatusText(out, Colour.on()).print(report);
        }
        out.flush();
        return report.ready() ? 0 : NOT_READY;
    }
}
