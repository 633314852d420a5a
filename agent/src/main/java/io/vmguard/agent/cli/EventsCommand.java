/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.lease.inspect.WallTime;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Prints what the agent has noticed lately, and what it notices from now on. */
@Command(
        name = "events",
        description = {
            "Show the latest events of the running agent: each line of its log that has a code.",
            "/usr/share/doc/vmguard/operations.md lists the codes with cause and remedy. The journal has all of them, also of earlier agents."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the events were shown; with --follow: nobody reads them any more",
            "2:wrong usage or configuration",
            "3:the agent does not answer; with --follow: it did not at the beginning"
        })
public final class EventsCommand implements Callable<Integer> {
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final Duration BETWEEN = Duration.ofSeconds(1);
    private static final int NO_AGENT = 3;

    private final LeaseTools tools;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    @Option(
            names = {"-f", "--follow"},
            description = "Go on with what happens from now on, also over restarts of the agent.")
    private boolean follow;

    private String instance = "";
    private long last;

    public EventsCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @Override
    public Integer call() {
        PrintWriter err = spec.commandLine().getErr();
        Path socket;
        try {
            socket = agent.socket();
        } catch (ConfigException e) {
            Complaint.print(err, e);
            return 2;
        }
        try {
            print(socket);
        } catch (IOException e) {
            Complaint.print(err, Complaint.noAgent(socket, e));
            return NO_AGENT;
        }
        return follow ? follow(socket, err) : 0;
    }

    private int follow(Path socket, PrintWriter err) {
        boolean away = false;
        // Until nobody reads any more, or the process is ended.
        while (!spec.commandLine().getOut().checkError()) {
            try {
                tools.pause().of(BETWEEN);
                print(socket);
                away = false;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return 0;
            } catch (IOException e) {
                if (!away) {
                    err.println("vmguard: the agent does not answer: " + e.getMessage() + "; waiting for it");
                    err.flush();
                }
                away = true;
            }
        }
        return 0;
    }

    private void print(Path socket) throws IOException {
        JsonNode document = ask(socket, last);
        if (!document.path("instance").asText().equals(instance)) {
            instance = document.path("instance").asText();
            document = last == 0 ? document : ask(socket, 0);
            last = 0;
        }
        PrintWriter out = spec.commandLine().getOut();
        for (JsonNode event : document.path("events")) {
            last = event.path("seq").asLong();
            out.print(output.isJson() ? event + "\n" : line(event) + "\n");
        }
        out.flush();
    }

    private static String line(JsonNode event) {
        String level = event.path("level").asText();
        return WallTime.text(event.path("time").asLong()) + " " + Colour.level(level.toUpperCase(Locale.ROOT)) + " "
                + OneLine.of(event.path("code").asText() + " "
                        + event.path("message").asText());
    }

    private static JsonNode ask(Path socket, long after) throws IOException {
        try {
            JsonNode document =
                    new ObjectMapper().readTree(new AgentClient(socket, LIMIT).get("/v1/events?after=" + after));
            if (document.path("events").isArray()) {
                return document;
            }
        } catch (JsonProcessingException e) {
            throw new IOException("the answer is not one about events", e);
        }
        throw new IOException("the answer is not one about events");
    }
}
