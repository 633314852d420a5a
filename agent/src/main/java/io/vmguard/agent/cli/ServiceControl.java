/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.doctor.Commands;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.status.StatusReport;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/** Starts the agent through systemd, and waits until it can grant starts. */
final class ServiceControl {
    /** A join waits for the protocol's own times: 140 s and more after a crash. */
    private static final Duration READY_LIMIT = Duration.ofSeconds(240);

    private static final Duration SYSTEMCTL_LIMIT = Duration.ofSeconds(240);
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(3);
    private static final Duration BETWEEN = Duration.ofSeconds(1);

    private final Commands commands;
    private final LeaseTools tools;

    ServiceControl(Commands commands, LeaseTools tools) {
        this.commands = commands;
        this.tools = tools;
    }

    /** Empty if it does not answer. */
    static Optional<StatusReport> status(Path socket) {
        try {
            return Optional.of(StatusReport.parse(new AgentClient(socket, ANSWER_LIMIT).get("/v1/status")));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** @throws IOException with systemctl's words, if it did not succeed */
    void systemctl(String... words) throws IOException, InterruptedException {
        run(SYSTEMCTL_LIMIT, prepend("systemctl", words));
    }

    void run(Duration limit, List<String> command) throws IOException, InterruptedException {
        Commands.Result result = commands.run(limit, command);
        if (result.exit() != 0) {
            throw new IOException(String.join(" ", command) + ": "
                    + result.out()
                            .lines()
                            .filter(line -> !line.isBlank())
                            .findFirst()
                            .orElse("exit code " + result.exit()));
        }
    }

    private static List<String> prepend(String first, String... words) {
        List<String> all = new java.util.ArrayList<>(List.of(first));
        all.addAll(List.of(words));
        return all;
    }

    /** @throws IOException if it is no member within the time that joining can take, with its own reason */
    StatusReport awaitReady(Path socket, PrintWriter out) throws IOException, InterruptedException {
        long startedNanos = tools.clock().bootNanos();
        Optional<StatusReport> status = status(socket);
        boolean said = false;
        while (status.isEmpty() || !status.get().ready()) {
            if (tools.clock().bootNanos() - startedNanos > READY_LIMIT.toNanos()) {
                throw new IOException(status.map(report -> "the agent is no member yet: "
                                + report.lockspace().detail())
                        .orElse("the agent does not answer: journalctl -u vmguard"));
            }
            if (!said) {
                out.println(
                        "  waiting for the agent to join; this takes some seconds, and up to 3 minutes after a crash");
                out.flush();
                said = true;
            }
            tools.pause().of(BETWEEN);
            status = status(socket);
        }
        return status.get();
    }
}
