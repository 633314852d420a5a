/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** The lease engine in a process of its own that holds one resource until it is killed: for tests of a crash. */
final class OurHostProcess implements AutoCloseable {
    private final Process process;
    private final long hostId;

    private OurHostProcess(Process process, long hostId) {
        this.process = process;
        this.hostId = hostId;
    }

    /** Starts it and returns once it holds the resource. */
    static OurHostProcess holding(Path leases, Path local, String lockspace, int ioTimeoutSeconds, String resource) {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        try {
            Process process = new ProcessBuilder(List.of(
                            java,
                            "-cp",
                            System.getProperty("java.class.path"),
                            OurHostProcess.class.getName(),
                            leases.toString(),
                            local.toString(),
                            lockspace,
                            Integer.toString(ioTimeoutSeconds),
                            resource))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            BufferedReader out =
                    new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            String line = out.readLine();
            if (line == null || !line.startsWith("held ")) {
                process.destroyForcibly();
                throw new AssertionError("the process with the engine ended: " + line);
            }
            return new OurHostProcess(process, Long.parseLong(line.substring("held ".length())));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    long hostId() {
        return hostId;
    }

    /** SIGKILL: it gives nothing back. */
    void kill() {
        process.destroyForcibly();
        Eventually.await("the killed process to be gone", java.time.Duration.ofSeconds(10), () -> !process.isAlive());
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }

    /** The other process. Ends when its standard input does, that is, with its parent. */
    public static void main(String[] args) throws IOException {
        OurHost host = OurHost.member(Path.of(args[0]), Path.of(args[1]), args[2], Integer.parseInt(args[3]));
        host.mustAcquire(args[4]);
        System.out.println("held " + host.owner().hostId());
        while (System.in.read() >= 0) {
            // Nobody writes to it.
        }
        host.close();
    }
}
