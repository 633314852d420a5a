/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Single keys are changed, and what people have written stays. */
class ConfigTextTest {
    @TempDir
    private Path dir;

    @Test
    void aKeyIsReplacedWhereItStandsOrWhereItsDefaultDoesOrAtTheEnd() {
        String before =
                "# first\nmode: observe   # for now\n#lease_dir: /var/lib/vmguard/leases\n\n# io_timeout: is explained here\n";
        assertThat(ConfigText.with(before, Map.of("mode", "enforce")))
                .isEqualTo(before.replace("mode: observe   # for now", "mode: enforce"));
        assertThat(ConfigText.with(before, Map.of("lease_dir", "/mnt/leases")))
                .isEqualTo(before.replace("#lease_dir: /var/lib/vmguard/leases", "lease_dir: /mnt/leases"));
        assertThat(ConfigText.with(before, Map.of("io_timeout", "5s"))).isEqualTo(before + "io_timeout: 5s\n");
        assertThat(ConfigText.with("", Map.of("mode", "observe"))).isEqualTo("mode: observe\n");
        assertThat(ConfigText.with("", Map.of())).isEmpty();
    }

    @Test
    void whatYamlWouldReadOtherwiseIsQuotedAndComesBackAsItWas() throws Exception {
        String odd = "/mnt/a b: #\"c\\d";
        Path file = dir.resolve("c.yaml");
        ConfigText.change(file, Map.of("lease_dir", odd));
        assertThat(ConfigLoader.load(file).leaseDir()).hasToString(odd);
    }

    @Test
    void theDefaultFileStaysValidWithEachKeyChanged() throws Exception {
        Path shipped = Path.of("../packaging/common/vmguard.yaml");
        Path file = Files.copy(shipped, dir.resolve("c.yaml"));
        ConfigText.change(
                file, Map.of("lease_dir", "/mnt/leases", "host_id", "7", "mode", "observe", "io_timeout", "20s"));
        AgentConfig config = ConfigLoader.load(file);
        assertThat(config.leaseDir()).hasToString("/mnt/leases");
        assertThat(config.hostId()).hasValue(7);
        assertThat(config.mode()).isEqualTo(AgentConfig.Mode.OBSERVE);
        assertThat(Files.readAllLines(file)).hasSameSizeAs(Files.readAllLines(shipped));
    }

    @Test
    void permissionsAndLinksStay() throws IOException {
        Path real = Files.writeString(dir.resolve("real.yaml"), "mode: observe\n");
        Files.setPosixFilePermissions(real, PosixFilePermissions.fromString("rw-r-----"));
        Path link = Files.createSymbolicLink(dir.resolve("link.yaml"), real);
        ConfigText.change(link, Map.of("mode", "enforce"));
        assertThat(link).isSymbolicLink();
        assertThat(real).hasContent("mode: enforce\n");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(real)))
                .isEqualTo("rw-r-----");
    }

    @Test
    void aChangeThatTheAgentWouldNotTakeIsFoundBeforeItIsMade() throws IOException {
        Path file = Files.writeString(dir.resolve("c.yaml"), "mode: observe\n");
        assertThatThrownBy(() -> ConfigText.check(file, Map.of("io_timeout", "soon")))
                .isInstanceOf(ConfigException.class);
        assertThat(file).hasContent("mode: observe\n");
    }
}
