/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.manual.Manual;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** Manual pages and completions as man, groff and a real bash take them. */
@Timeout(120)
class ManualTest {
    @TempDir
    private Path dir;

    private final Map<String, String> files = new Manual(Main.commandLine(), "1.2.3", "2026-11-22").files();

    @BeforeEach
    void write() throws IOException {
        new Manual(Main.commandLine(), "1.2.3", "2026-11-22").writeTo(dir);
    }

    @Test
    void everyCommandHasAPageThatNamesAllItsOptions() {
        everyCommand(Main.commandLine()).forEach(command -> {
            CommandLine.Model.CommandSpec spec = command.getCommandSpec();
            String page = files.get("man/" + spec.qualifiedName("-") + ".1");
            assertThat(page).as(spec.qualifiedName(" ")).isNotNull().contains("1.2.3", "2026-11-22");
            spec.options().stream()
                    .filter(option -> !option.hidden())
                    .forEach(option -> assertThat(page)
                            .as(spec.qualifiedName(" "))
                            .contains(option.longestName().replace("-", "\\-")));
            spec.usageMessage()
                    .exitCodeList()
                    .keySet()
                    .forEach(code -> assertThat(page).contains(".B \"" + code.strip() + "\""));
            assertThat(page).doesNotContain("${", "@|", "%n");
        });
    }

    @Test
    void twoBuildsAreEqual() {
        assertThat(new Manual(Main.commandLine(), "1.2.3", "2026-11-22").files())
                .isEqualTo(files);
    }

    /** groff is what man formats with; it tells of each macro and escape that it does not know. */
    @Test
    void pagesAreSoundForGroff() throws IOException, InterruptedException {
        if (!Files.isExecutable(Path.of("/usr/bin/groff"))) {
            System.err.println("NOT CHECKED pagesAreSoundForGroff: there is no groff");
            return;
        }
        for (String name : files.keySet()) {
            if (name.startsWith("man/")) {
                assertThat(run(List.of("groff", "-man", "-Tutf8", "-ww", "-z", "-rCHECKSTYLE=3", name)))
                        .as(name)
                        .isEmpty();
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '"',
            value = {
                "vmguard st, status stop",
                "vmguard lease r, release",
                "vmguard status --form, --format",
                "vmguard status --format j, json",
                "vmguard status --format = j, json",
                "vmguard explain --on de, demo1 demo2",
                "vmguard status --nonsense, \"\""
            })
    void bashCompletes(String line, String expected) throws IOException, InterruptedException {
        List<String> words = new ArrayList<>(List.of(line.split(" ")));
        String script =
                "vmguard() { printf '%s' '{\"domains\":[{\"name\":\"demo1\",\"uuid\":\"1\"},{\"name\":\"demo2\",\"uuid\":\"2\"},"
                        + "{\"name\":\"other\",\"uuid\":\"3\"}],\"hosts\":[{\"name\":\"de-host\"}]}'; }\n"
                        + "source completion/vmguard.bash\nCOMP_WORDS=(" + String.join(" ", words) + ")\nCOMP_CWORD="
                        + (words.size() - 1) + "\n_vmguard\necho \"${COMPREPLY[*]}\"";
        assertThat(run(List.of("bash", "-c", script)).strip()).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"zsh, completion/_vmguard", "fish, completion/vmguard.fish", "bash, completion/vmguard.bash"})
    void shellsFindNoMistakeInTheirScript(String shell, String script) throws IOException, InterruptedException {
        if (!Files.isExecutable(Path.of("/usr/bin/" + shell))) {
            System.err.println("NOT CHECKED " + script + ": there is no " + shell);
            return;
        }
        assertThat(run(List.of(shell, "-n", script))).isEmpty();
    }

    /** zsh's own part is stood in for: it is told which word is the command and which one is being completed. */
    @ParameterizedTest
    @CsvSource({
        "vmguard st, commands of vmguard",
        "vmguard lease r, commands of lease",
        "vmguard -, 2 of vmguard -",
        "vmguard status --fo, 2 of status --fo",
        "vmguard lease gc --yes --old, 3 of gc --yes --old",
        "vmguard explain --on d, 3 of explain --on d"
    })
    void zshIsToldTheCommandAndTheWord(String line, String expected) throws IOException, InterruptedException {
        if (!Files.isExecutable(Path.of("/usr/bin/zsh"))) {
            System.err.println("NOT CHECKED zshIsToldTheCommandAndTheWord: there is no zsh");
            return;
        }
        String script =
                "_arguments() { print -r -- \"$CURRENT of $words\" }; _describe() { print -r -- \"commands of $words[1]\" }\n"
                        + "words=(" + line + ") CURRENT=${#words}; source completion/_vmguard";
        assertThat(run(List.of("zsh", "-f", "-c", script)).strip()).isEqualTo(expected);
    }

    private static Stream<CommandLine> everyCommand(CommandLine top) {
        return Stream.concat(
                Stream.of(top), top.getSubcommands().values().stream().flatMap(ManualTest::everyCommand));
    }

    private String run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .directory(dir.toFile())
                .redirectErrorStream(true)
                .start();
        String said = new String(process.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(said).isZero();
        return said;
    }
}
