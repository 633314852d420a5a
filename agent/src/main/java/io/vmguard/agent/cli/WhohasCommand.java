/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vmguard.agent.cli.DirectoryOptions.Place;
import io.vmguard.agent.cli.LeaseReport.Lease;
import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.derive.Derivation;
import io.vmguard.agent.derive.DiskLease;
import io.vmguard.agent.derive.DomainLeases;
import io.vmguard.agent.derive.LeaseMode;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.derive.Refusal;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.identity.ImageName;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** The question of an incident: who has this disk. */
@Command(
        name = "whohas",
        description = "Show who has a disk: every lease that protects it, and its present holder.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            "0:all could be told",
            "1:what one of them is cannot be told",
            "2:wrong usage or configuration, or the lease directory cannot be read"
        })
public final class WhohasCommand extends DirectoryCommand {
    private static final Pattern UUID = Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

    private final LeaseTools tools;
    private final Function<AgentConfig, DomainLeases> leases;

    @Parameters(
            paramLabel = "DISK",
            arity = "1..*",
            description =
                    "A path, a name as QEMU takes it (rbd:POOL/IMAGE, iscsi://HOST/IQN/LUN, nbd://HOST/EXPORT, json:{...}),"
                            + " or the UUID of a domain.")
    private List<String> disks = List.of();

    /** @param leases what domains need on this host with these settings */
    public WhohasCommand(LeaseTools tools, Function<AgentConfig, DomainLeases> leases) {
        this.tools = tools;
        this.leases = leases;
    }

    @Override
    int run(Place place) throws IOException, InterruptedException {
        LeaseHolders holders = new LeaseHolders(tools, place);
        DomainLeases onThisHost = leases.apply(place.config());
        int worst = 0;
        for (String disk : disks) {
            Derivation derivation = derive(disk, onThisHost);
            worst = Math.max(worst, derivation.refusals().isEmpty() ? 0 : PROBLEM);
            if (isJson()) {
                out().print(OutputOption.json(json(disk, derivation, holders)));
            } else {
                text(disk, derivation, holders);
            }
        }
        return worst;
    }

    private static Derivation derive(String disk, DomainLeases onThisHost) {
        if (UUID.matcher(disk).matches()) {
            String uuid = disk.toLowerCase(Locale.ROOT);
            return new Derivation(
                    List.of(new DiskLease(
                            disk, LeaseMode.EXCLUSIVE, "domain:" + uuid, "dom-" + uuid, DiskLease.DOMAIN)),
                    List.of(),
                    List.of());
        }
        Optional<DiskSource> source =
                ImageName.parse(disk, Path.of("").toAbsolutePath().toString());
        if (source.isEmpty()) {
            Refusal unknown = new Refusal(disk, "it is no path, and no name of a kind that is known");
            return new Derivation(List.of(), List.of(), List.of(unknown));
        }
        Derivation derivation = onThisHost.derive(
                new DomainSpec("whohas", null, List.of(new DiskSpec(disk, "disk", false, false, false, source.get()))));
        // A domain that is not there has no uuid, and nobody wants to know.
        return new Derivation(
                derivation.leases(),
                derivation.unprotected().stream()
                        .filter(unprotected -> unprotected.target().equals(disk))
                        .toList(),
                derivation.refusals());
    }

    private void text(String disk, Derivation derivation, LeaseHolders holders) throws IOException {
        out().println(OneLine.of(disk));
        TextTable table = new TextTable("FOR", "ON DISK", "WHAT", "WHO");
        for (DiskLease lease : derivation.leases()) {
            table.row(
                    lease.role(),
                    lease.resource(),
                    lease.identity(),
                    LeaseHolders.sentence(holders.of(lease.resource())));
        }
        out().print(table.isEmpty() ? "" : table.toString());
        derivation.leases().forEach(lease -> lease.note().ifPresent(note -> out().println("  " + OneLine.of(note))));
        derivation.unprotected().forEach(none -> out().println("  no lease: " + OneLine.of(none.reason())));
        derivation.refusals().forEach(refusal -> out().println("  cannot be told: " + OneLine.of(refusal.reason())));
    }

    private static ObjectNode json(String disk, Derivation derivation, LeaseHolders holders) throws IOException {
        ObjectNode root = JsonNodeFactory.instance.objectNode();
        root.put("format", LeaseReport.FORMAT);
        root.put("disk", disk);
        ArrayNode leases = root.putArray("leases");
        for (DiskLease lease : derivation.leases()) {
            Optional<Lease> found = holders.of(lease.resource());
            ObjectNode node = leases.addObject()
                    .put("identity", lease.identity())
                    .put("resource", lease.resource())
                    .put("role", lease.role())
                    .put("who", LeaseHolders.sentence(found));
            node.set("lease", OutputOption.tree(found.orElse(null)));
        }
        ArrayNode unprotected = root.putArray("unprotected");
        derivation.unprotected().forEach(none -> unprotected.addObject().put("reason", none.reason()));
        ArrayNode refused = root.putArray("refused");
        derivation.refusals().forEach(refusal -> refused.addObject().put("reason", refusal.reason()));
        return root;
    }
}
