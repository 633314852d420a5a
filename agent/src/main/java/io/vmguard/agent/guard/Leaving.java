/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.OtherStorage;
import io.vmguard.agent.guard.Following.Need;
import io.vmguard.agent.guard.Following.Source;
import io.vmguard.agent.process.FileKey;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.OpenFiles;
import io.vmguard.lease.LeaseName;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Gives back what a running domain does not use any more, and nothing of which that is not proved.
 *
 * <p>A lease goes only when libvirt's list, begun after the last sight of the image, is without it, no status file shows it, and QEMU has
 * none of the files open any more that its disk was ever seen on. Of a disk reached over the network there is no such proof, and the XML
 * must be without it for a while; a disk of a kind that is neither keeps its leases until the domain ends.
 *
 * <p>Of a disk that has left while no agent ran nobody knows the files, nor all of one whose storage once did not answer. So QEMU must have
 * nothing open at all but what belongs to the disks that it has, and the XML must be without the disk for a while as well; if it is not so
 * soon, the lease is kept until the domain ends. If the domain has a disk in the same place as one that an earlier agent knew, that one may
 * have called this very disk by another name: kept. A drive that all sights show empty is no disk.
 */
final class Leaving {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long FILES_AGAIN_NANOS = Duration.ofMillis(500).toNanos();

    /** The target of a backup is open for hours and in no XML, and nobody waits for it. */
    private static final long FILES_SELDOM_NANOS = Duration.ofSeconds(5).toNanos();

    /** libvirt takes an image out of the XML a moment before it tells QEMU to close it. */
    private static final long NETWORK_NANOS = Duration.ofSeconds(2).toNanos();

    /** What left is closed by then, if it can be proved at all. */
    private static final long ACCOUNT_NANOS = Duration.ofSeconds(10).toNanos();

    private static final long LOOK_AGAIN_NANOS = Duration.ofSeconds(1).toNanos();

    /** The label of a disk as libvirt names targets, and not of one whose files QEMU opens when it needs them. */
    private static final Pattern DISK =
            Pattern.compile("((?:sd|hd|vd|xvd|fd|ubd)[a-z0-9]+)(?: backing image)? \\((?!dir:).*", Pattern.DOTALL);

    private final GuardState state;
    private final ActiveDomains activeDomains;
    private final LeaseClaims claims;
    private final Consumer<Run> changed;

    /** @param changed called when leases have been given back */
    Leaving(GuardState state, ActiveDomains activeDomains, LeaseClaims claims, Consumer<Run> changed) {
        this.state = state;
        this.activeDomains = activeDomains;
        this.claims = claims;
        this.changed = changed;
    }

    /**
     * More is known of what the domain is like: what is not called for?
     *
     * @param called what is, by anybody's word
     */
    void consider(Run run, Set<LeaseName> called) {
        Following following = run.following;
        LiveDomain listed = following.latest.get(Source.LIBVIRT);
        if (listed == null || run.halted) {
            return;
        }
        boolean complete = isComplete(following);
        for (LeaseName resource : List.copyOf(run.wanted.keySet())) {
            if (called.contains(resource)
                    || following.expected.containsKey(resource)
                    || following.leaving.containsKey(resource)
                    || following.kept.contains(resource)) {
                continue;
            }
            Need need = following.needs.get(resource);
            if (need == null) {
                if (complete) {
                    considerUnshown(run, resource, listed);
                }
            } else if (!complete) {
                // What is refused may be what seems to be gone, and may only have been slow to be told.
                lookAgain(following);
            } else if (listed.begunNanos() <= need.seenNanos()) {
                state.wantSight(run); // the list is older than what showed it last
            } else if (provable(following, need)) {
                leaves(following, resource, listed);
            } else if (listed.begunNanos() - need.seenNanos() >= NETWORK_NANOS) {
                // Not sooner: libvirt shows the overlay of a snapshot in one place, and a moment later in another.
                keep(run, resource);
            }
        }
    }

    /** An earlier agent took it, and it was gone before this one has seen what for. */
    private void considerUnshown(Run run, LeaseName resource, LiveDomain listed) {
        Following following = run.following;
        if (!following.unshown.contains(resource) || !run.holds(resource) || run.isMigrating()) {
            return;
        }
        Matcher disk = DISK.matcher(
                Objects.requireNonNull(run.wanted.get(resource)).note().disk());
        if (disk.matches() && isVacant(following, disk.group(1))) {
            following.needs.put(resource, new Need(disk.group(1), "", listed.begunNanos()));
            leaves(following, resource, listed);
        }
    }

    /** Whether nothing was refused that could be what seems to be gone. */
    private static boolean isComplete(Following following) {
        return following.latest.values().stream()
                .allMatch(live -> live.derivation().refusals().isEmpty());
    }

    /** Whether both have looked, and neither shows an image in this place. */
    private static boolean isVacant(Following following, String target) {
        boolean both = following.latest.keySet().containsAll(EnumSet.allOf(Source.class));
        return both
                && following.latest.values().stream()
                        .map(live -> live.disks().byTarget().get(target))
                        .filter(Objects::nonNull)
                        .allMatch(LiveDisks.Disk::isEmpty);
    }

    /** Not later because this is asked for again meanwhile: open files are looked at more often. */
    private void lookAgain(Following following) {
        if (following.lookAgainNanos == 0) {
            following.lookAgainNanos = state.clock.bootNanos() + LOOK_AGAIN_NANOS;
        }
    }

    private static void leaves(Following following, LeaseName resource, LiveDomain listed) {
        following.leaving.put(resource, listed.begunNanos());
        following.nextFilesNanos = 0;
    }

    private void keep(Run run, LeaseName resource) {
        if (run.following.kept.add(resource)) {
            LOG.info(
                    "VG-422 {} does not use {} any more, it seems; which files QEMU would have to close is not known, so its lease is kept"
                            + " until the domain ends",
                    run,
                    Objects.requireNonNull(run.wanted.get(resource)).note().disk());
        }
    }

    private static boolean provable(Following following, Need need) {
        String target = need.target();
        boolean disk = following.files.containsKey(target) || following.unseen.contains(target);
        return disk && !following.unprovable.contains(target);
    }

    /** Looks whether QEMU has closed what its domain does not use any more, if it is time to. */
    void lookWhenDue(Run run, long nowNanos) {
        Following following = run.following;
        GuardedProcess process = run.process;
        if (following.leaving.isEmpty()
                || following.filesUnderWay
                || nowNanos < following.nextFilesNanos
                || process == null
                || run.doomed
                || run.halted) {
            return;
        }
        following.filesUnderWay = true;
        state.loop.elsewhere(
                activeDomains.threads(),
                () -> {
                    Optional<OpenFiles> open = activeDomains.openBy(process);
                    state.loop.tell(() -> onFiles(run, open));
                },
                () -> onFiles(run, Optional.empty()));
    }

    private void onFiles(Run run, Optional<OpenFiles> open) {
        Following following = run.following;
        following.filesUnderWay = false;
        following.nextFilesNanos = state.clock.bootNanos() + pause(following);
        if (state.isOver(run) || open.isEmpty() || run.doomed || run.halted) {
            return;
        }
        boolean any = false;
        for (Map.Entry<LeaseName, Long> entry : List.copyOf(following.leaving.entrySet())) {
            LeaseName resource = entry.getKey();
            Need need = Objects.requireNonNull(following.needs.get(resource));
            long sinceNanos = entry.getValue();
            boolean busy = run.pending.containsKey(resource)
                    || following.converting.contains(resource)
                    || run.isElsewhere(resource);
            boolean unshown = following.unshown.contains(resource);
            boolean byAccount = unshown || following.unseen.contains(need.target());
            boolean out = !unshown || isVacant(following, need.target());
            if (!busy && out && isClosed(run, need, sinceNanos, byAccount, open.get())) {
                letGo(run, resource);
                any = true;
            } else if (byAccount && state.clock.bootNanos() - sinceNanos > ACCOUNT_NANOS) {
                following.leaving.remove(resource);
                keep(run, resource);
            }
        }
        if (any) {
            prune(following);
            changed.accept(run);
        }
    }

    private long pause(Following following) {
        boolean onlyMade = following.leaving.keySet().stream()
                .allMatch(resource -> Objects.requireNonNull(following.needs.get(resource))
                        .target()
                        .equals(OtherStorage.NEW_IMAGE));
        return onlyMade ? FILES_SELDOM_NANOS : FILES_AGAIN_NANOS;
    }

    private boolean isClosed(Run run, Need need, long sinceNanos, boolean byAccount, OpenFiles open) {
        Following following = run.following;
        Set<FileKey> departed = departed(following, need.target());
        if (!Collections.disjoint(departed, open.all())) {
            return false;
        }
        if (byAccount && !(isComplete(following) && isAllAccountedFor(following, open))) {
            boolean seen = following.latest.values().stream()
                    .allMatch(live -> live.disks().seen());
            if (!seen || !isComplete(following)) {
                lookAgain(following);
            }
            return false;
        }
        LiveDomain listed = Objects.requireNonNull(following.latest.get(Source.LIBVIRT));
        if ((departed.isEmpty() || byAccount) && listed.begunNanos() - sinceNanos < NETWORK_NANOS) {
            state.wantSight(run);
            return false;
        }
        return true;
    }

    /** Whether nothing is open that could be the image of a disk that the domain does not have. */
    private static boolean isAllAccountedFor(Following following, OpenFiles open) {
        Set<FileKey> others = new HashSet<>(open.storage());
        following.latest.values().forEach(live -> others.removeAll(live.disks().files()));
        return others.isEmpty();
    }

    /** Files that this target was seen on and no disk is on now. */
    private static Set<FileKey> departed(Following following, String target) {
        Set<FileKey> departed = new HashSet<>(following.files.getOrDefault(target, Set.of()));
        following
                .latest
                .values()
                .forEach(live -> departed.removeAll(live.disks().files()));
        return departed;
    }

    private void letGo(Run run, LeaseName resource) {
        Following following = run.following;
        following.leaving.remove(resource);
        following.needs.remove(resource);
        following.unshown.remove(resource);
        following.convertAgainNanos.remove(resource);
        following.arrivals.remove(resource);
        following.refusedModes.remove(resource);
        LOG.info(
                "VG-421 {} does not use {} any more",
                run,
                Objects.requireNonNull(run.wanted.get(resource)).note().disk());
        claims.giveBack(run, resource);
    }

    /**
     * Forgets the files of disks all of whose leases are called for, or are kept for good: what else they were seen on was seen closed. What
     * is not called for is not proved closed, whether it is known to leave yet or not, and what is expected is not used yet.
     */
    private static void prune(Following following) {
        Set<LeaseName> called = new HashSet<>(following.kept);
        following.latest.values().stream()
                .flatMap(live -> live.derivation().leases().stream())
                .forEach(lease -> called.add(new LeaseName(lease.resource())));
        Set<String> open = new HashSet<>();
        following.needs.forEach((resource, need) -> {
            if (!called.contains(resource)) {
                open.add(need.target());
            }
        });
        following.files.forEach((target, files) -> {
            if (!open.contains(target)) {
                files.removeAll(departed(following, target));
            }
        });
        following.files.values().removeIf(Set::isEmpty);
    }
}
