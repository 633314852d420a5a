/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.derive.Unprotected;
import io.vmguard.agent.domain.DomainSpec;

/** How the derivation for one file is shown. */
record Explanation(String file, DomainSpec domain, Derivation derivation) {

    /** One JSON document and a newline; {@code refused} is there only if a disk is refused. */
    String json() {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("file", file);
        root.putObject("domain")
                .put("name", domain.name())
                .put("uuid", domain.uuid() == null ? null : domain.uuid().toString());
        ArrayNode leases = root.putArray("leases");
        for (DiskLease lease : derivation.leases()) {
            leases.addObject()
                    .put("target", lease.target())
                    .put("mode", lease.mode().word())
                    .put("identity", lease.identity())
                    .put("resource", lease.resource())
                    .put("role", lease.role());
        }
        ArrayNode unprotected = root.putArray("unprotected");
        for (Unprotected disk : derivation.unprotected()) {
            unprotected.addObject().put("target", disk.target()).put("reason", disk.reason());
        }
        if (!derivation.refusals().isEmpty()) {
            ArrayNode refused = root.putArray("refused");
            for (Refusal disk : derivation.refusals()) {
                refused.addObject().put("target", disk.target()).put("reason", disk.reason());
            }
        }
        return OutputOption.json(root);
    }

    /** A heading and a table of the disks; columns as wide as their widest cell. */
    String text() {
        TextTable table = new TextTable("TARGET", "LEASE", "ON DISK", "WHAT");
        for (DiskLease lease : derivation.leases()) {
            table.row(lease.target(), lease.mode().word(), lease.resource(), lease.identity());
        }
        for (Unprotected disk : derivation.unprotected()) {
            table.row(disk.target(), "none", "-", disk.reason());
        }
        for (Refusal disk : derivation.refusals()) {
            table.row(disk.target(), "REFUSED", "-", disk.reason());
        }
        StringBuilder text = new StringBuilder(OneLine.of(file) + ": domain " + OneLine.of(domain.name()));
        text.append(domain.uuid() == null ? "" : " (" + domain.uuid() + ")").append("\n");
        text.append(table.isEmpty() ? "  no disks\n" : table);
        if (!derivation.refusals().isEmpty()) {
            text.append("  A disk that is REFUSED on its host too stops the start.\n");
        }
        return text.toString();
    }
}
