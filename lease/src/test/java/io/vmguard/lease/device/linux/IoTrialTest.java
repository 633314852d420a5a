/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.vmguard.lease.testing.UnderTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a trial of direct I/O measures, and that it leaves nothing and touches nothing. */
@Timeout(60)
class IoTrialTest {
    @TempDir(factory = UnderTarget.class)
    Path dir;

    private final IoTrial trial = new IoTrial(new LinuxClock(), new Random(1));

    @ParameterizedTest
    @ValueSource(ints = {512, 4096})
    void aDirectoryIsWrittenAndReadOnAFileOfItsOwnThatIsGoneAfterwards(int sector) throws IOException {
        Path lease = Files.write(dir.resolve("lease"), new byte[8192]);
        IoTrial.Result result = trial.run(dir, sector, Duration.ofMillis(300));
        assertThat(result.failure()).isEmpty();
        assertThat(result.writes()).isTrue();
        assertThat(result.millis()).hasSizeBetween(2, 200).allMatch(millis -> millis >= 0);
        assertThat(dir).isDirectoryContaining(lease::equals);
        try (var files = Files.list(dir)) {
            assertThat(files).containsExactly(lease);
        }
        assertThat(lease).hasBinaryContent(new byte[8192]);
    }

    /** A machine with much to do may let the time pass before the first write. */
    @Test
    void howeverShortTheTimeOneWriteAndOneReadAreMeasured() throws IOException {
        assertThat(trial.run(dir, 512, Duration.ofNanos(1)).millis()).hasSize(2);
    }

    @Test
    void aDeviceIsOnlyRead() throws IOException {
        byte[] content = new byte[8192];
        new Random(2).nextBytes(content);
        Path device = Files.write(dir.resolve("device"), content); // a plain file stands for it
        IoTrial.Result result = trial.run(device, 512, Duration.ofMillis(200));
        assertThat(result.failure()).isEmpty();
        assertThat(result.writes()).isFalse();
        assertThat(result.millis()).isNotEmpty();
        assertThat(device).hasBinaryContent(content);
    }

    @Test
    void sectorsThatDirectIoCannotWriteAreSaidToBe() throws IOException {
        IoTrial.Result result = trial.run(dir, 100, Duration.ofMillis(200));
        assertThat(result.failure()).contains("errno 22");
        assertThat(result.millis()).isEmpty();
        assertThat(dir).isEmptyDirectory();
    }

    @Test
    void whatDoesNotExistIsSaidNotToExist() {
        assertThatThrownBy(() -> trial.run(dir.resolve("none"), 512, Duration.ofMillis(100)))
                .isInstanceOf(IOException.class)
                .hasMessageEndingWith("none does not exist");
    }
}
