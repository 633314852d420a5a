/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.status.StatusReport;
import io.vmguard.agent.testing.SampleReport;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** What {@code vmguard status} prints and returns, for an agent that answers, that does not, and that answers nonsense. */
@Timeout(60)
class StatusCommandTest {
    @TempDir
    private Path dir;

    private Path socket = Path.of("");
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void nameTheSocket() {
        socket = dir.resolve("agent.sock");
    }

    private int run(String... arguments) {
        return new CommandLine(new StatusCommand(Duration.ofMillis(500)))
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err, true))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .execute(arguments);
    }

    private int runAgainst(Optional<String> answer, String... more) throws IOException {
        String[] arguments = new String[more.length + 2];
        arguments[0] = "--socket";
        arguments[1] = socket.toString();
        System.arraycopy(more, 0, arguments, 2, more.length);
        try (CannedServer server = new CannedServer(socket, answer)) {
            int code = run(arguments);
            if (answer.isPresent()) {
                assertThat(server.request()).startsWith("GET /v1/status HTTP/1.0\r\n");
            }
            return code;
        }
    }

    private static Optional<String> report(boolean ready) throws JsonProcessingException {
        StatusReport report = SampleReport.of(ready);
        return CannedServer.http(200, new ObjectMapper().writeValueAsString(report) + "\n");
    }

    @Test
    void agentThatIsReadyIsZeroAndText() throws IOException {
        assertThat(runAgainst(report(true))).isZero();
        assertThat(out.toString())
                .startsWith("vmguard 0.1.0 on node-a, mode enforce, ready\n")
                .contains("demo1");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void agentThatRefusesStartsIsOne() throws IOException {
        assertThat(runAgainst(report(false))).isEqualTo(1);
        assertThat(out.toString()).contains("NOT READY");
    }

    @Test
    void jsonIsPassedOnAsItIs() throws IOException {
        String body =
                new ObjectMapper().writeValueAsString(SampleReport.of(true)).replaceFirst("\\{", "{\"newer\":1,")
                        + "\n";
        assertThat(runAgainst(CannedServer.http(200, body), "--format", "json")).isZero();
        assertThat(out).hasToString(body);
    }

    @Test
    void jsonOfAnAgentThatRefusesStartsIsOneToo() throws IOException {
        assertThat(runAgainst(report(false), "--format=JSON")).isEqualTo(1);
    }

    @Test
    void noSocketIsThreeAndSaysWhatToDo() {
        assertThat(run("--socket", socket.toString())).isEqualTo(3);
        assertThat(err.toString())
                .startsWith("vmguard: the agent does not answer on " + socket + ": ")
                .endsWith("Is it running? systemctl status vmguard\n");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void socketThatNobodyServesIsThree() throws IOException {
        new CannedServer(socket, Optional.empty()).close();
        assertThat(run("--socket", socket.toString())).isEqualTo(3);
        assertThat(err.toString()).contains("Connection refused");
    }

    @Test
    void socketThatAcceptsAndNeverAnswersIsThreeWithinTheLimit() throws IOException {
        assertThat(runAgainst(Optional.empty())).isEqualTo(3);
        assertThat(err.toString()).contains("no answer within 0.5 s");
    }

    @Test
    void pathThatIsTooLongForASocketIsThree() {
        assertThat(run("--socket", "/" + "x".repeat(200))).isEqualTo(3);
        assertThat(err.toString()).contains("the agent does not answer on /xxx");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "hello",
                "HTTP/1.1 200 OK\r\n",
                "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\nnot JSON",
                "HTTP/1.1 200 OK\r\n\r\n{\"format\":1,\"agent\":{\"vers",
                "HTTP/1.1 200 OK\r\n\r\n{}",
                "HTTP/1.1 200 OK\r\n\r\n{\"format\":1,\"ready\":true}",
                "HTTP/1.1 200 OK\r\n\r\nnull",
                "HTTP/1.1 200 OK\r\n\r\n[]",
                "HTTP/1.1 200 OK\r\n\r\n"
            })
    void nonsenseIsThreeAndNothingIsPrinted(String answer) throws IOException {
        assertThat(runAgainst(Optional.of(answer))).isEqualTo(3);
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString()).startsWith("vmguard: the agent does not answer on ");
        assertThat(err.toString().lines()).hasSize(1);
    }

    @Test
    void socketComesFromTheConfiguration() throws IOException {
        Path config = Files.writeString(dir.resolve("vmguard.yaml"), "socket: " + socket + "\n");
        try (CannedServer server = new CannedServer(socket, report(true))) {
            assertThat(run("--config", config.toString())).isZero();
            assertThat(server.request()).isNotEmpty();
        }
    }

    @Test
    void badConfigurationIsTwoWithEveryProblem() throws IOException {
        Path config = Files.writeString(dir.resolve("vmguard.yaml"), "sockett: /x\nmode: perhaps\n");
        assertThat(run("--config", config.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("sockett").contains("mode");
    }

    @ParameterizedTest
    @ValueSource(strings = {"--format=yaml", "--no-such-option", "surplus"})
    void wrongUsageIsTwo(String argument) {
        assertThat(run(argument)).isEqualTo(2);
        assertThat(err.toString()).isNotEmpty();
    }
}
