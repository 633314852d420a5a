/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.Objects;
import java.util.UUID;

/**
 * Something about the devices or jobs of a running domain has changed. A hint to look at its live XML, never the news itself: these
 * events do not name the storage, some come only at the end of what they report, and some changes (a disk-only snapshot, another
 * floppy) have none.
 *
 * @param uuid the domain's UUID
 * @param name the domain's name
 * @param kind what kind of change
 * @param detail for people: the device's alias or target, and what libvirt says of it
 */
public record DomainChange(UUID uuid, String name, Kind kind, String detail) {

    /** Kinds of change, by libvirt's {@code virDomainEventID}. */
    public enum Kind {
        /** A device was plugged in; QEMU uses it already. */
        DEVICE_ADDED,
        /** The guest has let go of a device, and QEMU too. */
        DEVICE_REMOVED,
        /** A medium was changed, or a tray moved. */
        MEDIUM,
        /** A block job (pull, copy, commit, backup) ended or is ready to pivot. */
        BLOCK_JOB,
        /** An outgoing migration begins another pass over the memory. */
        MIGRATION_PASS,
        /** A job of the whole domain ended: migration, save, dump, snapshot, backup. */
        JOB_COMPLETED
    }

    /** Checks that nothing is missing. */
    public DomainChange {
        Objects.requireNonNull(uuid, "uuid");
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(detail, "detail");
    }
}
