/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

/** A disk of the random operations and who uses it, as the one worker that has it in hand knows. */
final class SoakDisk {
    /** Also the name of its domain. */
    final String name;
    /** The host on which its domain runs; -1 = none. */
    int host = -1;

    boolean paused;
    /** Which of its two files the domain uses: copied and pivoted, it is the other one. */
    private boolean copied;
    /** Where its domain ran last, and when it ended there. */
    int lastHost = -1;

    long endedNanos;
    /** When the operation that goes on was begun. */
    long operatedNanos;
    /** The host on which it ran has lost power: until then others may have to wait for its leases. */
    long outOfReachUntilNanos;

    SoakDisk(String name) {
        this.name = name;
    }

    boolean runs() {
        return host >= 0;
    }

    String path() {
        return "/images/" + name + (copied ? ".copy" : ".img");
    }

    /** The other file, which no domain uses. */
    String copy() {
        return "/images/" + name + (copied ? ".img" : ".copy");
    }

    void pivot() {
        copied = !copied;
    }

    void started(int on, long nowNanos) {
        host = on;
        paused = false;
        lastHost = on;
        endedNanos = nowNanos;
    }

    /** It ended where it ran, or went on elsewhere. */
    void ended(long nowNanos) {
        if (host >= 0) {
            lastHost = host;
        }
        host = -1;
        paused = false;
        endedNanos = nowNanos;
    }

    @Override
    public String toString() {
        return name + (runs() ? " (host " + host + (paused ? ", paused" : "") + ")" : "");
    }
}
