/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Optional;

/** That libvirt calls the hook at all: how often it did, and when last. Any thread. */
public final class HookCalls {
    /** A start of a domain of such a name is a question whether the hook is called. It is answered, and never granted in any mode. */
    public static final String PROBE_PREFIX = "vmguard-doctor-";

    /** What such a question is answered with. */
    public static final String PROBE_ANSWER = "the probe reached the agent";

    private final LeaseClock clock;
    private long calls;
    private long lastNanos;
    private long letThrough;

    public HookCalls(LeaseClock clock) {
        this.clock = clock;
    }

    synchronized void called() {
        calls++;
        lastNanos = clock.bootNanos();
    }

    synchronized void letThrough() {
        letThrough++;
    }

    /** Starts in mode observe that would have been refused without the guard having been asked, or before it decided. */
    public synchronized long wouldHaveBeenRefused() {
        return letThrough;
    }

    /** Since this agent started. */
    public synchronized long count() {
        return calls;
    }

    /** Empty if there was none. */
    public synchronized Optional<Duration> lastAgo() {
        return calls == 0 ? Optional.empty() : Optional.of(Duration.ofNanos(clock.bootNanos() - lastNanos));
    }
}
