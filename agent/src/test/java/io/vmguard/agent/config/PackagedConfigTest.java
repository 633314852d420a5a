/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The file that the packages install and the code say the same. */
class PackagedConfigTest {

    /** Surefire runs in the module's directory. */
    private static final Path PACKAGED = Path.of("../packaging/common/vmguard.yaml");

    private static final Pattern SETTING = Pattern.compile("#([a-z_]+: .*)");

    @TempDir
    private Path dir;

    @Test
    void asInstalledItChangesNothing() throws Exception {
        assertThat(ConfigLoader.load(PACKAGED)).isEqualTo(AgentConfig.defaults());
    }

    @Test
    void itListsEveryKeyOnceInTheOrderOfTheCodeWithItsDefault() throws Exception {
        assertThat(settings())
                .containsExactlyElementsOf(Arrays.stream(ConfigKey.values())
                        .map(key -> key.key() + ": " + (key.defaultText().isEmpty() ? "\"\"" : key.defaultText()))
                        .toList());
    }

    @Test
    void withEveryLineEnabledItStillChangesNothing() throws Exception {
        Path enabled = Files.write(dir.resolve("enabled.yaml"), settings());
        assertThat(ConfigLoader.load(enabled)).isEqualTo(AgentConfig.defaults());
    }

    @Test
    void everySettingIsExplainedAbove() throws Exception {
        List<String> lines = Files.readAllLines(PACKAGED);
        for (int i = 0; i < lines.size(); i++) {
            if (SETTING.matcher(lines.get(i)).matches()) {
                assertThat(lines.get(i - 1)).as("line above %s", lines.get(i)).startsWith("# ");
            }
        }
    }

    private static List<String> settings() throws IOException {
        return Files.readAllLines(PACKAGED).stream()
                .map(SETTING::matcher)
                .filter(matcher -> matcher.matches())
                .map(matcher -> matcher.group(1))
                .toList();
    }
}
