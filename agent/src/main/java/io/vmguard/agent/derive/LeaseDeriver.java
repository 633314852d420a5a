/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Decides for every disk of a domain whether it needs a lease, and which.
 *
 * <p>The rule: a disk that has a medium and can be written gets an exclusive lease. What is not known to be harmless
 * counts as writable; what needs a lease that cannot be named is refused, never passed over.
 */
public final class LeaseDeriver {

    private final SourceProtection protections;
    // By resource, not by identity: a file and a block device of one path share a lease.
    private final Map<String, DiskLease> leases = new LinkedHashMap<>();
    private final List<Unprotected> unprotected = new ArrayList<>();
    private final List<Refusal> refusals = new ArrayList<>();

    private LeaseDeriver(VolumeResolver volumes) {
        this.protections = new SourceProtection(volumes);
    }

    /**
     * The same domain gives the same result on every host, apart from what {@code volumes} says. Does no I/O of its own
     * and never throws; {@code volumes} is asked only about writable disks.
     */
    public static Derivation derive(DomainSpec domain, VolumeResolver volumes) {
        LeaseDeriver deriver = new LeaseDeriver(volumes);
        domain.disks().forEach(deriver::disk);
        return new Derivation(List.copyOf(deriver.leases.values()), deriver.unprotected, deriver.refusals);
    }

    private void disk(DiskSpec disk) {
        String target = disk.target();
        if (disk.source() instanceof DiskSource.Empty) {
            unprotected.add(new Unprotected(target, "no medium"));
        } else if (disk.readOnly()) {
            unprotected.add(new Unprotected(target, "read-only"));
        } else if (disk.device().equals("cdrom")) {
            unprotected.add(new Unprotected(target, "read-only: cdrom"));
        } else {
            // The image of a <transient/> disk is only read (libvirt puts the writes into a file of the run's own), but
            // a writer elsewhere would change it underneath.
            LeaseMode mode = disk.shareable() || disk.discardsWrites() ? LeaseMode.SHARED : LeaseMode.EXCLUSIVE;
            Protection protection = disk.source().fold(protections);
            protection.fold(
                    lease -> protect(target, lease, mode),
                    notNeeded -> unprotected.add(new Unprotected(target, notNeeded.reason())),
                    impossible -> refusals.add(new Refusal(target, impossible.reason())));
        }
    }

    private boolean protect(String target, Protection.Lease lease, LeaseMode mode) {
        DiskLease first = leases.get(lease.resource());
        if (first == null) {
            leases.put(
                    lease.resource(), new DiskLease(target, mode, lease.identity(), lease.resource(), DiskLease.DISK));
            return true;
        }
        return first.mode() == mode
                ? unprotected.add(new Unprotected(target, "same disk as " + first.target()))
                : refusals.add(new Refusal(
                        target, "it is the same disk as " + first.target() + ", and only one of the two is shared"));
    }
}
