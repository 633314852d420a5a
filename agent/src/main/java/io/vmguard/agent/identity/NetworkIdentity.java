/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import io.vmguard.agent.identity.Identity.Known;
import io.vmguard.agent.identity.Identity.Refused;
import io.vmguard.agent.identity.Identity.Unneeded;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Identity of network disks: the protocol and the name of the image in its store. The hosts of a cluster are only a way
 * in, may be listed in any order, or not at all, and are left out; for NBD, SSH and NFS the server <em>is</em> the store.
 */
final class NetworkIdentity {

    /** Protocols whose server is part of the identity. */
    private static final Set<String> BY_SERVER = Set.of("nbd", "ssh", "nfs");

    private static final int NBD_PORT = 10809;
    private static final int SSH_PORT = 22;
    private static final Pattern LUN_ZEROS = Pattern.compile("^0+(?=[0-9]+$)");

    private NetworkIdentity() {}

    /** @param clusters that are told apart */
    static Identity of(DiskSource.Network source, StorageClusters clusters) {
        String protocol = source.protocol().toLowerCase(Locale.ROOT);
        return switch (protocol) {
            case "" -> new Refused("the network source names no protocol");
            case "http", "https", "ftp", "ftps", "tftp" -> new Unneeded(protocol + " is a read-only protocol");
            case "rbd" -> rbd(source, clusters.ceph());
            case "iscsi" -> named(protocol, iscsi(source.name()));
            case "gluster" -> gluster(source, clusters.gluster());
            case "vxhs" -> named(protocol, source.name().toLowerCase(Locale.ROOT));
            case "nbd" -> nbd(source);
            case "ssh" -> ssh(source);
            case "nfs" -> onServer(protocol, ServerName.withoutPort(source.hosts()), source);
            case "sheepdog", "vhost-scsi" -> named(protocol, nameOrServers(source));
            // What a newer libvirt adds: whatever it is, two writers of one name are kept apart.
            default ->
                named(protocol, nameOrServers(source)) instanceof Known known
                        ? new Known(
                                known.keys(),
                                Optional.of(
                                        "protocol " + protocol + " is not known to this version of vmguard: its name as"
                                                + " written is its identity"),
                                Optional.empty())
                        : new Refused("the " + protocol + " source names no image");
        };
    }

    /**
     * As {@link #of(DiskSource.Network, StorageClusters)} on a host: a server that is this very host has other names for others.
     *
     * @param facts of the host
     */
    static Identity of(DiskSource.Network source, StorageClusters clusters, StorageFacts facts) {
        Identity identity = of(source, clusters);
        boolean here = source.hosts().stream().anyMatch(NetworkIdentity::isThisHost);
        if (!(identity instanceof Known known)
                || !here
                || !BY_SERVER.contains(source.protocol().toLowerCase(Locale.ROOT))) {
            return identity;
        }
        Finding.Keys keys = new Finding.Keys(known.keys(), known.note());
        for (String name : new HostNames(facts).all()) {
            List<NetworkHost> hosts = source.hosts().stream()
                    .map(host -> isThisHost(host) ? NetworkHost.tcp(name, host.port()) : host)
                    .toList();
            Identity outside = of(
                    new DiskSource.Network(source.protocol(), source.name(), hosts, source.snapshot(), source.config()),
                    clusters);
            keys = outside instanceof Known more
                    ? keys.and(more.keys().stream()
                            .map(key -> key.as(LeaseKey.Role.ALIAS))
                            .toList())
                    : keys;
        }
        return known(keys);
    }

    private static boolean isThisHost(NetworkHost host) {
        return !ServerName.isUnix(host) && HostNames.isLoopback(host.name());
    }

    private static String nameOrServers(DiskSource.Network source) {
        return source.name().isEmpty() ? ServerName.withoutPort(source.hosts()) : source.name();
    }

    private static Identity rbd(DiskSource.Network source, Clusters clusters) {
        RbdImage image = RbdImage.parse(source.name());
        if (image.path().isEmpty()) {
            return new Refused("the rbd source does not name POOL/IMAGE");
        }
        List<String> words = new ArrayList<>(image.clusterWords());
        source.hosts().stream()
                .map(NetworkHost::name)
                .filter(name -> !name.isEmpty())
                .forEach(words::add);
        if (source.config() != null) {
            words.add(source.config());
        }
        return source.snapshot() != null || image.snapshot()
                ? new Unneeded("read-only snapshot")
                : rbd(clusters.prefixes("", words), image.path());
    }

    /** An image that may be in any of several clusters is protected by the names that it has in each of them. */
    static Identity rbd(List<String> clusterPrefixes, String path) {
        return known(Finding.Keys.inAny("rbd", clusterPrefixes, path, "its Ceph cluster is not told by ceph_clusters"));
    }

    private static Known known(Finding.Keys keys) {
        return new Known(keys.keys(), keys.note(), Optional.empty());
    }

    private static Identity gluster(DiskSource.Network source, Clusters clusters) {
        String path = cleanPath(source.name());
        List<String> servers = source.hosts().stream()
                .map(NetworkHost::name)
                .filter(name -> !name.isEmpty())
                .toList();
        return path.isEmpty() ? named("gluster", path) : known(gluster(clusters, servers, path));
    }

    /** What QEMU reaches by GlusterFS itself, and what is mounted. */
    static Finding.Keys gluster(Clusters clusters, List<String> servers, String path) {
        return Finding.Keys.inAny(
                "gluster",
                clusters.prefixes("", servers),
                path,
                "its GlusterFS servers are not told by gluster_clusters");
    }

    /** IQN/LUN: the IQN does not depend on case (RFC 3722), the LUN is a number and 0 if missing. */
    static String iscsi(String name) {
        int slash = name.indexOf('/');
        String iqn = (slash < 0 ? name : name.substring(0, slash)).toLowerCase(Locale.ROOT);
        String lun = slash < 0 ? "" : name.substring(slash + 1);
        if (iqn.isEmpty()) {
            return "";
        }
        return iqn + "/" + (lun.isEmpty() ? "0" : LUN_ZEROS.matcher(lun).replaceFirst(""));
    }

    private static Identity nbd(DiskSource.Network source) {
        if (!ServerName.isNamed(source.hosts())) {
            return new Refused("the nbd source names no server");
        }
        String export = source.name().isEmpty() ? "" : "/" + source.name();
        if (source.hosts().size() == 1 && ServerName.isUnix(source.hosts().get(0))) {
            NetworkHost only = source.hosts().get(0);
            return lease("nbd", "nbd+unix:" + only.socket() + export);
        }
        Identity identity = lease("nbd", "nbd:" + ServerName.withPort(source.hosts(), NBD_PORT) + export);
        // The export that has no name is told by its port alone.
        return export.isEmpty()
                ? identity
                : byAnyPort(identity, lease("nbd", "nbd:" + ServerName.withoutPort(source.hosts()) + export));
    }

    private static Identity ssh(DiskSource.Network source) {
        return byAnyPort(
                onServer("ssh", ServerName.withPort(source.hosts(), SSH_PORT), source),
                onServer("ssh", ServerName.withoutPort(source.hosts()), source));
    }

    /** One server may answer on several ports: what it calls by one name is one disk. */
    private static Identity byAnyPort(Identity identity, Identity withoutPort) {
        if (!(identity instanceof Known known) || !(withoutPort instanceof Known alias)) {
            return identity;
        }
        List<LeaseKey> keys = new ArrayList<>(known.keys());
        alias.keys().forEach(key -> keys.add(key.as(LeaseKey.Role.ALIAS)));
        return new Known(keys, known.note(), Optional.empty());
    }

    private static Identity onServer(String protocol, String server, DiskSource.Network source) {
        String path = cleanPath(source.name());
        if (!ServerName.isNamed(source.hosts()) || path.isEmpty()) {
            return new Refused("the " + protocol + " source does not name a server and a path");
        }
        return lease(protocol, protocol + ":" + server + "/" + path);
    }

    private static Identity named(String protocol, String name) {
        return name.isEmpty()
                ? new Refused("the " + protocol + " source names no image")
                : lease(protocol, protocol + ":" + name);
    }

    private static Identity lease(String protocol, String identity) {
        return new Known(List.of(LeaseKey.of(protocol, identity)), Optional.empty(), Optional.empty());
    }

    /** The path without slashes at its ends, double slashes, {@code .} and, as far as can be told from here, {@code ..}. */
    static String cleanPath(String path) {
        Deque<String> parts = new ArrayDeque<>();
        for (String part : path.split("/")) {
            if (part.equals("..")) {
                parts.pollLast();
            } else if (!part.isEmpty() && !part.equals(".")) {
                parts.addLast(part);
            }
        }
        return String.join("/", parts);
    }
}
