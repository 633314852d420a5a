/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.guard.Following.Source;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What libvirt's status files show of live domains, also while libvirtd hangs. Which leases that calls for is derived elsewhere, one
 * look at a time for each run.
 */
final class StatusLooks {
    /** When a look has failed, or could not derive everything. */
    private static final long AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private final GuardState state;
    private final ActiveDomains activeDomains;
    private final BiConsumer<Run, LiveDomain> seen;
    /** What the files say, by the domain's name: they are written anew more often than they change. */
    private final Map<String, DomainSpec> told = new HashMap<>();
    /** The same of domains that have no run yet, as when an agent begins: it is told once, and not again unless it changes. */
    private final Map<UUID, DomainSpec> unclaimed = new HashMap<>();

    /** @param seen called with what a run's domain calls for by its status file */
    StatusLooks(GuardState state, ActiveDomains activeDomains, BiConsumer<Run, LiveDomain> seen) {
        this.state = state;
        this.activeDomains = activeDomains;
        this.seen = seen;
    }

    /** A status file shows this live domain, perhaps as before. */
    void status(DomainSpec domain) {
        if (domain.equals(told.put(domain.name(), domain))) {
            return;
        }
        UUID uuid = domain.uuid();
        state.wantSight(uuid);
        if (uuid == null) {
            return;
        }
        unclaimed.remove(uuid);
        Run run = state.runs.get(uuid);
        if (run == null) {
            unclaimed.put(uuid, domain);
        } else {
            run.following.status = domain;
            run.following.shown = domain;
            look(run);
        }
    }

    /** It has a run now, of which this may have been told before. */
    void claim(Run run) {
        DomainSpec domain = unclaimed.remove(run.uuid);
        if (domain != null && run.following.shown == null) {
            run.following.status = domain;
            run.following.shown = domain;
            look(run);
        }
    }

    private void look(Run run) {
        Following following = run.following;
        DomainSpec domain = following.status;
        if (domain == null || following.statusUnderWay) {
            return;
        }
        following.status = null;
        following.statusUnderWay = true;
        long begunNanos = state.clock.bootNanos();
        state.loop.elsewhere(
                activeDomains.threads(),
                () -> {
                    LiveDomain live = activeDomains.look(domain, begunNanos);
                    state.loop.tell(() -> onLook(run, live));
                },
                () -> onLook(run, null));
    }

    private void onLook(Run run, @Nullable LiveDomain live) {
        run.following.statusUnderWay = false;
        if (state.isOver(run)) {
            return;
        }
        look(run);
        if (live == null) {
            run.following.lookAgainNanos = state.clock.bootNanos() + AGAIN_NANOS;
        } else {
            seen.accept(run, live);
        }
    }

    /** The file itself has not changed; where its images are could not be told, or not all of it. */
    void lookAgain(Run run) {
        Following following = run.following;
        if (following.status == null && following.shown != null) {
            following.status = following.shown;
            look(run);
        }
    }

    /** The status file of that name has gone. */
    void noStatus(String name) {
        told.remove(name);
        unclaimed.values().removeIf(domain -> domain.name().equals(name));
        for (Run run : state.runs.values()) {
            LiveDomain live = run.following.latest.get(Source.STATUS);
            if (live != null && live.name().equals(name)) {
                run.following.latest.remove(Source.STATUS);
                run.following.shown = null;
            }
        }
    }
}
