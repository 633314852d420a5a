/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.derive.Protection.Impossible;
import io.vmguard.agent.derive.Protection.Lease;
import io.vmguard.agent.derive.Protection.NotNeeded;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Identity of network disks: the protocol and the name of the image in its store. The hosts of a cluster are only a way
 * in, may be listed in any order, or not at all, and are left out; for NBD, SSH and NFS the server <em>is</em> the store.
 */
final class NetworkProtection {

    private static final int NBD_PORT = 10809;
    private static final int SSH_PORT = 22;
    private static final Pattern LUN_ZEROS = Pattern.compile("^0+(?=[0-9]+$)");

    private NetworkProtection() {}

    static Protection of(DiskSource.Network source) {
        String protocol = source.protocol().toLowerCase(Locale.ROOT);
        return switch (protocol) {
            case "" -> new Impossible("the network source names no protocol");
            case "http", "https", "ftp", "ftps", "tftp" -> new NotNeeded(protocol + " is a read-only protocol");
            case "rbd" -> rbd(source);
            case "iscsi" -> named(protocol, iscsi(source.name()));
            case "gluster" -> named(protocol, cleanPath(source.name()));
            case "vxhs" -> named(protocol, source.name().toLowerCase(Locale.ROOT));
            case "nbd" -> nbd(source);
            case "ssh" -> onServer(protocol, ServerName.withPort(source.hosts(), SSH_PORT), source);
            case "nfs" -> onServer(protocol, ServerName.withoutPort(source.hosts()), source);
            // Sheepdog, and what a newer libvirt adds: whatever it is, two writers of one name are kept apart.
            default ->
                named(protocol, source.name().isEmpty() ? ServerName.withoutPort(source.hosts()) : source.name());
        };
    }

    private static Protection rbd(DiskSource.Network source) {
        RbdImage image = RbdImage.parse(source.name());
        if (image.path().isEmpty()) {
            return new Impossible("the rbd source does not name POOL/IMAGE");
        }
        return source.snapshot() != null || image.snapshot()
                ? new NotNeeded("read-only snapshot")
                : named("rbd", image.path());
    }

    /** IQN/LUN: the IQN does not depend on case (RFC 3722), the LUN is a number and 0 if missing. */
    private static String iscsi(String name) {
        int slash = name.indexOf('/');
        String iqn = (slash < 0 ? name : name.substring(0, slash)).toLowerCase(Locale.ROOT);
        String lun = slash < 0 ? "" : name.substring(slash + 1);
        if (iqn.isEmpty()) {
            return "";
        }
        return iqn + "/" + (lun.isEmpty() ? "0" : LUN_ZEROS.matcher(lun).replaceFirst(""));
    }

    private static Protection nbd(DiskSource.Network source) {
        if (!ServerName.isNamed(source.hosts())) {
            return new Impossible("the nbd source names no server");
        }
        String export = source.name().isEmpty() ? "" : "/" + source.name();
        if (source.hosts().size() == 1 && ServerName.isUnix(source.hosts().get(0))) {
            NetworkHost only = source.hosts().get(0);
            return lease("nbd", "nbd+unix:" + only.socket() + export);
        }
        return lease("nbd", "nbd:" + ServerName.withPort(source.hosts(), NBD_PORT) + export);
    }

    private static Protection onServer(String protocol, String server, DiskSource.Network source) {
        String path = cleanPath(source.name());
        if (!ServerName.isNamed(source.hosts()) || path.isEmpty()) {
            return new Impossible("the " + protocol + " source does not name a server and a path");
        }
        return lease(protocol, protocol + ":" + server + "/" + path);
    }

    private static Protection named(String protocol, String name) {
        return name.isEmpty()
                ? new Impossible("the " + protocol + " source names no image")
                : lease(protocol, protocol + ":" + name);
    }

    private static Protection lease(String protocol, String identity) {
        return new Lease(identity, ResourceName.ofIdentity(protocol, identity));
    }

    /** The path without slashes at its ends, double slashes, {@code .} and, as far as can be told from here, {@code ..}. */
    private static String cleanPath(String path) {
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
