/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.testing;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** A file system with a wanted defect, mounted for one test. Where nothing may be mounted the test is skipped, and stderr says so. */
public final class Mounted implements AutoCloseable {
    private final Path at;

    private Mounted(Path at) {
        this.at = at;
    }

    /** In memory, of this many KiB. Direct I/O since Linux 6.6. */
    public static Mounted tmpfs(Path at, int sizeKib) {
        return mount(at, "-t", "tmpfs", "-o", "size=" + sizeKib + "k", "none");
    }

    /** In memory, without direct I/O. */
    public static Mounted ramfs(Path at) {
        return mount(at, "-t", "ramfs", "none");
    }

    /** The directory itself, read-only from now on. */
    public static Mounted readOnly(Path at) {
        Mounted bound = mount(at, "--bind", at.toString());
        run("mount", "-o", "remount,bind,ro", at.toString());
        return bound;
    }

    private static Mounted mount(Path at, String... what) {
        try {
            Files.createDirectories(at);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        String said = run(Stream.concat(Stream.concat(Stream.of("mount"), Stream.of(what)), Stream.of(at.toString()))
                .toArray(String[]::new));
        skipUnless(said.isEmpty(), "needs the right to mount a file system: " + said);
        return new Mounted(at);
    }

    /** Skips the running test, aloud, unless the machine can do this. */
    public static void skipUnless(boolean possible, String reason) {
        if (!possible) {
            StackWalker.StackFrame test = StackWalker.getInstance()
                    .walk(frames -> frames.filter(f -> f.getClassName().endsWith("Test"))
                            .reduce((first, second) -> second)
                            .orElseThrow());
            System.err.println("SKIPPED " + test.getClassName() + "." + test.getMethodName() + ": " + reason);
        }
        Assumptions.assumeTrue(possible, reason);
    }

    /** @return what it complained about; empty if it succeeded */
    private static String run(String... command) {
        try {
            Process process = new ProcessBuilder(List.of(command))
                    .redirectErrorStream(true)
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            int code = process.waitFor();
            return code == 0 ? "" : said + " (exit code " + code + ")";
        } catch (IOException e) {
            return String.valueOf(e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    @Override
    public void close() {
        String said = run("umount", at.toString());
        if (!said.isEmpty()) {
            throw new AssertionError(said);
        }
    }
}
