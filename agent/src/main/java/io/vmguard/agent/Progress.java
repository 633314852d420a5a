/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Whether the agent does what it is there for: the guard goes through its runs, and renewals succeed, or the engine says itself that they
 * do not. An agent that waits to join, or whose storage hangs, makes progress in this sense: a new one could do no better.
 */
final class Progress implements Supplier<Optional<String>> {
    /** Many times what the guard needs. */
    private static final Duration GUARD_LIMIT = Duration.ofSeconds(10);

    private final Lockspace lockspace;
    private final DomainGuard guard;
    private final Timeouts timeouts;
    private final LeaseClock clock;
    /** The guard begins later than this is made. */
    private final long madeNanos;

    Progress(Lockspace lockspace, DomainGuard guard, Timeouts timeouts, LeaseClock clock) {
        this.lockspace = lockspace;
        this.guard = guard;
        this.timeouts = timeouts;
        this.clock = clock;
        this.madeNanos = clock.bootNanos();
    }

    @Override
    public Optional<String> get() {
        Duration tickedAgo = Duration.ofNanos(clock.bootNanos() - Math.max(madeNanos, guard.tickedNanos()));
        if (tickedAgo.compareTo(GUARD_LIMIT) > 0) {
            return Optional.of("the guard has not looked at its domains for " + tickedAgo.toSeconds() + " s");
        }
        LockspaceView view = lockspace.view();
        // At 4 T the engine says that renewals are late; a second for it to do so.
        Duration said = timeouts.renewalWarning().plusSeconds(1);
        boolean silent = view.state() == LockspaceView.State.MEMBER
                && view.detail().isEmpty()
                && view.renewedAgo().filter(ago -> ago.compareTo(said) > 0).isPresent();
        return silent
                ? Optional.of("renewals have stopped, and nobody has noticed for "
                        + view.renewedAgo().orElseThrow().toSeconds() + " s")
                : Optional.empty();
    }
}
