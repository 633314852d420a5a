/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** The lease engine in a process of its own that holds one resource, in either mode, until it is killed: for tests of a crash. */
final class OurHostProcess implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final Process process;
    private final Path socket;

    private OurHostProcess(Process process, Path socket) {
        this.process = process;
        this.socket = socket;
    }

    /** Starts it and returns once it holds the resource exclusively. */
    static OurHostProcess holding(Path leases, Path local, String lockspace, int ioTimeoutSeconds, String resource) {
        return after("acquire " + resource, leases, local, lockspace, ioTimeoutSeconds);
    }

    /** Starts it and returns once it holds the resource with others. */
    static OurHostProcess sharing(Path leases, Path local, String lockspace, int ioTimeoutSeconds, String resource) {
        return after("share " + resource, leases, local, lockspace, ioTimeoutSeconds);
    }

    private static OurHostProcess after(
            String request, Path leases, Path local, String lockspace, int ioTimeoutSeconds) {
        Path socket = local.resolve("socket");
        OurHostProcess host = new OurHostProcess(
                start(List.of(
                        leases.toString(),
                        local.toString(),
                        lockspace,
                        Integer.toString(ioTimeoutSeconds),
                        "auto",
                        socket.toString())),
                socket);
        try {
            Eventually.await(
                    "the process with the engine", LIMIT, () -> host.ask("join").equals("joining"));
            Eventually.await(
                    "it to be a member", LIMIT, () -> host.ask("member").equals("true"));
            String answer = host.ask(request);
            if (!answer.startsWith("Acquired")) {
                throw new AssertionError(answer);
            }
            return host;
        } catch (AssertionError e) {
            host.close();
            throw e;
        }
    }

    private static Process start(List<String> arguments) {
        List<String> command = new java.util.ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                EngineServer.class.getName()));
        command.addAll(arguments);
        try {
            return new ProcessBuilder(command)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private String ask(String request) {
        return EngineServer.ask(socket, request);
    }

    long hostId() {
        return Long.parseLong(ask("owner").replaceFirst("/.*", ""));
    }

    /** SIGKILL: it gives nothing back. */
    void kill() {
        process.destroyForcibly();
        Eventually.await("the killed process to be gone", Duration.ofSeconds(10), () -> !process.isAlive());
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
