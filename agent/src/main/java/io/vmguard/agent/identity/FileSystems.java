/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.identity.Finding.Keys;
import io.vmguard.agent.identity.Finding.Unidentified;
import io.vmguard.agent.identity.LeaseKey.Role;
import io.vmguard.agent.identity.MountTable.Mount;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What a file is: the file system that it is on, by a name that all hosts have for it, and the path inside. What a host learns only by
 * asking somebody, or only from some versions of a client, is no part of a name.
 */
final class FileSystems {

    /** They have no name beyond this host, and no other host can see them. */
    private static final Set<String> IN_MEMORY = Set.of("tmpfs", "ramfs", "rootfs", "devtmpfs", "hugetlbfs");

    /** They may take upper and lower case for one. */
    private static final Set<String> WITHOUT_CASE =
            Set.of("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "hfs", "hfsplus");

    /** {@code NAME@FSID.FSNAME=/path}, as newer kernels write it. */
    private static final Pattern CEPH_BY_FSID = Pattern.compile("[^@/]*@([0-9a-fA-F-]{36})\\.[^=/]*=(/.*)");

    private static final Pattern CEPH_BY_MONITORS = Pattern.compile("([^/]+):(/.*)");
    private static final Pattern CEPH_MOUNT_POINT =
            Pattern.compile("^[ \\t]*client[ _]mountpoint[ \\t]*=[ \\t]*(/\\S*)", Pattern.MULTILINE);
    private static final Pattern NFS_SOURCE = Pattern.compile("(\\[[^\\]]+\\]|[^:/]+):(.*)", Pattern.DOTALL);
    private static final Pattern GLUSTER_SOURCE = Pattern.compile("(\\[[^\\]]+\\]|[^:/]+):/?(.+)", Pattern.DOTALL);
    private static final Pattern CIFS_SOURCE = Pattern.compile("//([^/]+)/(.+)", Pattern.DOTALL);

    private final StorageFacts facts;
    private final BlockDevices devices;
    private final MountTable mounts;
    private final StorageClusters clusters;

    FileSystems(StorageFacts facts, BlockDevices devices, MountTable mounts, StorageClusters clusters) {
        this.facts = facts;
        this.devices = devices;
        this.mounts = mounts;
        this.clusters = clusters;
    }

    /** @param real absolute path without links and dots */
    Finding of(String real) {
        Optional<Mount> found = mounts.of(real);
        if (found.isEmpty()) {
            return new Unidentified("this host does not say on which file system it is");
        }
        Mount mount = found.get();
        String inside = mount.inside(real);
        if (mount.root().contains("//deleted")) {
            return new Unidentified("its directory has been deleted");
        }
        return switch (mount.type()) {
            case "nfs", "nfs4" -> nfs(mount, inside);
            case "cifs", "smb3" -> cifs(mount, inside);
            case "ceph" -> ceph(mount, inside);
            case "fuse.ceph-fuse", "fuse.ceph" -> cephFuse(mount, inside);
            case "fuse.glusterfs" -> gluster(mount, inside);
            case "lustre" -> byLastPart("lustre", mount, inside);
            // Older versions write the device, newer ones the name.
            case "gpfs" -> named("gpfs", mount.source().replaceFirst("^/dev/", "") + inside);
            case "beegfs" -> named("beegfs", mount.source() + inside);
            case "zfs" ->
                named("zfs", mount.source() + inside).and(new NfsExports(facts, mounts).aliases(mount, inside));
            default -> local(mount, inside);
        };
    }

    private static Keys named(String kind, String name) {
        return Keys.of(LeaseKey.of(kind, kind + ":" + name));
    }

    /** The same words as for a disk that QEMU reaches by NFS itself. */
    private Finding nfs(Mount mount, String inside) {
        Matcher source = NFS_SOURCE.matcher(mount.source());
        if (!source.matches()) {
            return new Unidentified("its NFS mount does not say of which server it is");
        }
        String path = "/" + NetworkIdentity.cleanPath(source.group(2) + "/" + inside);
        return served("nfs", source.group(1), mount, path);
    }

    private Finding cifs(Mount mount, String inside) {
        Matcher source = CIFS_SOURCE.matcher(mount.source());
        if (!source.matches()) {
            return new Unidentified("its SMB mount does not say of which server it is");
        }
        String name = NetworkIdentity.cleanPath(source.group(2));
        Keys keys = cifs(source.group(1), mount, name + "/" + inside);
        int slash = name.indexOf('/');
        // The source is that of the first mount of the share; whether the directory that it names is in the root, too,
        // depends on what the server allows. One of the two is the path in the share.
        return slash < 0
                ? keys
                : keys.and(cifs(source.group(1), mount, name.substring(0, slash) + "/" + inside).keys().stream()
                        .map(key -> key.as(Role.ALIAS))
                        .toList());
    }

    /** Servers of this protocol do not tell upper from lower case. */
    private Keys cifs(String server, Mount mount, String path) {
        return served(
                "cifs", server, mount, "/" + NetworkIdentity.cleanPath(path).toLowerCase(Locale.ROOT));
    }

    /**
     * One server has many names and addresses. Two hosts that mount it by different names mostly reach one address, and those that reach
     * different addresses mostly use one name: each takes both.
     */
    private Keys served(String protocol, String server, Mount mount, String path) {
        List<String> servers = new ArrayList<>(List.of(ServerName.of(server)));
        mount.option("addr").map(ServerName::of).ifPresent(servers::add);
        if (servers.stream().anyMatch(HostNames::isLoopback)) {
            servers.removeIf(HostNames::isLoopback);
            servers.addAll(new HostNames(facts).all());
        }
        if (servers.isEmpty()) {
            servers.add(ServerName.of(server));
        }
        List<LeaseKey> keys = servers.stream()
                .distinct()
                .map(name -> LeaseKey.of(protocol, protocol + ":" + name + path))
                .toList();
        return Keys.of(keys.get(0))
                .and(keys.stream().skip(1).map(key -> key.as(Role.ALIAS)).toList());
    }

    private Finding ceph(Mount mount, String inside) {
        Matcher byFsid = CEPH_BY_FSID.matcher(mount.source());
        Matcher byMonitors = CEPH_BY_MONITORS.matcher(mount.source());
        if (byFsid.matches()) {
            return ceph(clusters.ceph().prefixes(byFsid.group(1), List.of()), byFsid.group(2) + "/" + inside);
        }
        if (byMonitors.matches()) {
            List<String> monitors = List.of(byMonitors.group(1).split(","));
            return ceph(clusters.ceph().prefixes("", monitors), byMonitors.group(2) + "/" + inside);
        }
        return new Unidentified("its CephFS mount does not say which directory it is of");
    }

    /** The file system's own name is left out: older mounts do not tell it. */
    private static Keys ceph(List<String> prefixes, String path) {
        return Keys.inAny(
                "cephfs", prefixes, NetworkIdentity.cleanPath(path), "its Ceph cluster is not told by ceph_clusters");
    }

    /** Only its process knows which directory it shows; what it was told to mount on need not be where this path goes through. */
    private Finding cephFuse(Mount mount, String inside) {
        Set<String> points =
                mounts.ofDevice(mount.device()).stream().map(Mount::point).collect(Collectors.toSet());
        List<Keys> found = new ArrayList<>();
        for (String pid : facts.names("/proc")) {
            if (!pid.chars().allMatch(Character::isDigit)) {
                continue;
            }
            List<String> words =
                    List.of(facts.text("/proc/" + pid + "/cmdline").orElse("").split("\0"));
            if (words.get(0).endsWith("ceph-fuse") && words.stream().anyMatch(word -> isOneOf(points, word))) {
                found.add(ceph(clusters.ceph().prefixes("", cephFuseWords(words)), cephFuseRoot(words) + "/" + inside));
            }
        }
        // One may be a left-over of an earlier mount at the same place.
        return found.stream()
                .reduce((one, other) -> one.and(
                        other.keys().stream().map(key -> key.as(Role.ALIAS)).toList()))
                .<Finding>map(keys -> keys)
                .orElseGet(
                        () -> new Unidentified("its ceph-fuse process is not found, which alone knows the directory"));
    }

    private boolean isOneOf(Set<String> points, String word) {
        return word.startsWith("/")
                && (points.contains(word)
                        || points.contains(new PathWalk(facts).to(word).real()));
    }

    private String cephFuseRoot(List<String> words) {
        return after(words, "-r", "--client_mountpoint", "--client-mountpoint")
                .or(() -> facts.text(after(words, "-c", "--conf").orElse("/etc/ceph/ceph.conf"))
                        .map(CEPH_MOUNT_POINT::matcher)
                        .filter(Matcher::find)
                        .map(found -> found.group(1)))
                .orElse("/");
    }

    private static List<String> cephFuseWords(List<String> words) {
        List<String> named = new ArrayList<>();
        after(words, "-m", "--mon_host", "--mon-host")
                .ifPresent(monitors -> named.addAll(List.of(monitors.split(","))));
        after(words, "-c", "--conf").ifPresent(named::add);
        return named;
    }

    private static Optional<String> after(List<String> words, String... options) {
        for (int i = 1; i < words.size(); i++) {
            for (String option : options) {
                if (words.get(i).equals(option) && i + 1 < words.size()) {
                    return Optional.of(words.get(i + 1));
                }
                if (words.get(i).startsWith(option + "=")) {
                    return Optional.of(words.get(i).substring(option.length() + 1));
                }
            }
        }
        return Optional.empty();
    }

    /** The same words as for a disk that QEMU reaches by GlusterFS itself. */
    private Finding gluster(Mount mount, String inside) {
        Matcher source = GLUSTER_SOURCE.matcher(mount.source());
        return source.matches()
                ? NetworkIdentity.gluster(
                        clusters.gluster(),
                        List.of(source.group(1)),
                        NetworkIdentity.cleanPath(source.group(2) + "/" + inside))
                : new Unidentified("its GlusterFS mount does not say of which volume it is");
    }

    private static Finding byLastPart(String kind, Mount mount, String inside) {
        int colon = mount.source().lastIndexOf(":/");
        return colon < 0
                ? new Unidentified("its " + kind + " mount does not say of which file system it is")
                : named(kind, NetworkIdentity.cleanPath(mount.source().substring(colon + 1) + "/" + inside));
    }

    /**
     * A file system on a block device, also one that several hosts mount (GFS2, OCFS2), or one after the other. Images of machines are
     * copied with their UUIDs, so that two hosts' own disks can have one: then equal paths are one name, which refuses too much.
     */
    private Finding local(Mount mount, String inside) {
        if (IN_MEMORY.contains(mount.type())) {
            return new Unidentified("it is in this host's memory (" + mount.type() + ")");
        }
        Optional<String> uuid = devices.fileSystemUuid(mount.device());
        if (uuid.isEmpty() && mount.source().startsWith("/dev/")) {
            uuid = devices.at(mount.source()).flatMap(devices::fileSystemUuid);
        }
        if (uuid.isEmpty()) {
            return new Unidentified("its file system (" + mount.type() + ") has no UUID that this host knows");
        }
        Keys keys = Keys.of(LeaseKey.of("fs", "fs:" + uuid.get() + inside));
        if (WITHOUT_CASE.contains(mount.type())) {
            String lower = "fs:" + uuid.get() + inside.toLowerCase(Locale.ROOT);
            keys = keys.and(List.of(LeaseKey.of("fs", lower).as(Role.ALIAS)));
        }
        return keys.and(new NfsExports(facts, mounts).aliases(mount, inside));
    }
}
