/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigLoader;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.status.StatusText;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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

    /** How the result is printed. */
    enum Format {
        text,
        json
    }

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Option(
            names = "--format",
            paramLabel = "text|json",
            defaultValue = "text",
            description = "Output format (default: ${DEFAULT-VALUE}).")
    private Format format = Format.text;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Configuration file (default: /etc/vmguard/vmguard.yaml).")
    private @Nullable Path config;

    @Option(
            names = "--socket",
            paramLabel = "PATH",
            description = "The agent's socket (default: from the configuration).")
    private @Nullable Path socket;

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
            path = socket != null
                    ? socket
                    : ConfigLoader.load(config != null ? config : ConfigLoader.DEFAULT_FILE)
                            .socket();
        } catch (ConfigException e) {
            e.problems().forEach(problem -> err.println("vmguard: " + problem));
            return BAD_CONFIG;
        }
        String body;
        StatusReport report;
        try {
            body = new AgentClient(path, limit).get("/v1/status");
            report = parse(body);
        } catch (IOException e) {
            err.println("vmguard: the agent does not answer on " + path + ": " + e.getMessage()
                    + ". Is it running? systemctl status vmguard");
            return NO_AGENT;
        }
        if (format == Format.json) {
            out.print(body);
        } else {
            new StatusText(out).print(report);
        }
        out.flush();
        return report.ready() ? 0 : NOT_READY;
    }

    static StatusReport parse(String body) throws IOException {
        ObjectMapper json = new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        JsonNode document;
        try {
            document = json.readTree(body);
            boolean whole = document.path("agent").isObject()
                    && document.path("lockspace").isObject()
                    && document.path("libvirt").isObject()
                    && document.path("hosts").isArray()
                    && document.path("domains").isArray()
                    && document.path("warnings").isArray();
            if (whole) {
                return json.treeToValue(document, StatusReport.class);
            }
        } catch (JsonProcessingException e) {
            throw new IOException("the answer is not a status", e);
        }
        throw new IOException("the answer is not a status");
    }
}
