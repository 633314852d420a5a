/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.domain.OnLockFailure;
import io.vmguard.agent.hypervisor.ActiveDomain;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.hypervisor.ListResult;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.agent.process.ImageFiles;
import io.vmguard.agent.process.OpenFiles;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executor;

/**
 * Lists the active domains and derives their leases. Blocks within limits; not for the guard's thread, and one list at a time.
 *
 * <p>The live XML of a domain tells one run of it from the next by libvirt's id, and what a running QEMU has open stays what it is. So
 * leases that were derived are not derived again while that XML stays the same in each list, for a few minutes; else a host with hundreds
 * of domains would look at all their storage all the time. What could not be derived is tried anew each time.
 */
public final class ActiveDomains {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final Duration ONE_LIMIT = Duration.ofSeconds(3);

    /** In case storage is not what it was although nothing says so. */
    private static final long DERIVE_AGAIN_NANOS = Duration.ofMinutes(5).toNanos();

    private final Hypervisor hypervisor;
    private final DomainLeases leases;
    private final LeaseClock clock;
    private final ImageFiles images;
    private final Executor threads;

    /** Those of the latest list whose leases are known. */
    private volatile Map<UUID, Derived> before = Map.of();

    private record Derived(ListedDomain domain, long atNanos) {}

    /**
     * @param images which files of this host the disks are
     * @param threads run looks at one domain, beside the lists; each takes a few seconds at most
     */
    public ActiveDomains(
            Hypervisor hypervisor, DomainLeases leases, LeaseClock clock, ImageFiles images, Executor threads) {
        this.hypervisor = hypervisor;
        this.leases = leases;
        this.clock = clock;
        this.images = images;
        this.threads = threads;
    }

    /** Where {@link #look} and {@link #openBy} may be called. */
    Executor threads() {
        return threads;
    }

    /** What a live domain calls for that libvirt's status file shows. Asks nothing of libvirt but where volumes are. */
    LiveDomain look(DomainSpec domain, long begunNanos) {
        return new LiveDomain(
                domain.name(), leases.derive(domain), LiveDisks.of(domain, images, hypervisor), begunNanos);
    }

    /** Which files the disks of a device are that is about to be plugged in. */
    LiveDisks disks(DomainSpec device) {
        return LiveDisks.of(device, images, hypervisor);
    }

    /** See {@link ImageFiles#openBy}. */
    Optional<OpenFiles> openBy(GuardedProcess process) {
        return images.openBy(process);
    }

    /** @return empty if libvirt does not say */
    Optional<List<ListedDomain>> list() {
        ListResult result = hypervisor.listActive(LIMIT);
        return result.fold(listed -> Optional.of(derived(listed.domains())), cannotTell -> Optional.empty());
    }

    /**
     * One of them, asked for by itself. Beside a list that is under way too.
     *
     * @return empty if libvirt does not say, or says that it is not active
     */
    Optional<ListedDomain> one(UUID uuid) {
        ListResult result = hypervisor.active(uuid, ONE_LIMIT);
        return result.fold(
                listed -> listed.domains().stream().findFirst().map(this::known), cannotTell -> Optional.empty());
    }

    private ListedDomain known(ActiveDomain domain) {
        Derived last = before.get(domain.uuid());
        return last != null && stillHolds(last, domain) ? last.domain() : derived(domain);
    }

    private List<ListedDomain> derived(List<ActiveDomain> domains) {
        Map<UUID, Derived> earlier = before;
        Map<UUID, Derived> known = new HashMap<>();
        List<ListedDomain> all = new ArrayList<>();
        for (ActiveDomain domain : domains) {
            Derived last = earlier.get(domain.uuid());
            Derived now =
                    last != null && stillHolds(last, domain) ? last : new Derived(derived(domain), clock.bootNanos());
            if (now.domain().derivation().refusals().isEmpty()
                    && now.domain().disks().seen()) {
                known.put(domain.uuid(), now);
            }
            all.add(now.domain());
        }
        before = known;
        return all;
    }

    private boolean stillHolds(Derived last, ActiveDomain domain) {
        return last.domain().name().equals(domain.name())
                && Arrays.equals(last.domain().xml(), domain.xml())
                && clock.bootNanos() - last.atNanos() < DERIVE_AGAIN_NANOS;
    }

    private ListedDomain derived(ActiveDomain domain) {
        try {
            DomainSpec spec = DomainXml.parse(domain.xml());
            return new ListedDomain(
                    domain.uuid(),
                    domain.name(),
                    leases.derive(spec),
                    LiveDisks.of(spec, images, hypervisor),
                    spec.onLockFailure(),
                    domain.xml());
        } catch (DomainXmlException e) {
            Refusal refusal = new Refusal(domain.name(), "its XML cannot be read: " + e.reason());
            return new ListedDomain(
                    domain.uuid(),
                    domain.name(),
                    new Derivation(List.of(), List.of(), List.of(refusal)),
                    LiveDisks.NONE,
                    OnLockFailure.UNSAID,
                    domain.xml());
        }
    }
}
