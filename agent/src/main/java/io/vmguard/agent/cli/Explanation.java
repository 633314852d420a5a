/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.derive.Unprotected;
import io.vmguard.agent.domain.DomainSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** How the derivation for one file is shown. */
record Explanation(
        String file,
        DomainSpec domain,
        Derivation derivation,
        @Nullable LeaseHolders holders) {

    /** One JSON document and a newline; {@code refused} is there only if a disk is refused. */
    String json() {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("format", LeaseReport.FORMAT);
        root.put("file", file);
        root.putObject("domain")
                .put("name", domain.name())
                .put("uuid", domain.uuid() == null ? null : domain.uuid().toString());
        ArrayNode leases = root.putArray("leases");
        for (DiskLease lease : derivation.leases()) {
            ObjectNode node = leases.addObject()
                    .put("target", lease.target())
                    .put("mode", lease.mode().word())
                    .put("identity", lease.identity())
                    .put("resource", lease.resource())
                    .put("role", lease.role());
            lease.note().ifPresent(note -> node.put("note", note));
            if (holders != null) {
                Optional<Lease> found = holder(holders, lease);
                node.put("who", LeaseHolders.sentence(found));
                node.set("lease", OutputOption.tree(found.orElse(null)));
            }
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
        TextTable table = holders == null
                ? new TextTable("TARGET", "LEASE", "FOR", "ON DISK", "WHAT")
                : new TextTable("TARGET", "LEASE", "FOR", "ON DISK", "WHAT", "WHO");
        for (DiskLease lease : derivation.leases()) {
            row(
                    table,
                    holders == null ? "" : LeaseHolders.sentence(holder(holders, lease)),
                    lease.target(),
                    lease.mode().word(),
                    lease.role(),
                    lease.resource(),
                    lease.identity());
        }
        for (Unprotected disk : derivation.unprotected()) {
            row(table, "-", disk.target(), "none", "-", "-", disk.reason());
        }
        for (Refusal disk : derivation.refusals()) {
            row(table, "-", disk.target(), "REFUSED", "-", "-", disk.reason());
        }
        StringBuilder text = new StringBuilder(OneLine.of(file) + ": domain " + OneLine.of(domain.name()));
        text.append(domain.uuid() == null ? "" : " (" + domain.uuid() + ")").append("\n");
        text.append(table.isEmpty() ? "  no disks\n" : table);
        derivation
                .leases()
                .forEach(lease -> lease.note()
                        .ifPresent(note -> text.append("  ")
                                .append(OneLine.of(lease.target() + ": " + note))
                                .append("\n")));
        if (!derivation.refusals().isEmpty()) {
            text.append("  A disk that is REFUSED on its host too stops the start.\n");
        }
        return text.toString();
    }

    private void row(TextTable table, String who, String... cells) {
        List<String> all = new ArrayList<>(List.of(cells));
        if (holders != null) {
            all.add(who);
        }
        table.row(all.toArray(String[]::new));
    }

    private static Optional<Lease> holder(LeaseHolders holders, DiskLease lease) {
        try {
            return holders.of(lease.resource());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
