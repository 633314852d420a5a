/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.Objects;
import java.util.UUID;

/**
 * A lifecycle event of a domain. Never a proof of anything: {@link Kind#STOPPED} can come while a thread of the process
 * still has a write in flight, and {@link Kind#STARTED} has been seen for a domain that did not run.
 *
 * @param uuid the domain's UUID
 * @param name the domain's name
 * @param kind what {@code event} means, {@link Kind#OTHER} for a number this version does not know
 * @param event the raw number of the event (libvirt: {@code virDomainEventType})
 * @param detail the raw number of the detail, whose meaning depends on {@code event}
 */
public record DomainEvent(UUID uuid, String name, Kind kind, int event, int detail) {

    /** An event with its kind derived from the raw number. */
    public static DomainEvent of(UUID uuid, String name, int event, int detail) {
        return new DomainEvent(uuid, name, Kind.of(event), event, detail);
    }

    /** Checks that nothing is missing. */
    public DomainEvent {
        Objects.requireNonNull(uuid, "uuid");
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(kind, "kind");
    }

    /** The events of {@code virDomainEventType} in libvirt-domain.h; the order is the numbering. */
    public enum Kind {
        DEFINED,
        UNDEFINED,
        STARTED,
        SUSPENDED,
        RESUMED,
        STOPPED,
        SHUTDOWN,
        PMSUSPENDED,
        CRASHED,
        /** A number that a later libvirt added. */
        OTHER;

        private static final Kind[] BY_NUMBER = values();

        static Kind of(int event) {
            return event >= 0 && event < OTHER.ordinal() ? BY_NUMBER[event] : OTHER;
        }
    }
}
