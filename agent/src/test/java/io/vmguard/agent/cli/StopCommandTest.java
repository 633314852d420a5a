/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** {@code vmguard stop}: no choice, no agent, and what an agent answers. */
@Timeout(60)
class StopCommandTest {
    @TempDir
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        return new CommandLine(new StopCommand())
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err, true))
                .execute(arguments);
    }

    private int runAgainst(int status, String body, String choice) throws IOException {
        Path socket = dir.resolve("agent.sock");
        try (CannedServer server = new CannedServer(socket, CannedServer.http(status, body))) {
            int code = run(choice, "--socket", socket.toString());
            assertThat(server.request()).startsWith("POST /v1/stop?domains=" + choice.substring(2) + " HTTP/1.0\r\n");
            return code;
        }
    }

    @Test
    void withoutAChoiceItExplainsBothAndDoesNothing() {
        assertThat(run("--socket", dir.resolve("agent.sock").toString())).isEqualTo(2);
        assertThat(err.toString())
                .contains("vmguard stop --release", "vmguard stop --keep", "NOBODY GUARDS THEM", "Nothing was done");
    }

    @Test
    void bothChoicesAreNone() {
        assertThat(run("--keep", "--release")).isEqualTo(2);
        assertThat(err.toString()).contains("mutually exclusive");
    }

    @Test
    void anAgentThatIsNotThereIsThree() {
        assertThat(run("--keep", "--socket", dir.resolve("agent.sock").toString()))
                .isEqualTo(3);
        assertThat(err.toString()).contains("the agent does not answer", "systemctl status vmguard");
    }

    @Test
    void anAgentThatGoesOnIsOneAndItsReasonIsPrinted() throws IOException {
        String body = "{\"outcome\":\"refused\",\"message\":\"the agent goes on: these domains have leases: demo1\"}";
        assertThat(runAgainst(409, body, "--release")).isEqualTo(1);
        assertThat(err).hasToString("vmguard: the agent goes on: these domains have leases: demo1\n");
    }

    @Test
    void itIsZeroOnceTheAgentsProcessHasEnded() throws IOException, InterruptedException {
        Process agent = new ProcessBuilder("sleep", "0.5").start();
        String body = "{\"outcome\":\"stopping\",\"message\":\"the agent stops\",\"pid\":" + agent.pid() + "}";
        assertThat(runAgainst(200, body, "--keep")).isZero();
        assertThat(out).hasToString("vmguard: the agent stops\n");
        assertThat(agent.isAlive()).isFalse();
    }

    @Test
    void anAnswerThatIsNotUnderstoodIsThree() throws IOException {
        assertThat(runAgainst(400, "vmguard: no such request\n", "--keep")).isEqualTo(3);
        assertThat(err.toString()).contains("not understood, status 400");
        assertThat(Optional.of(out.toString())).contains("");
    }
}
