/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.DomainXml;
import io.vmguard.agent.domain.DomainXmlException;
import io.vmguard.agent.identity.IdentityRules;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** What tests ask a deriver for, and its answers as lines. */
final class Derivations {
    /** Of {@link #domain}. */
    static final String UUID = "6f1c1c1e-0f0e-4a54-9c55-0d6a4f0f9a01";

    private Derivations() {}

    /** @param os what is in the XML beside the devices */
    static DomainSpec domain(String os, String devices) throws DomainXmlException {
        String xml =
                "<domain><name>a</name><uuid>" + UUID + "</uuid>" + os + "<devices>" + devices + "</devices></domain>";
        return DomainXml.parse(xml.getBytes(StandardCharsets.UTF_8));
    }

    /** @param more e.g. a backing store */
    static String qcow2(String path, String target, String more) {
        return "<disk type='file'><driver name='qemu' type='qcow2'/><source file='" + path + "'/><target dev='" + target
                + "'/>" + more + "</disk>";
    }

    static DeriverSettings settings(IdentityRules rules, boolean domainLease) {
        return new DeriverSettings(rules, domainLease, "ours", "/leases");
    }

    static List<String> lines(Derivation derivation) {
        List<String> lines = new ArrayList<>();
        derivation
                .leases()
                .forEach(l ->
                        lines.add(l.target() + " " + l.role() + " " + l.mode().word() + " " + l.identity()));
        derivation.unprotected().forEach(u -> lines.add(u.target() + " none: " + u.reason()));
        derivation.refusals().forEach(r -> lines.add(r.target() + " refused: " + r.reason()));
        return lines;
    }
}
