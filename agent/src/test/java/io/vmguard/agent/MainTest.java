/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeout;

import io.vmguard.agent.testing.ProcessorTime;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The executable as a whole: help, mistakes, and an agent that must not start. */
class MainTest {
    @TempDir
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        return Main.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .execute(arguments);
    }

    @Test
    void helpNamesEveryCommand() {
        assertThat(run("--help")).isZero();
        assertThat(out.toString())
                .startsWith("Usage: vmguard")
                .contains("  agent ", "  status ", "  stop ", "  explain ", "  whohas ", "  hosts ", "  lease ")
                .contains("One disk, one writer");
    }

    @Test
    void withoutACommandTheHelpIsShown() {
        assertThat(run()).isZero();
        assertThat(out.toString()).startsWith("Usage: vmguard");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "agent",
                "status",
                "stop",
                "explain",
                "whohas",
                "attach-check",
                "reserve",
                "hosts",
                "doctor",
                "leases",
                "events",
                "init",
                "import-sanlock",
                "mode",
                "report",
                "lease init",
                "lease list",
                "lease show",
                "lease dump",
                "lease gc",
                "lease release"
            })
    void everyCommandHasHelpWithItsExitCodes(String command) {
        assertThat(run((command + " --help").split(" "))).isZero();
        assertThat(out.toString()).startsWith("Usage: vmguard " + command).contains("Exit codes:");
    }

    @Test
    void aThousandDomainsAreExplainedInFiveSeconds(@TempDir Path dir) throws Throwable {
        Path config = Files.createFile(dir.resolve("defaults.yaml"));
        List<String> arguments = new ArrayList<>(List.of("explain", "--config", config.toString()));
        for (int i = 0; i < 1000; i++) {
            Path file = dir.resolve(i + ".xml");
            Files.writeString(
                    file,
                    "<domain type='kvm'><name>vm" + i + "</name><devices><disk type='file'><source file='" + file
                            + "'/><target dev='vda'/></disk><disk type='network'><source protocol='rbd' name='rbd/vm"
                            + i
                            + "'/><target dev='vdb'/></disk></devices></domain>");
            arguments.add(file.toString());
        }
        // Of the processors; besides, it must not wait for anything.
        assertTimeout(
                Duration.ofMinutes(1),
                () -> assertThat(ProcessorTime.of(() -> assertThat(run(arguments.toArray(String[]::new)))
                                .isZero()))
                        .isLessThan(Duration.ofSeconds(5)));
        assertThat(out.toString()).contains("vm999");
    }

    @Test
    void versionIsOneLine() {
        assertThat(run("--version")).isZero();
        assertThat(out.toString()).matches("vmguard \\S+\\R");
    }

    @ParameterizedTest
    @ValueSource(strings = {"statsu", "--frobnicate"})
    void unknownWordIsWrongUsage(String word) {
        assertThat(run(word)).isEqualTo(2);
        assertThat(err.toString()).contains(word);
    }

    @Test
    void agentWithABadConfigurationPrintsEveryProblemAndStartsNothing() throws IOException {
        Path run = dir.resolve("run");
        Path config = Files.writeString(
                dir.resolve("vmguard.yaml"),
                "mod: observe\nio_timeout: soon\nhost_id: 5000\nruntime_dir: " + run + "\nsocket: "
                        + run.resolve("agent.sock") + "\nstate_dir: " + dir.resolve("state") + "\nlease_dir: "
                        + dir.resolve("leases") + "\n");
        assertThat(run("agent", "--config", config.toString())).isEqualTo(78);
        assertThat(err.toString()).contains("mod", "mode", "io_timeout", "host_id");
        assertThat(err.toString().lines().toList())
                .hasSize(4)
                .allMatch(line -> line.startsWith("vmguard: "))
                .last()
                .isEqualTo("vmguard: not started: the configuration is wrong");
        try (Stream<Path> files = Files.list(dir)) {
            assertThat(files).isEqualTo(List.of(config)).isNotEmpty();
        }
    }

    @Test
    void agentThatCannotUseItsDirectoriesSaysWhichAndIsOne() throws IOException {
        Path file = Files.writeString(dir.resolve("file"), "");
        Path config = Files.writeString(
                dir.resolve("vmguard.yaml"),
                "runtime_dir: " + file.resolve("run") + "\nsocket: " + dir.resolve("agent.sock") + "\nstate_dir: "
                        + file.resolve("state") + "\nlease_dir: " + dir.resolve("leases") + "\n");
        assertThat(run("agent", "--config", config.toString())).isEqualTo(1);
        assertThat(err.toString().lines())
                .singleElement()
                .satisfies(line -> assertThat(line)
                        .startsWith("vmguard: not started: " + file)
                        .endsWith("Not a directory"));
        assertThat(dir.resolve("agent.sock")).doesNotExist();
    }

    @Test
    void mistakeOfOursIsSaidToBeOneAndHasACodeOfItsOwn() {
        CommandLine line = Main.commandLine();
        line.addSubcommand("broken", new Broken());
        line.setErr(new PrintWriter(err, true));
        assertThat(line.execute("broken")).isEqualTo(70);
        assertThat(err.toString()).contains("vmguard: internal error: java.lang.IllegalStateException: oops");
    }

    @CommandLine.Command
    private static final class Broken implements Runnable {
        @Override
        public void run() {
            throw new IllegalStateException("oops");
        }
    }
}
