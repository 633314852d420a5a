/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A journal that hangs must not hang a thread that has something to say: it may be the one that kills. */
class LogNeverWaitsTest {

    @ParameterizedTest
    @ValueSource(strings = {"log4j2-journal.xml", "log4j2-console.xml"})
    void aThreadThatLogsGoesOnThoughNobodyReadsItsLines(String configuration) throws Exception {
        Process flood = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        LogFlood.class.getName(),
                        configuration)
                .start();
        try {
            // Its standard error is a pipe of 64 KiB, and stays full.
            CompletableFuture<String> said = CompletableFuture.supplyAsync(() -> line(flood));
            assertThat(said.get(60, TimeUnit.SECONDS)).isEqualTo("done");
            assertThat(flood.getErrorStream().available()).isPositive();
        } finally {
            flood.destroyForcibly();
        }
    }

    private static String line(Process process) {
        try {
            return new String(process.getInputStream().readNBytes(4), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return "no line: " + e;
        }
    }
}
