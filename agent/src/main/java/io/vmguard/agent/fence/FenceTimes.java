/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.fence;

import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.List;

/**
 * The one table of what happens when on a host that cannot renew, everything counted from the start of its last successful renewal.
 *
 * <pre>
 *                                     T = 10 s, W = 60 s, D = 5 s      T = 2 s, W = 10 s, D = 5 s
 * warned            4 T                       40 s                              8 s
 * leasesLost        8 T                       80 s                             16 s     the agent begins: libvirt
 * killed            8 T + D                   85 s                             21 s     the agent: SIGKILL
 * deadmanKills      8 T + D + 1 s             86 s                             22 s     the deadman: SIGKILL
 * deadmanHasKilled  8 T + D + 3 s             88 s                             24 s
 * hostDead          8 T + W                  140 s                             26 s     others may take the leases
 * </pre>
 *
 * <p>Each stage is there for the one before having failed, so none begins before the former had its time.
 *
 * @param timeouts T and W
 * @param destroyLimit D, how long libvirt gets to end a domain; it leaves the stages after it their time
 */
public record FenceTimes(Timeouts timeouts, Duration destroyLimit) {
    /** For the agent's own SIGKILL to have come first, so that the deadman has something to do only if that failed. */
    private static final Duration DEADMAN_AFTER_AGENT = Duration.ofSeconds(1);

    /** The deadman looks once a second, and may need another one for a host full of domains. */
    private static final Duration DEADMAN_LATE = Duration.ofSeconds(2);

    public FenceTimes {
        if (destroyLimit.isNegative()) {
            throw new IllegalArgumentException("the time for libvirt is not " + destroyLimit);
        }
        Duration over = timeouts.renewalFailed()
                .plus(destroyLimit)
                .plus(DEADMAN_AFTER_AGENT)
                .plus(DEADMAN_LATE);
        if (over.compareTo(timeouts.hostDead()) >= 0) {
            throw new IllegalArgumentException(
                    "libvirt's " + destroyLimit + " leave no time to kill within " + timeouts.watchdog());
        }
    }

    /** A missing renewal is said aloud. */
    public Duration warned() {
        return timeouts.renewalWarning();
    }

    /** The leases are lost; libvirt is asked to end their domains. */
    public Duration leasesLost() {
        return timeouts.renewalFailed();
    }

    /** What still runs then gets SIGKILL from the agent, once a second. */
    public Duration killed() {
        return leasesLost().plus(destroyLimit);
    }

    /** What still runs then gets SIGKILL from the deadman, once a second: the agent is dead, stopped or stuck. */
    public Duration deadmanKills() {
        return killed().plus(DEADMAN_AFTER_AGENT);
    }

    /** By then the deadman has sent SIGKILL to everything, if the kernel runs it at all. */
    public Duration deadmanHasKilled() {
        return deadmanKills().plus(DEADMAN_LATE);
    }

    /** From here on others may take the leases: all must be over before. */
    public Duration hostDead() {
        return timeouts.hostDead();
    }

    /**
     * One stage, for people.
     *
     * @param what happens then
     * @param after the start of the last successful renewal
     */
    public record Stage(String what, Duration after) {}

    /** The stages in the order of time. */
    public List<Stage> stages() {
        return List.of(
                new Stage("a warning", warned()),
                new Stage("domains told to end", leasesLost()),
                new Stage("SIGKILL", killed()),
                new Stage("other hosts may take the leases", hostDead()));
    }
}
