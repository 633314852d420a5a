/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.guard.Run.Phase;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BiConsumer;

/**
 * Asks libvirt for single domains while its list does not come: the hook of any domain that is being answered holds up the list of all,
 * and the look at no other domain.
 */
final class SingleLooks {
    private static final long AGAIN_NANOS = Duration.ofMillis(500).toNanos();

    private final GuardState state;
    private final ActiveDomains activeDomains;
    private final BiConsumer<ListedDomain, Long> catchUp;

    /** @param catchUp takes in what a domain is like, and when on the boot clock the look at it was begun */
    SingleLooks(GuardState state, ActiveDomains activeDomains, BiConsumer<ListedDomain, Long> catchUp) {
        this.state = state;
        this.activeDomains = activeDomains;
        this.catchUp = catchUp;
    }

    /** Asks for those that somebody waits for. */
    void lookWhenDue(long nowNanos) {
        state.runs.values().forEach(run -> lookWhenDue(run, nowNanos));
    }

    private void lookWhenDue(Run run, long nowNanos) {
        Following following = run.following;
        boolean due = following.sightWantedNanos != 0 && nowNanos >= following.nextSightNanos;
        if (!due || following.sightUnderWay || run.phase != Phase.RUNNING || run.doomed) {
            return;
        }
        following.sightUnderWay = true;
        state.loop.askHypervisor(
                () -> {
                    Optional<ListedDomain> seen = activeDomains.one(run.uuid);
                    state.loop.tell(() -> onSight(run, seen, nowNanos));
                },
                () -> onSight(run, Optional.empty(), nowNanos));
    }

    private void onSight(Run run, Optional<ListedDomain> seen, long begunNanos) {
        run.following.sightUnderWay = false;
        run.following.nextSightNanos = state.clock.bootNanos() + AGAIN_NANOS;
        if (!state.isOver(run)) {
            seen.ifPresent(domain -> catchUp.accept(domain, begunNanos));
        }
    }
}
