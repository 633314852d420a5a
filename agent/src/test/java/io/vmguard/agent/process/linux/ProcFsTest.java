/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reading of /proc, on lines as kernels write them and on what they never should. */
class ProcFsTest {

    @Test
    void nameMayContainAnything() {
        assertThat(ProcFs.Status.parse("42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0"))
                .contains(new ProcFs.Status("a) b (c", 'S', false, 0));
    }

    @Test
    void kernelThreadIsToldByItsFlag() {
        assertThat(ProcFs.Status.parse("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0"))
                .contains(new ProcFs.Status("kthreadd", 'S', true, 0));
    }

    @Test
    void startTimeIsTheTwentySecondField() {
        assertThat(ProcFs.Status.parse(
                        "526 (qemu-system-x86) S 1 526 526 0 -1 4228364 3311 0 0 0 42 17 0 0 20 0 2 0 90210 0 0"))
                .contains(new ProcFs.Status("qemu-system-x86", 'S', false, 90_210));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "42",
                "42 (x",
                "42 x) S 1 2 3 4 5 6 7",
                "42 (x)",
                "42 (x) S 1 2",
                "42 (x) S 1 2 3 4 5 flags 7"
            })
    void brokenStatusIsUnknown(String stat) {
        assertThat(ProcFs.Status.parse(stat)).isEmpty();
    }

    @Test
    void argumentsKeepEmptyOnesAndNeedNoEndMark(@TempDir Path proc) throws IOException {
        Path process = Files.createDirectories(proc.resolve("7"));
        Files.writeString(process.resolve("cmdline"), "a\0\0b\0");
        assertThat(new ProcFs(proc).arguments(7)).containsExactly("a", "", "b");
        Files.writeString(process.resolve("cmdline"), "a\0ü");
        assertThat(new ProcFs(proc).arguments(7)).containsExactly("a", "ü");
    }

    @Test
    void argumentsOfAZombieAreReadThroughALivingThread(@TempDir Path proc) throws IOException {
        Path process = Files.createDirectories(proc.resolve("7"));
        Files.writeString(process.resolve("cmdline"), "");
        Files.writeString(process.resolve("stat"), "7 (qemu-system-x86) Z 1 7 7 0 -1 4228364 0 0 0");
        Files.writeString(Files.createDirectories(process.resolve("task/7")).resolve("cmdline"), "");
        Files.writeString(Files.createDirectories(process.resolve("task/9")).resolve("cmdline"), "qemu\0-S\0");
        assertThat(new ProcFs(proc).arguments(7)).containsExactly("qemu", "-S");
    }

    @Test
    void everyEntryWithANumberIsAProcess(@TempDir Path proc) throws IOException {
        for (String name : new String[] {"1", "4194304", "self", "12x", "99999999999999"}) {
            Files.createDirectory(proc.resolve(name));
        }
        assertThat(new ProcFs(proc).pids()).containsExactlyInAnyOrder(1, 4194304);
    }
}
