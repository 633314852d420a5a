/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Real processes. */
public final class SystemCommands implements Commands {
    private static final int MAX_BYTES = 4 << 20;

    @Override
    public Result run(Duration limit, List<String> command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("LC_ALL", "C");
        Process process;
        try {
            process = builder.start();
        } catch (IOException e) {
            throw new IOException(command.get(0) + " cannot be run: is it installed?", e);
        }
        process.getOutputStream().close();
        CompletableFuture<String> output = CompletableFuture.supplyAsync(() -> read(process.getInputStream()));
        try {
            String out = output.get(limit.toMillis(), TimeUnit.MILLISECONDS);
            if (process.waitFor(1, TimeUnit.SECONDS)) {
                return new Result(process.exitValue(), out);
            }
            throw new IOException(command.get(0) + " does not end");
        } catch (TimeoutException e) {
            throw new IOException(command.get(0) + " has not answered for " + limit.toSeconds() + " s", e);
        } catch (ExecutionException e) {
            throw new IOException(command.get(0) + ": " + e.getCause(), e);
        } finally {
            process.destroyForcibly();
        }
    }

    private static String read(InputStream in) {
        try (in) {
            return new String(in.readNBytes(MAX_BYTES), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
