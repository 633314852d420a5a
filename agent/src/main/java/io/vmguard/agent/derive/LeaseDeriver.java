/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.identity.IdentityRules;
import io.vmguard.agent.identity.StorageClusters;
import io.vmguard.agent.identity.StorageFacts;
import io.vmguard.agent.identity.StorageIdentifier;
import java.util.function.Supplier;

/**
 * Decides for everything a domain can write to whether it needs a lease, and which.
 *
 * <p>The rule: an image that is there and can be written gets an exclusive lease, what it is built on gets shared ones. What is not
 * known to be harmless counts as writable; what needs a lease that cannot be named is refused, never passed over.
 *
 * <p>The same function serves a domain at its start, a disk that is plugged in ({@link #disk}), and the target of a snapshot, a copy or
 * a mirror ({@link #image}). Any thread. Its facts can hang with the storage they are about: see {@link BoundedLeases}.
 */
public final class LeaseDeriver implements StorageLeases {

    private final VolumeResolver volumes;
    private final DeriverSettings settings;
    private final Supplier<StorageIdentifier> identifiers;

    private LeaseDeriver(VolumeResolver volumes, DeriverSettings settings, Supplier<StorageIdentifier> identifiers) {
        this.volumes = volumes;
        this.settings = settings;
        this.identifiers = identifiers;
    }

    /** @param facts of this host, new for each derivation */
    public static LeaseDeriver onHost(VolumeResolver volumes, DeriverSettings settings, Supplier<StorageFacts> facts) {
        return new LeaseDeriver(volumes, settings, () -> new StorageIdentifier(settings.identity(), facts.get()));
    }

    /** One that knows no host: files and devices are known by their paths, and nothing is read. No lease on the domain itself. */
    public static LeaseDeriver byName(VolumeResolver volumes) {
        IdentityRules rules = new IdentityRules(true, false, StorageClusters.NONE);
        return new LeaseDeriver(
                volumes,
                new DeriverSettings(rules, false, "__LIBVIRT__DISKS__", "/var/lib/vmguard/leases"),
                StorageIdentifier::byNameAlone);
    }

    @Override
    public Derivation derive(DomainSpec domain) {
        DomainDerivation derivation = begin();
        domain.disks().forEach(derivation::disk);
        domain.others().forEach(other -> derivation.other(other, domain.uuid()));
        derivation.domain(domain.uuid());
        return derivation.result();
    }

    @Override
    public Derivation disk(DiskSpec disk) {
        DomainDerivation derivation = begin();
        derivation.disk(disk);
        return derivation.result();
    }

    @Override
    public Derivation image(String target, DiskSource source, LeaseMode mode) {
        DomainDerivation derivation = begin();
        derivation.image(target, source, mode);
        return derivation.result();
    }

    private DomainDerivation begin() {
        return new DomainDerivation(volumes, settings, identifiers.get());
    }
}
