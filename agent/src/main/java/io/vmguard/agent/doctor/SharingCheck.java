/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.status.StatusReport.Host;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Whether the peers see the same lockspace. The proof is a peer's renewal: who writes into this very file shares it. What a mount says of
 * itself is none.
 */
final class SharingCheck implements Check<SharingCheck.Facts> {
    /** In place of a type. */
    static final String MISSING = "missing";

    private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs", "rootfs", "devtmpfs");

    /** Of one host alone unless something is done about it. */
    private static final Set<String> LOCAL =
            Set.of("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay", "f2fs", "bcachefs", "jfs", "reiserfs");

    /**
     * @param fileSystem its type; {@code device} if the leases are on a block device
     * @param identity by which every host knows the lockspace file; empty if it cannot be told
     * @param hosts of the lockspace, ourselves included; empty if there is no lockspace yet
     * @param seen by whom: {@code agent}, {@code twice}, {@code once}
     * @param peers who should be there, by their node names; may be empty
     */
    record Facts(String dir, String fileSystem, String identity, List<Host> hosts, String seen, List<String> peers) {}

    @Override
    public String name() {
        return "lease_directory";
    }

    @Override
    public String why() {
        return "hosts that look into different directories keep nobody off anybody's disk";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<String> live = facts.hosts().stream()
                .filter(host -> !host.self()
                        && (host.status().equals("live") || host.status().equals("fail")))
                .map(Host::node)
                .toList();
        List<String> missing =
                facts.peers().stream().filter(peer -> !live.contains(peer)).toList();
        String where = facts.dir() + (facts.identity().isEmpty() ? "" : ", known as " + facts.identity());
        if (facts.fileSystem().equals(MISSING)) {
            return Judgement.red(
                    facts.dir() + " does not exist", "Mount shared storage there, or vmguard init --lease-dir DIR");
        }
        if (IN_MEMORY.contains(facts.fileSystem())) {
            return Judgement.red(
                    where + " is in this host's memory (" + facts.fileSystem() + ")",
                    "Mount shared storage there, or set lease_dir");
        }
        if (!missing.isEmpty()) {
            return Judgement.red(
                    "no renewal of " + String.join(", ", missing) + " is seen in " + where + seenBy(facts),
                    "On those hosts: vmguard status. The directory there must be known by the same name; if the agent runs and says "
                            + "member, it is another directory");
        }
        if (!live.isEmpty()) {
            return Judgement.green(where + ": renewals of "
                    + live.stream().sorted().collect(Collectors.joining(", ")) + " are seen in it");
        }
        String alone = "no other host has been seen in " + where + seenBy(facts);
        return LOCAL.contains(facts.fileSystem())
                ? Judgement.yellow(
                        alone + ", and " + facts.fileSystem() + " is a file system of one host",
                        "With more than one host, put lease_dir on storage that all of them share; for one host alone this is all there is")
                : Judgement.yellow(
                        alone,
                        "When the other hosts have joined: vmguard doctor --peers HOST,HOST. For one host alone this is all there is");
    }

    private static String seenBy(Facts facts) {
        return facts.seen().equals("once") ? " at one look, without an agent that watches" : "";
    }
}
