/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.Arrays;
import java.util.Objects;
import java.util.UUID;

/**
 * A domain that was active at the moment it was listed. It may have ended since: only its process tells.
 *
 * @param uuid the domain's UUID
 * @param name the domain's name
 * @param id the hypervisor's number for this run of the domain, above zero
 * @param xml the live XML as UTF-8 bytes; copied in and out
 */
public record ActiveDomain(UUID uuid, String name, int id, byte[] xml) {

    /** Copies the bytes. */
    public ActiveDomain {
        Objects.requireNonNull(uuid, "uuid");
        Objects.requireNonNull(name, "name");
        xml = xml.clone();
    }

    /** A copy of the live XML, UTF-8. */
    @Override
    public byte[] xml() {
        return xml.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ActiveDomain domain
                && uuid.equals(domain.uuid)
                && name.equals(domain.name)
                && id == domain.id
                && Arrays.equals(xml, domain.xml);
    }

    @Override
    public int hashCode() {
        return Objects.hash(uuid, name, id) * 31 + Arrays.hashCode(xml);
    }

    @Override
    public String toString() {
        return "ActiveDomain[" + name + ", " + uuid + ", id " + id + ", " + xml.length + " bytes of XML]";
    }
}
