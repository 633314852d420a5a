/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

/** Whatever a command is given, it answers with sentences and a code that its help lists; found by walking through all commands. */
@Timeout(180)
class BadInputTest {
    /** Arguments that a command cannot do without, or must not be run without in a test. */
    private static final Map<String, List<String>> NEEDED = Map.of(
            "explain", List.of("/no/such/domain.xml"),
            "whohas", List.of("/no/such/disk"),
            "attach-check", List.of("demo1", "/no/such/device.xml"),
            "reserve", List.of("demo1", "/no/such/device.xml"),
            "stop", List.of("--keep"),
            "doctor", List.of("--no-probe"),
            "lease show", List.of("rbd-0001"),
            "lease dump", List.of("rbd-0001"),
            "lease release", List.of("--confirm-dead", "rbd-0001"));

    /** Writes files of its own; what it does with a bad output file is in its own test. */
    private static final String REPORT = "report";

    @TempDir(factory = UnderTarget.class)
    private Path dir;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    /** By their full names; the daemon has its own tests. */
    static Stream<String> commands() {
        List<String> names = new ArrayList<>();
        collect("", commandLine(), names);
        names.remove("agent");
        return names.stream();
    }

    static Stream<String> commandsThatOnlyLook() {
        return commands().filter(name -> !name.equals(REPORT));
    }

    private static void collect(String prefix, CommandLine line, List<String> names) {
        line.getSubcommands().forEach((name, sub) -> {
            if (sub.getSubcommands().isEmpty()) {
                names.add(prefix + name);
            } else {
                collect(prefix + name + " ", sub, names);
            }
        });
    }

    private static CommandLine commandLine() {
        return Main.commandLine(new String[0], InputStream.nullInputStream());
    }

    private static CommandLine.Model.CommandSpec spec(String command) {
        CommandLine line = commandLine();
        for (String word : command.split(" ")) {
            line = line.getSubcommands().get(word);
        }
        return line.getCommandSpec();
    }

    private int run(PrintWriter to, String command, String... more) {
        List<String> all = new ArrayList<>(List.of(command.split(" ")));
        all.addAll(NEEDED.getOrDefault(command, List.of()));
        all.addAll(List.of(more));
        return commandLine().setOut(to).setErr(new PrintWriter(err, true)).execute(all.toArray(String[]::new));
    }

    /** What a person would see: no trace of the program's inside, and nothing that its help does not list. */
    private void assertAnswered(String command, int code) {
        assertThat(err.toString()).doesNotContain("\tat ", "Exception", "internal error");
        assertThat(err.toString().lines()).allMatch(line -> line.startsWith("vmguard: ") && line.length() > 20);
        assertThat(spec(command).usageMessage().exitCodeList()).containsKey(Integer.toString(code));
        if (code != 0) {
            assertThat(err.toString() + out).isNotBlank();
        }
    }

    private String config(String leaseDir) throws IOException {
        return Files.writeString(
                        dir.resolve("vmguard.yaml"),
                        "socket: " + dir.resolve("none.sock") + "\nstate_dir: " + dir.resolve("state")
                                + "\nruntime_dir: " + dir.resolve("run") + "\nlease_dir: " + leaseDir + "\n")
                .toString();
    }

    @Test
    void allCommandsAreFound() {
        assertThat(commands())
                .contains("status", "lease gc", "doctor", "init", "mode", "leases")
                .hasSizeGreaterThan(15);
    }

    @ParameterizedTest
    @MethodSource("commands")
    void aWrongOptionIsTwoAndNamed(String command) {
        assertThat(run(new PrintWriter(out), command, "--no-such-option")).isEqualTo(2);
        assertThat(err.toString()).contains("--no-such-option").doesNotContain("\tat ", "Exception");
    }

    /** As of {@code --dir "$UNSET"}. */
    @ParameterizedTest
    @MethodSource("commands")
    void anEmptyPathIsTwoAndNotTheDirectoryOneIsIn(String command) {
        List<String> options = spec(command).options().stream()
                .filter(option -> option.type() == Path.class)
                .map(CommandLine.Model.OptionSpec::longestName)
                .toList();
        assertThat(options).contains("--config");
        for (String option : options) {
            assertThat(run(new PrintWriter(out), command, option, ""))
                    .as(option)
                    .isEqualTo(2);
            assertThat(err.toString())
                    .contains(option, "a path cannot be empty")
                    .doesNotContain("Exception");
            err.getBuffer().setLength(0);
        }
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void aConfigurationThatCannotBeUsedIsTwoWithAllItsProblems(String command) throws IOException {
        Path bad = Files.writeString(dir.resolve("bad.yaml"), "mod: observe\nio_timeout: soon\n");
        assertThat(run(new PrintWriter(out), command, "--config", bad.toString()))
                .isEqualTo(2);
        assertThat(err.toString() + out).contains("mod", "io_timeout");
        assertAnswered(command, 2);
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void aConfigurationThatIsADirectoryIsTwo(String command) {
        assertThat(run(new PrintWriter(out), command, "--config", dir.toString()))
                .isEqualTo(2);
        assertThat(err.toString() + out).contains("is a directory");
        assertAnswered(command, 2);
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void withoutAnAgentAndWithoutALeaseDirectoryThereIsASentence(String command) throws IOException {
        int code = run(new PrintWriter(out), command, "--config", config(dir + "/none"));
        assertAnswered(command, code);
        assertThat(dir.resolve("none")).doesNotExist();
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void aLeaseDirectoryThatIsAFileIsASentence(String command) throws IOException {
        Path file = Files.writeString(dir.resolve("file"), "hello");
        int code = run(new PrintWriter(out), command, "--config", config(file.toString()));
        assertAnswered(command, code);
        assertThat(file).hasContent("hello");
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void aHalfBrokenLeaseDirectoryIsASentenceAndIsLeftAsItIs(String command) throws IOException {
        Path leases = Files.createDirectory(dir.resolve("leases"));
        Files.writeString(leases.resolve("__LIBVIRT__DISKS__"), "half a lockspace");
        Files.write(leases.resolve("rbd-0001"), new byte[512]);
        Files.write(leases.resolve("empty"), new byte[0]);
        Files.createDirectory(leases.resolve("directory"));
        Files.createSymbolicLink(leases.resolve("loop"), leases.resolve("loop"));
        Files.createSymbolicLink(leases.resolve("nowhere"), dir.resolve("gone"));
        Files.writeString(leases.resolve("odd\nname"), "x");
        int code = run(new PrintWriter(out), command, "--config", config(leases.toString()));
        assertAnswered(command, code);
        assertThat(leases.resolve("__LIBVIRT__DISKS__")).hasContent("half a lockspace");
        try (Stream<Path> files = Files.list(leases)) {
            assertThat(files).hasSize(7);
        }
    }

    @Test
    void aLockspaceThatCannotBeReadIsNotSaidToBeMissing() throws IOException {
        Path leases = Files.createDirectory(dir.resolve("leases"));
        Files.writeString(leases.resolve("__LIBVIRT__DISKS__"), "half a lockspace");
        for (String command : List.of("hosts", "whohas")) {
            assertThat(run(new PrintWriter(out), command, "--config", config(leases.toString())))
                    .isEqualTo(2);
        }
        assertThat(err.toString().lines())
                .hasSize(2)
                .allMatch(line -> line.contains("__LIBVIRT__DISKS__ at offset 0: it is not a lease"));
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void aClosedPipeIsNoMistakeOfOurs(String command) throws IOException {
        PrintWriter closed = new PrintWriter(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("Broken pipe");
            }
        });
        int code = run(closed, command, "--config", config(dir + "/none"));
        assertThat(err.toString()).doesNotContain("\tat ", "Exception", "internal error", "Broken pipe");
        assertThat(code).isNotEqualTo(70);
    }

    @ParameterizedTest
    @MethodSource("commandsThatOnlyLook")
    void everyOptionWithoutItsValueIsTwo(String command) {
        spec(command).options().stream()
                .filter(option -> option.arity().min() > 0)
                .forEach(option -> assertThat(run(new PrintWriter(out), command, option.longestName()))
                        .as(option.longestName())
                        .isEqualTo(2));
        assertThat(err.toString()).doesNotContain("\tat ", "Exception");
    }
}
