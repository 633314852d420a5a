/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.domain.OtherStorage;
import io.vmguard.agent.guard.Following.Arrival;
import io.vmguard.agent.guard.Following.Need;
import io.vmguard.agent.guard.Following.Source;
import io.vmguard.agent.guard.Following.Way;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Has the leases of a running domain follow its disks: what its live XML calls for is acquired, or held in another mode; what it does
 * not call for any more is given back.
 *
 * <p>Taking is quick: one sight of an image is enough, in libvirt's list or in its status file. Giving back is slow, see {@link Leaving}.
 */
final class LeaseFollower {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    private final GuardState state;
    private final LeaseClaims claims;
    private final StatusLooks statusLooks;
    private final ModeChanges modeChanges;
    private final Leaving leaving;

    /** @param changed called when a lease is not waited for any more */
    LeaseFollower(
            GuardState state,
            ActiveDomains activeDomains,
            LeaseClaims claims,
            DeviceConflicts conflicts,
            StatusLooks statusLooks,
            Consumer<Run> changed) {
        this.state = state;
        this.claims = claims;
        this.statusLooks = statusLooks;
        this.modeChanges = new ModeChanges(state, claims, conflicts, changed);
        this.leaving = new Leaving(state, activeDomains, claims, changed);
    }

    // ---- what the domain is like

    /** Its status file shows this. */
    void shown(Run run, LiveDomain live) {
        if (run.phase != Phase.ACQUIRING && !run.doomed) {
            observe(run, Source.STATUS, live);
            acquire(run);
        }
    }

    /** Takes in what a domain that may run calls for; {@link #acquire} asks for what is missing then. */
    void observe(Run run, Source source, LiveDomain live) {
        Following following = run.following;
        following.latest.put(source, live);
        statusLooks.claim(run);
        remember(following, live.disks());
        for (DiskLease lease : live.derivation().leases()) {
            LeaseName resource = new LeaseName(lease.resource());
            Need before = following.needs.get(resource);
            long seenNanos = Math.max(before == null ? 0 : before.seenNanos(), live.begunNanos());
            following.needs.put(resource, new Need(lease.target(), lease.role(), seenNanos));
            following.leaving.remove(resource);
            following.kept.remove(resource);
            following.expected.remove(resource);
            following.unshown.remove(resource);
        }
        Map<LeaseName, DiskLease> called = called(following);
        called.forEach((resource, lease) -> follow(run, resource, lease)); // with the targets that it had before
        following.refusedModes.keySet().retainAll(called.keySet());
        following.targets.clear();
        following
                .latest
                .values()
                .forEach(l -> following.targets.addAll(l.disks().byTarget().keySet()));
        following.established = true;
        leaving.consider(run, called.keySet());
    }

    private static void remember(Following following, LiveDisks disks) {
        disks.byTarget().forEach((target, disk) -> remember(following, target, disk.images()));
        disks.made().ifPresent(made -> remember(following, OtherStorage.NEW_IMAGE, made));
    }

    private static void remember(Following following, String target, LiveDisks.Images images) {
        following.files.computeIfAbsent(target, t -> new HashSet<>()).addAll(images.files());
        if (!images.provable()) {
            following.unprovable.add(target);
        }
        if (!images.seen()) {
            following.unseen.add(target);
        }
    }

    /** What the domain calls for by anybody's word; exclusive, if only one of them says so. */
    private static Map<LeaseName, DiskLease> called(Following following) {
        Map<LeaseName, DiskLease> called = new LinkedHashMap<>();
        for (LiveDomain live : following.latest.values()) {
            for (DiskLease lease : live.derivation().leases()) {
                called.merge(
                        new LeaseName(lease.resource()),
                        lease,
                        (one, other) -> Run.modeOf(one) == LeaseMode.EXCLUSIVE ? one : other);
            }
        }
        return called;
    }

    // ---- what comes

    private void follow(Run run, LeaseName resource, DiskLease lease) {
        Following following = run.following;
        Run.Wanted wanted = run.wanted.get(resource);
        LeaseMode mode = Run.modeOf(lease);
        if (wanted == null) {
            run.want(lease, note(run, resource, lease));
            if (following.established) {
                arrival(following, lease).ifPresent(arrival -> following.arrivals.put(resource, arrival));
                LOG.info("VG-420 {} has come to use {}", run, lease.label());
            }
        } else if (wanted.mode() == mode) {
            following.refusedModes.remove(resource);
        } else if (!run.pending.containsKey(resource) && !run.halted && !run.isElsewhere(resource)) {
            if (run.holds(resource)) {
                modeChanges.convert(run, resource, wanted, mode);
            } else {
                run.wanted.put(resource, wanted.in(mode));
            }
        }
    }

    /** How it could be sent away again, if it can. The one source may not show yet what the other one does. */
    private static Optional<Arrival> arrival(Following following, DiskLease lease) {
        String target = lease.target();
        List<LiveDisks.Disk> shown = following.latest.values().stream()
                .map(live -> live.disks().byTarget().get(target))
                .filter(Objects::nonNull)
                .toList();
        if (!following.targets.contains(target)) {
            return shown.stream()
                    .map(disk -> disk.spec().alias())
                    .filter(alias -> !alias.isEmpty())
                    .findFirst()
                    .map(alias -> new Arrival(Way.UNPLUG, alias));
        }
        if (shown.stream().anyMatch(LiveDisks.Disk::isFloppy)) {
            return Optional.of(new Arrival(Way.EJECT, target));
        }
        boolean written =
                shown.stream().anyMatch(disk -> !disk.spec().chain().written().isEmpty());
        return written ? Optional.of(new Arrival(Way.ABORT, target)) : Optional.empty();
    }

    /** A lease of an earlier agent whose own note is of no use is claimed with that note by the domain that needs it. */
    private LeaseNote note(Run run, LeaseName resource, DiskLease lease) {
        LeaseUse use = state.lockspace.carriedOver().contains(resource)
                ? state.lockspace.view().held().get(resource)
                : null;
        LeaseNote earlier = use == null ? null : use.users().get(0);
        return earlier != null && GuardState.uuid(earlier).isEmpty() ? earlier : state.note(run, lease);
    }

    /** Asks for what is wanted and not held. */
    void acquire(Run run) {
        if (state.member() && run.pending.isEmpty()) {
            claims.acquireMissing(run);
        }
    }

    /** What was waited for is decided: is there more to ask for by now? */
    void decided(Run run) {
        if (state.isOver(run) || run.phase == Phase.ACQUIRING || run.doomed || run.halted) {
            return;
        }
        called(run.following).forEach((resource, lease) -> follow(run, resource, lease));
        boolean unasked = run.wanted.keySet().stream()
                .anyMatch(resource -> !run.holds(resource) && !run.refused.containsKey(resource));
        if (unasked) {
            acquire(run);
        }
    }

    // ---- what is about to come

    /**
     * A disk is about to be plugged in, if it may be: wants its leases.
     *
     * @param fresh gets those that the run did not want before
     */
    void expect(Run run, List<DiskLease> leases, LiveDisks disks, Set<LeaseName> fresh) {
        Following following = run.following;
        for (DiskLease lease : leases) {
            LeaseName resource = new LeaseName(lease.resource());
            if (!run.wanted.containsKey(resource)) {
                run.want(lease, note(run, resource, lease));
                fresh.add(resource);
                following.needs.put(resource, new Need(lease.target(), lease.role(), state.clock.bootNanos()));
                following.expected.put(resource, Long.MAX_VALUE);
            }
        }
        remember(following, disks);
    }

    /** These are kept until then whether or not the disk has come. */
    void reserve(Run run, Set<LeaseName> fresh, long untilNanos) {
        fresh.forEach(resource -> run.following.expected.computeIfPresent(resource, (r, until) -> untilNanos));
    }

    /** The disk does not come. What has not come all the same is given up at once: nobody was told that it may. */
    void expectNoMore(Run run, Set<LeaseName> fresh) {
        Following following = run.following;
        for (LeaseName resource : fresh) {
            if (following.expected.remove(resource) == null || state.isOver(run)) {
                continue; // it has been seen
            }
            claims.forget(run, resource);
            following.needs.remove(resource);
        }
    }

    /** Reservations end; from then on they are leases of disks that the domain does not have. */
    private void expire(Run run, long nowNanos) {
        Following following = run.following;
        for (Map.Entry<LeaseName, Long> entry : List.copyOf(following.expected.entrySet())) {
            if (nowNanos >= entry.getValue()) {
                LeaseName resource = entry.getKey();
                following.expected.remove(resource);
                following.needs.computeIfPresent(
                        resource,
                        (r, need) ->
                                new Need(need.target(), need.role(), nowNanos - 1)); // a list of this very tick tells
                state.wantSight(run);
            }
        }
    }

    // ---- time

    /** Does what is due. */
    void lookWhenDue(Run run, long nowNanos) {
        Following following = run.following;
        if (!following.expected.isEmpty()) {
            expire(run, nowNanos);
        }
        if (following.lookAgainNanos != 0 && nowNanos >= following.lookAgainNanos) {
            following.lookAgainNanos = 0;
            state.wantSight(run);
            statusLooks.lookAgain(run);
        }
        if (modeChanges.takeDue(run, nowNanos)) {
            called(following).forEach((resource, lease) -> follow(run, resource, lease));
        }
        leaving.lookWhenDue(run, nowNanos);
    }
}
