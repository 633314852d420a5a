/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.derive.OneLine;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Frees what a dead host held. */
@Command(
        name = "release",
        description = {
            "Free a lease that a dead host held.",
            "The agent does it as any start would, and only on proof: the holder has been silent for longer than 8 io_timeouts and "
                    + "the watchdog timeout, has left, or came back without the lease. The next start on any host needs no "
                    + "such command; it is for those who want the lease free now. Every deed is written to audit.log in state_dir."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:the lease is free",
            "1:it is not, with the reason and when to try again",
            "2:wrong usage or configuration",
            "3:there is no agent here that is a member of this lockspace, or it does not answer"
        })
final class LeaseReleaseCommand extends DirectoryCommand {
    /** Longer than any host takes to be proved dead with the longest timeouts. */
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(10);

    private static final Duration BETWEEN_QUESTIONS = Duration.ofSeconds(5);

    private final LeaseTools tools;

    @Option(
            names = "--confirm-dead",
            required = true,
            description = "Required: says that the holder is meant to be dead. It is checked.")
    private boolean confirmDead;

    @Option(
            names = "--host-is-off",
            paramLabel = "HOST",
            description =
                    "Name of the holder, as vmguard lease show prints it, if you know that it is switched off: waits until it is "
                            + "proved dead instead of refusing. It does not shorten the wait, and does nothing to a host that lives.")
    private @Nullable String hostIsOff;

    @Parameters(paramLabel = "NAME", description = "Name of the lease.")
    private String name = "";

    LeaseReleaseCommand(LeaseTools tools) {
        this.tools = tools;
    }

    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Report(
            int format,
            String lease,
            String outcome,
            String message,
            @Nullable Double provedInSeconds) {}

    @Override
    Optional<Duration> waits() {
        return Optional.empty(); // for the agent, which has its own limits
    }

    @Override
    int run(Place place) throws InterruptedException {
        if (leaseName(name).isEmpty()) {
            return cannot("'" + name + "' cannot be the name of a lease");
        }
        UpkeepClient.Answer answer;
        try {
            answer = ask(UpkeepClient.of(tools, place));
        } catch (UpkeepClient.NoAgent e) {
            complain("not freed: " + e.getMessage());
            return NO_AGENT;
        } catch (IOException e) {
            complain("not known to be freed: " + e.getMessage() + ". See: vmguard lease show " + name);
            return NO_AGENT;
        }
        if (isJson()) {
            Double in = answer.provedIn().map(d -> d.toMillis() / 1000.0).orElse(null);
            out().print(OutputOption.json(
                    new Report(LeaseReport.FORMAT, name, answer.outcome(), answer.message(), in)));
        } else if (answer.good()) {
            out().println(OneLine.of(answer.message()));
        } else {
            complain("not freed: " + answer.message());
        }
        return answer.good() ? 0 : PROBLEM;
    }

    private UpkeepClient.Answer ask(UpkeepClient agent) throws IOException, InterruptedException {
        long startedNanos = tools.clock().bootNanos();
        UpkeepClient.Answer answer = agent.release(name, Optional.ofNullable(hostIsOff));
        while (hostIsOff != null
                && answer.mustWait()
                && tools.clock().bootNanos() - startedNanos < LONGEST_WAIT.toNanos()) {
            complain(answer.message());
            tools.pause().of(BETWEEN_QUESTIONS);
            answer = agent.release(name, Optional.of(hostIsOff));
        }
        return answer;
    }
}
