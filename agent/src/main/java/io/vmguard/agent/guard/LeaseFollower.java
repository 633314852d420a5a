/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.OtherStorage;
import io.vmguard.agent.guard.Following.Arrival;
import io.vmguard.agent.guard.Following.Need;
import io.vmguard.agent.guard.Following.Source;
import io.vmguard.agent.guard.Following.Way;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Has the leases of a running domain follow its disks: what its live XML calls for is acquired, or held in another mode; what it does
 * not call for any more is given back.
 *
 * <p>Taking is quick: one sight of an image is enough, in libvirt's list or in its status file. Giving back is slow, see {@link Leaving}.
 */
final class LeaseFollower {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    /** A refused change leads to another look at once, and must not lead to another try at once. */
    private static final long CONVERT_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    /** When a look at what a status file shows has failed, or could not derive everything. */
    private static final long LOOK_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    private final GuardState state;
    private final ActiveDomains activeDomains;
    private final LeaseClaims claims;
    private final Consumer<Run> changed;
    private final Leaving leaving;
    /** What status files show of domains that have no run yet, as when an agent begins: they are told once, and not again unless they change. */
    private final Map<UUID, DomainSpec> unclaimed = new HashMap<>();

    private final DeviceConflicts conflicts;

    /** @param changed called when a lease is not waited for any more */
    LeaseFollower(
            GuardState state,
            ActiveDomains activeDomains,
            LeaseClaims claims,
            DeviceConflicts conflicts,
            Consumer<Run> changed) {
        this.state = state;
        this.activeDomains = activeDomains;
        this.claims = claims;
        this.conflicts = conflicts;
        this.changed = changed;
        this.leaving = new Leaving(state, activeDomains, claims, changed);
    }

    // ---- what the domain is like

    /** A status file shows this live domain. Its leases are derived elsewhere, one look at a time for each run. */
    void status(DomainSpec domain) {
        UUID uuid = domain.uuid();
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
            lookIntoStatus(run);
        }
    }

    private void lookIntoStatus(Run run) {
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
                    state.loop.tell(() -> onStatus(run, live));
                },
                () -> onStatus(run, null));
    }

    private void onStatus(Run run, @Nullable LiveDomain live) {
        run.following.statusUnderWay = false;
        if (isOver(run)) {
            return;
        }
        lookIntoStatus(run);
        if (live == null) {
            run.following.lookAgainNanos = state.clock.bootNanos() + LOOK_AGAIN_NANOS;
        } else if (run.phase != Phase.ACQUIRING && !run.doomed) {
            observe(run, Source.STATUS, live);
            acquire(run);
        }
    }

    /** The file itself has not changed; where its images are could not be told, or not all of it. */
    private void lookAgain(Run run) {
        Following following = run.following;
        if (following.status == null && following.shown != null) {
            following.status = following.shown;
            lookIntoStatus(run);
        }
    }

    /** The status file of that name has gone. */
    void noStatus(String name) {
        unclaimed.values().removeIf(domain -> domain.name().equals(name));
        for (Run run : state.runs.values()) {
            LiveDomain live = run.following.latest.get(Source.STATUS);
            if (live != null && live.name().equals(name)) {
                run.following.latest.remove(Source.STATUS);
                run.following.shown = null;
            }
        }
    }

    /** Takes in what a domain that may run calls for; {@link #acquire} asks for what is missing then. */
    void observe(Run run, Source source, LiveDomain live) {
        Following following = run.following;
        following.latest.put(source, live);
        DomainSpec told = unclaimed.remove(run.uuid);
        if (told != null && following.shown == null) {
            following.status = told;
            following.shown = told;
            lookIntoStatus(run);
        }
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
                convert(run, resource, wanted, mode);
            } else {
                run.wanted.put(resource, wanted.in(mode));
            }
        }
    }

    /** How it could be sent away again, if it can. */
    private static Optional<Arrival> arrival(Following following, DiskLease lease) {
        String target = lease.target();
        LiveDisks.Disk disk = following.latest.values().stream()
                .map(live -> live.disks().byTarget().get(target))
                .filter(Objects::nonNull)
                .reduce((one, later) -> later)
                .orElse(null);
        if (disk == null) {
            return Optional.empty();
        }
        if (!following.targets.contains(target)) {
            String alias = disk.spec().alias();
            return alias.isEmpty() ? Optional.empty() : Optional.of(new Arrival(Way.UNPLUG, alias));
        }
        if (disk.isFloppy()) {
            return Optional.of(new Arrival(Way.EJECT, target));
        }
        return disk.spec().chain().written().isEmpty() ? Optional.empty() : Optional.of(new Arrival(Way.ABORT, target));
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
        if (isOver(run) || run.phase == Phase.ACQUIRING || run.doomed || run.halted) {
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
            if (following.expected.remove(resource) == null || isOver(run)) {
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
                state.listWanted = true;
            }
        }
    }

    // ---- what changes

    private void convert(Run run, LeaseName resource, Run.Wanted wanted, LeaseMode mode) {
        Following following = run.following;
        boolean early = state.clock.bootNanos() < following.convertAgainNanos.getOrDefault(resource, 0L);
        following.convertWaits |= early;
        if (early || !state.member() || !following.converting.add(resource)) {
            return;
        }
        following.convertAgainNanos.put(resource, state.clock.bootNanos() + CONVERT_AGAIN_NANOS);
        state.lockspace
                .convert(resource, wanted.note(), mode)
                .whenComplete((result, bug) -> state.loop.tell(() -> onConverted(run, resource, mode, result)));
    }

    /** Asks again for a mode that is due; whoever has shown the domain since may have been too early, and nobody shows it again soon. */
    private void convertWhenDue(Run run, long nowNanos) {
        Following following = run.following;
        if (!following.convertWaits || run.doomed || run.halted) {
            return;
        }
        if (following.convertAgainNanos.values().stream().allMatch(from -> nowNanos >= from)) {
            following.convertWaits = false;
            called(following).forEach((resource, lease) -> follow(run, resource, lease));
        }
    }

    private void onConverted(Run run, LeaseName resource, LeaseMode mode, @Nullable AcquireResult answer) {
        Following following = run.following;
        following.converting.remove(resource);
        Run.Wanted wanted = run.wanted.get(resource);
        if (isOver(run) || wanted == null || !run.holds(resource)) {
            return;
        }
        AcquireResult result = answer != null
                ? answer
                : new AcquireResult.CannotTell(LeaseFault.IO, "the lease engine has a bug", true);
        if (result instanceof AcquireResult.Acquired acquired) {
            run.wanted.put(resource, wanted.in(mode));
            run.lvers.put(resource, acquired.lease().lver());
            following.convertAgainNanos.remove(resource);
            following.refusedModes.remove(resource);
            LOG.info(
                    "VG-423 {} holds {} {} now",
                    run,
                    wanted.note().disk(),
                    mode == LeaseMode.SHARED ? "shared" : "exclusive");
            changed.accept(run);
        } else if (mode == LeaseMode.EXCLUSIVE) {
            String why = claims.sentence(wanted.note().disk(), result);
            boolean news = following.refusedModes.put(resource, Sentences.writesAllTheSame(why)) == null;
            Need need = following.needs.get(resource);
            if (need != null && !state.settings.observe() && !run.doomed) {
                conflicts.abortJob(run, need.target(), why, news);
            }
            changed.accept(run);
        } // else it is held more strictly than it need be; the next look tries again
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
            state.listWanted = true;
            lookAgain(run);
        }
        convertWhenDue(run, nowNanos);
        leaving.lookWhenDue(run, nowNanos);
    }

    private boolean isOver(Run run) {
        return state.runs.get(run.uuid) != run;
    }
}
