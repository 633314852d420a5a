/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.hooks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Runs the hook as libvirt does: four arguments, XML through a pipe, two variables in the environment, and it is over
 * only when stdout and stderr are closed by everybody who has them.
 */
final class HookRun {

    /** What libvirt would see. {@code stderr} has no line end. */
    record Result(int status, String stderr, Duration took) {}

    private static final String BECOME = "exec \"$@\"";
    private static final Path HOOK = Path.of("qemu").toAbsolutePath();
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final List<String> shell;
    private final Map<String, String> environment = new TreeMap<>();

    HookRun(Shell shell, Path socket, Path config) {
        this.shell = shell.command();
        environment.put("LC_ALL", "C");
        environment.put("PATH", System.getenv("PATH"));
        environment.put("VMGUARD_SOCKET", socket.toString());
        environment.put("VMGUARD_CONFIG", config.toString());
        environment.put("VMGUARD_HOOK_TIMEOUT", "25");
    }

    HookRun with(String variable, String value) {
        environment.put(variable, value);
        return this;
    }

    HookRun firstOnPath(Path directory) {
        return with("PATH", directory + ":" + System.getenv("PATH"));
    }

    /** Takes every program but the shell away from the hook. */
    HookRun hiding(Path emptyDirectory) {
        return with("PATH", emptyDirectory.toString());
    }

    Result run(String domain, String operation, String xml) throws Exception {
        return run(domain, operation, xml.getBytes(StandardCharsets.UTF_8));
    }

    Result run(String domain, String operation, byte[] xml) throws Exception {
        return await(start(domain, operation), xml);
    }

    /** Leaves stdin open and empty: a hook that reads it does not end. */
    Result runWithoutInput(String domain, String operation) throws Exception {
        return await(start(domain, operation), null);
    }

    /** Ends the hook by SIGTERM while it reads stdin; returns its exit status. */
    int terminated(String domain, String operation) throws Exception {
        Process hook = start(domain, operation);
        try {
            long deadlineNanos = System.nanoTime() + LIMIT.toNanos();
            while (isStarting(hook) || hook.children().noneMatch(ProcessHandle::isAlive)) {
                assertThat(System.nanoTime()).as("reads stdin by now").isLessThan(deadlineNanos);
                Thread.onSpinWait();
            }
            // Not Process.destroy(): that closes the pipes first.
            hook.toHandle().destroy();
            hook.getOutputStream().close();
            assertThat(hook.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
            return hook.exitValue();
        } finally {
            hook.destroyForcibly();
        }
    }

    /** Whether this is not the hook yet but the shell that becomes it, which has a child as well. */
    private static boolean isStarting(Process hook) {
        return hook.info().commandLine().orElse("").contains(BECOME);
    }

    private Process start(String domain, String operation) throws IOException {
        // The name goes through printf, since Java would encode an argument in the charset of its own locale.
        var octal = new StringBuilder();
        for (byte b : domain.getBytes(StandardCharsets.UTF_8)) {
            octal.append(String.format("\\%03o", b & 0xff));
        }
        List<String> command = new ArrayList<>(List.of(
                "sh", "-c", "n=$(printf \"$1.\"); op=$2; shift 2; " + BECOME + " \"${n%.}\" \"$op\" begin -", "sh"));
        command.add(octal.toString());
        command.add(operation);
        command.addAll(shell);
        command.add(HOOK.toString());
        ProcessBuilder builder =
                new ProcessBuilder(command).directory(Path.of("/").toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder.start();
    }

    private static Result await(Process hook, byte[] xml) throws Exception {
        long startedNanos = System.nanoTime();
        try {
            CompletableFuture<String> stdout = CompletableFuture.supplyAsync(() -> readAll(hook.getInputStream()));
            CompletableFuture<String> stderr = CompletableFuture.supplyAsync(() -> readAll(hook.getErrorStream()));
            if (xml != null) {
                try (OutputStream stdin = hook.getOutputStream()) {
                    stdin.write(xml);
                } catch (IOException ignoredByLibvirtToo) {
                    // The hook may have ended without reading all of it.
                }
            }
            String out = stdout.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            String err = stderr.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            int status = hook.waitFor();
            Duration took = Duration.ofNanos(System.nanoTime() - startedNanos);
            // Text on stdout would replace the domain XML in `migrate` and `restore`.
            assertThat(out).as("stdout").isEmpty();
            if (!err.isEmpty()) {
                assertThat(err).as("stderr is one printable line").matches("[^\\p{Cntrl}]{1,1024}\n");
            }
            return new Result(status, err.stripTrailing(), took);
        } finally {
            hook.destroyForcibly();
        }
    }

    private static String readAll(InputStream stream) {
        try {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
