/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The part of a domain that matters for its leases.
 *
 * @param name as written, never blank
 * @param uuid absent only in XML written by hand; libvirt always gives one to its hooks
 * @param disks in document order, at most {@link DomainXml#MAX_DISKS}
 * @param onLockFailure what it wants to happen when a lease of it is lost
 * @param others what it can write to beside its disks, in document order
 */
public record DomainSpec(
        String name,
        @Nullable UUID uuid,
        List<DiskSpec> disks,
        OnLockFailure onLockFailure,
        List<OtherStorage> others) {

    public DomainSpec {
        disks = List.copyOf(disks);
        others = List.copyOf(others);
    }

    /** One that has nothing but disks, and says nothing about lost leases. */
    public DomainSpec(String name, @Nullable UUID uuid, List<DiskSpec> disks) {
        this(name, uuid, disks, OnLockFailure.UNSAID, List.of());
    }
}
