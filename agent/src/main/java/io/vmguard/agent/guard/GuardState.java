/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.Owner;
import io.vmguard.lease.time.LeaseClock;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** What the parts of the guard share. Touched on the guard's thread only. */
final class GuardState {
    final GuardSettings settings;
    final Lockspace lockspace;
    final LeaseClock clock;
    final GuardLoop loop;
    final Map<UUID, Run> runs = new LinkedHashMap<>();
    /** When runs ended: a list of libvirt's that was begun before may still have them. */
    final Map<UUID, Long> endedNanos = new HashMap<>();
    /** The engine's news of the membership has arrived: what it carries over is claimed. */
    boolean joined;
    /** Boot clock: the start of the last renewal that has succeeded; 0 = none. Written by the engine's threads. */
    volatile long renewedNanos;
    /** The agent is about to end on request: nothing is started any more, and the watchdog is somebody else's. */
    boolean shut;
    /** Somebody needs libvirt's list of active domains. */
    boolean listWanted;

    GuardState(GuardSettings settings, Lockspace lockspace, LeaseClock clock, GuardLoop loop) {
        this.settings = settings;
        this.lockspace = lockspace;
        this.clock = clock;
        this.loop = loop;
    }

    /**
     * Somebody needs to know what libvirt shows of this domain from now on: in its list, or asked for by itself if the list does not come.
     */
    void wantSight(Run run) {
        listWanted = true;
        run.following.sightWantedNanos = clock.bootNanos();
    }

    /** The same of a domain that may have no run. */
    void wantSight(@Nullable UUID uuid) {
        listWanted = true;
        Run run = uuid == null ? null : runs.get(uuid);
        if (run != null) {
            wantSight(run);
        }
    }

    /** Between the engine's step into a membership and its news the leases carried over have no claimant yet. */
    boolean member() {
        return joined && lockspace.member();
    }

    /** Whether that is this host in its present membership. */
    boolean isOurs(Owner owner) {
        return lockspace.view().owner().map(owner::equals).orElse(false);
    }

    /** Whether it has ended or was never granted, and the domain may have another run by now: an answer that was asked for is late. */
    boolean isOver(Run run) {
        return runs.get(run.uuid) != run;
    }

    /** Of another host in that membership; empty if it is not to be seen there any more. */
    Optional<HostStatus> status(Owner host) {
        return lockspace.view().hosts().stream()
                .filter(seen -> seen.owner().equals(host))
                .findFirst()
                .map(HostView::status);
    }

    /** The run of a domain of which only its lease is known. */
    Run runOf(UUID uuid, String name) {
        Run run = runs.computeIfAbsent(uuid, id -> new Run(id, name, Phase.GRANTED));
        if (run.mayRunSinceNanos == 0) {
            run.mayRunSinceNanos = clock.bootNanos();
        }
        return run;
    }

    /** Whether a run asks for that lease, in a mode that shuts this one out, and may not get to keep it. */
    boolean isBeingDecided(LeaseName resource, LeaseMode mode) {
        return runs.values().stream().anyMatch(run -> {
            Run.Wanted wanted = run.wanted.get(resource);
            boolean apart = wanted != null && (mode == LeaseMode.EXCLUSIVE || wanted.mode() == LeaseMode.EXCLUSIVE);
            return apart && (run.phase == Phase.ACQUIRING || run.following.isAskedAbout(resource));
        });
    }

    LeaseNote note(Run run, DiskLease lease) {
        return new LeaseNote(run.name, run.uuid.toString(), lease.label(), settings.nodeName(), clock.wallSeconds());
    }

    /** Whose lease it is, if the note says so in earnest. */
    static Optional<UUID> uuid(LeaseNote note) {
        try {
            return Optional.of(UUID.fromString(note.domainUuid()));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
