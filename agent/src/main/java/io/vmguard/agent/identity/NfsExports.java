/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.identity.MountTable.Mount;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What this host's own kernel NFS server hands out. Clients know the files in it by their NFS names; so must this host, or both could
 * write one file.
 */
final class NfsExports {

    /** Every name is a lease more for each disk. */
    private static final int MAX_ALIASES = 64;

    /** Clients see what is mounted below the export. */
    private static final Pattern CROSSES = Pattern.compile("[(,]crossmnt[,)]");

    private final StorageFacts facts;
    private final MountTable mounts;

    NfsExports(StorageFacts facts, MountTable mounts) {
        this.facts = facts;
        this.mounts = mounts;
    }

    /**
     * The names that clients have for a file of a local file system.
     *
     * @param mount that it is on
     * @param inside its path inside the file system
     */
    List<LeaseKey> aliases(Mount mount, String inside) {
        List<String> paths = new ArrayList<>();
        String pseudoRoot = "";
        for (String line : facts.text("/var/lib/nfs/etab").orElse("").split("\n")) {
            // /srv/vms	10.0.0.0/24(rw,sync,wdelay,…,fsid=0,…)
            int tab = line.indexOf('\t');
            if (tab <= 0 || !line.startsWith("/")) {
                continue;
            }
            String export = MountTable.unescaped(line.substring(0, tab));
            if (line.contains("fsid=0,") || line.contains("fsid=0)") || line.contains("fsid=root")) {
                pseudoRoot = export;
            }
            Optional<Mount> exported = mounts.of(export);
            String top = exported.map(m -> m.inside(export)).orElse("");
            if (exported.isPresent()
                    && exported.get().device().equals(mount.device())
                    && MountTable.isAtOrBelow(inside, top)) {
                String rest = top.equals("/") ? inside : inside.substring(top.length());
                paths.add(export.equals("/") ? rest : export + rest);
            } else if (CROSSES.matcher(line).find()) {
                paths.addAll(crossing(export, mount, inside));
            }
        }
        String root = pseudoRoot;
        List<String> byVersionFour = paths.stream()
                .filter(path -> !root.isEmpty() && !root.equals("/") && MountTable.isAtOrBelow(path, root))
                .map(path -> path.substring(root.length()))
                .toList();
        paths.addAll(byVersionFour);
        List<LeaseKey> aliases = new ArrayList<>();
        if (!paths.isEmpty()) {
            for (String name : new HostNames(facts).all()) {
                for (String path : paths) {
                    aliases.add(LeaseKey.of("nfs", "nfs:" + name + "/" + NetworkIdentity.cleanPath(path))
                            .as(LeaseKey.Role.ALIAS));
                }
            }
        }
        return aliases.stream().distinct().limit(MAX_ALIASES).toList();
    }

    /** Where clients of an export come to a file through the mounts below it. */
    private List<String> crossing(String export, Mount mount, String inside) {
        return mounts.ofDevice(mount.device()).stream()
                .filter(m -> MountTable.isAtOrBelow(inside, m.root()))
                .map(m -> m.outside(inside))
                .filter(path -> MountTable.isAtOrBelow(path, export))
                .toList();
    }
}
