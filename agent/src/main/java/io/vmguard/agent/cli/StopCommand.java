/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.hook.AgentClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Ends the agent for good, with a choice of what becomes of the domains. */
@Command(
        name = "stop",
        description = {
            "Stop the agent for good.",
            "It must be said what becomes of the domains: --keep or --release. "
                    + "No domain starts on this host until the agent runs again (systemctl start vmguard) or the package is removed."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the agent has stopped",
            "1:it goes on, with the reason",
            "2:wrong usage or configuration, or no choice: nothing was done",
            "3:the agent does not answer",
            "4:all is done, but its process has not ended yet"
        })
public final class StopCommand implements Callable<Integer> {
    /** It waits for leases that are being given back, and for its watchdog. */
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(60);

    private static final Duration END_LIMIT = Duration.ofSeconds(30);
    private static final int GOES_ON = 1;
    private static final int NO_CHOICE = 2;
    private static final int NO_AGENT = 3;
    private static final int NOT_ENDED = 4;

    private static final String[] CHOICE = {
        "vmguard: say what becomes of the domains on this host:",
        "  vmguard stop --release  when they are stopped: every lease is given back, and the host leaves the lockspace.",
        "                          Refused while a domain with a lease is here",
        "  vmguard stop --keep     they run on, and NOBODY GUARDS THEM: other hosts can take their leases after 8 x io_timeout +",
        "                          watchdog_timeout, and start them as well. Neither the deadman nor a watchdog acts any more",
        "To stop the agent for a moment only, or to restart it: systemctl restart vmguard. After systemctl stop with domains",
        "running, the deadman kills them when their leases have expired. Nothing was done."
    };

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @ArgGroup(exclusive = true, multiplicity = "0..1")
    private @Nullable Choice choice;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    private static final class Choice {
        @Option(
                names = "--keep",
                required = true,
                description = "Domains run on, unguarded; it is said what that means.")
        private boolean keep;

        @Option(
                names = "--release",
                required = true,
                description = "Only if no domain with a lease is here: gives everything back and leaves the lockspace.")
        private boolean release;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        if (choice == null) {
            for (String line : CHOICE) {
                err.println(line);
            }
            return NO_CHOICE;
        }
        Path socket;
        try {
            socket = agent.socket();
        } catch (ConfigException e) {
            Complaint.print(err, e);
            return NO_CHOICE;
        }
        JsonNode answer;
        try {
            answer = ask(socket, choice.keep ? "keep" : "release");
        } catch (IOException e) {
            err.println("vmguard: not known to stop: the agent does not answer on " + socket + ": " + e.getMessage()
                    + ". See: systemctl status vmguard");
            return NO_AGENT;
        }
        String message = OneLine.of(answer.path("message").asText());
        if (!answer.path("outcome").asText().equals("stopping")) {
            err.println("vmguard: " + message);
            return GOES_ON;
        }
        out.println("vmguard: " + message);
        out.flush();
        if (!awaitEnd(answer.path("pid").asLong())) {
            err.println("vmguard: it has not ended yet, process "
                    + answer.path("pid").asLong() + ", most likely for storage that does not answer");
            return NOT_ENDED;
        }
        return 0;
    }

    private static JsonNode ask(Path socket, String domains) throws IOException {
        AgentClient.Reply reply = new AgentClient(socket, ANSWER_LIMIT).post("/v1/stop?domains=" + domains);
        try {
            JsonNode document = new ObjectMapper().readTree(reply.body());
            if (document.path("outcome").isTextual() && document.path("message").isTextual()) {
                return document;
            }
        } catch (JsonProcessingException e) {
            throw new IOException("the answer is not understood, status " + reply.status(), e);
        }
        throw new IOException("the answer is not understood, status " + reply.status());
    }

    /** @return false if it is still there after all that time */
    private static boolean awaitEnd(long pid) {
        Optional<ProcessHandle> process = ProcessHandle.of(pid);
        if (process.isEmpty() || pid == ProcessHandle.current().pid()) {
            return true;
        }
        try {
            process.get().onExit().get(END_LIMIT.toMillis(), TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException | ExecutionException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
