/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.AgentConfig.Mode;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigText;
import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.doctor.Commands;
import io.vmguard.agent.hook.AgentClient;
import io.vmguard.agent.setup.Step;
import io.vmguard.agent.status.StatusReport;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** From observing to enforcing, with what that would have meant so far. */
@Command(
        name = "mode",
        description = {
            "Show whether the agent refuses (enforce) or only tells (observe), and what it would have refused; or switch.",
            "Domains run on over the switch, for which the agent is restarted."
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:shown, or switched",
            "1:something would be refused now; or it was not switched, a sentence says why",
            "2:wrong usage or configuration",
            "3:the agent does not answer"
        })
public final class ModeCommand implements Callable<Integer> {
    private static final Duration LIMIT = Duration.ofSeconds(5);
    private static final int NOT_DONE = 1;
    private static final int NO_AGENT = 3;

    /** @param wouldHaveBeenRefused in mode observe, since the agent started; null in mode enforce */
    @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
    record Report(
            int format,
            String mode,
            String configured,
            @Nullable Long wouldHaveBeenRefused,
            List<String> refusals,
            List<String> unprotected) {}

    private final LeaseTools tools;
    private final Commands commands;
    private final InputStream in;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before it calls
    private CommandSpec spec;

    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Mixin
    private OutputOption output = new OutputOption();

    @Mixin
    private Plan plan = new Plan();

    @Parameters(
            paramLabel = "observe|enforce",
            arity = "0..1",
            description = "The mode to switch to (default: only show).")
    private @Nullable Mode wanted;

    /** @param in where the answer to its question comes from */
    public ModeCommand(LeaseTools tools, Commands commands, InputStream in) {
        this.tools = tools;
        this.commands = commands;
        this.in = in;
    }

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        try {
            AgentConfig config = agent.config();
            Path socket = agent.socket();
            StatusReport status;
            try {
                status = StatusReport.parse(new AgentClient(socket, LIMIT).get("/v1/status"));
            } catch (IOException e) {
                return complain(NO_AGENT, Complaint.noAgent(socket, e));
            }
            Report report = report(status, config, socket);
            if (output.isJson() && wanted == null) {
                out.print(OutputOption.json(report));
            } else {
                print(report, out);
            }
            boolean clean = report.refusals().isEmpty() && report.unprotected().isEmpty();
            return wanted == null ? (clean ? 0 : NOT_DONE) : change(wanted, report, socket);
        } catch (ConfigException e) {
            e.problems().forEach(problem -> complain(2, problem));
            return 2;
        } catch (IOException e) {
            return complain(NOT_DONE, FileTrouble.of(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return complain(NOT_DONE, "interrupted");
        } finally {
            out.flush();
        }
    }

    private static Report report(StatusReport status, AgentConfig config, Path socket) throws IOException {
        boolean observe = status.agent().mode().equals("observe");
        return new Report(
                1,
                status.agent().mode(),
                word(config.mode()),
                observe ? status.agent().refused() : null,
                observe ? refusals(socket) : List.of(),
                status.domains().stream()
                        .filter(domain -> !domain.problems().isEmpty())
                        .map(domain -> domain.name() + ": " + String.join("; ", domain.problems()))
                        .toList());
    }

    /** The latest of them, in words. */
    private static List<String> refusals(Path socket) throws IOException {
        try {
            JsonNode document = new ObjectMapper().readTree(new AgentClient(socket, LIMIT).get("/v1/events"));
            List<String> refusals = new ArrayList<>();
            for (JsonNode event : document.path("events")) {
                String code = event.path("code").asText();
                String message = event.path("message").asText();
                if (code.equals("VG-204") || code.equals("VG-206")) {
                    refusals.add(message);
                }
            }
            return refusals.stream().distinct().toList();
        } catch (JsonProcessingException e) {
            throw new IOException("the agent's answer is not one about events", e);
        }
    }

    private static void print(Report report, PrintWriter out) {
        out.println("mode " + report.mode()
                + (report.mode().equals(report.configured())
                        ? ""
                        : "; the file says " + report.configured() + ", from the next start on"));
        if (report.wouldHaveBeenRefused() != null) {
            out.println(report.wouldHaveBeenRefused() + " starts would have been refused since the agent started"
                    + (report.refusals().isEmpty() ? "" : "; the latest, each once:"));
            report.refusals().forEach(refusal -> out.println("  " + OneLine.of(refusal)));
        }
        if (!report.unprotected().isEmpty()) {
            out.println("domains that run and are not fully protected:");
            report.unprotected().forEach(domain -> out.println("  " + OneLine.of(domain)));
        }
    }

    private int change(Mode mode, Report report, Path socket)
            throws ConfigException, IOException, InterruptedException {
        Map<String, String> settings = Map.of("mode", word(mode));
        ConfigText.check(agent.file(), settings);
        if (report.mode().equals(word(mode)) && report.configured().equals(word(mode))) {
            spec.commandLine().getOut().println("nothing to do");
            return 0;
        }
        ServiceControl service = new ServiceControl(commands, tools);
        List<Step> steps = new ArrayList<>();
        String consequence = mode == Mode.ENFORCE
                ? "write mode: enforce into " + agent.file()
                        + ": starts like those above are refused, domains whose lease is lost are stopped"
                        + (report.unprotected().isEmpty()
                                ? ""
                                : ", and those found on another host's disk are dealt with by on_unprotected")
                : "write mode: observe into " + agent.file() + ": NOTHING IS GUARDED from then on, it is only told";
        steps.add(new Step(consequence, () -> ConfigText.change(agent.file(), settings)));
        steps.add(new Step(
                "restart the agent (systemctl restart vmguard); domains run on",
                () -> service.systemctl("restart", "vmguard.service")));
        steps.add(new Step(
                "wait until it is a member",
                () -> service.awaitReady(socket, spec.commandLine().getOut())));
        return plan.carryOut(
                                steps,
                                in,
                                spec.commandLine().getOut(),
                                spec.commandLine().getErr())
                        == Plan.Outcome.DONE
                ? 0
                : NOT_DONE;
    }

    private static String word(Mode mode) {
        return mode.name().toLowerCase(Locale.ROOT);
    }

    private int complain(int code, String text) {
        Complaint.print(spec.commandLine().getErr(), text);
        return code;
    }
}
