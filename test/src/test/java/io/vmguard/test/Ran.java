/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

/**
 * A command that has ended.
 *
 * @param command for messages
 * @param exitCode 128 + N if signal N ended it
 */
public record Ran(String command, int exitCode, String stdout, String stderr) {

    public boolean ok() {
        return exitCode == 0;
    }

    /** @throws AssertionError with all it said, unless it exited with 0 */
    public Ran mustSucceed() {
        if (!ok()) {
            throw new AssertionError("failed: " + this);
        }
        return this;
    }

    /** @throws AssertionError if it exited with 0 */
    public Ran mustFail() {
        if (ok()) {
            throw new AssertionError("should have failed: " + this);
        }
        return this;
    }

    /** Both streams, for messages that may come on either. */
    public String output() {
        return stdout + stderr;
    }

    @Override
    public String toString() {
        return "%s\nexit code %d\nstdout: %s\nstderr: %s".formatted(command, exitCode, stdout.strip(), stderr.strip());
    }
}
