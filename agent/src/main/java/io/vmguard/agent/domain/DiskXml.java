/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Reads one {@code <disk>}. Only its direct children count: the {@code <source>} of a backing image or of a running
 * block job belongs to another image.
 */
final class DiskXml {

    /** Says how to reach the blocks, or with which secret, not which blocks. */
    private static final Set<String> NOT_IDENTITY = Set.of(
            "auth",
            "cookies",
            "encryption",
            "host",
            "privateData",
            "readahead",
            "reconnect",
            "reservations",
            "seclabel",
            "slices",
            "ssl",
            "timeout");

    private final XmlCursor cursor;
    private final String type;
    private final String device;
    private @Nullable String target;
    private @Nullable DiskSource source;
    private boolean readOnly;
    private boolean shareable;
    private boolean discardsWrites;

    private DiskXml(XmlCursor cursor) {
        this.cursor = cursor;
        this.type = cursor.attribute("type", "file");
        this.device = cursor.attribute("device", "disk");
    }

    /** The disk the cursor stands on; {@code position}, from 1, names it if it has no target. */
    static DiskSpec read(XmlCursor cursor, int position) throws DomainXmlException {
        return new DiskXml(cursor).read(position);
    }

    private DiskSpec read(int position) throws DomainXmlException {
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "source" -> source = source == null ? source() : source;
                case "target" -> target = target == null ? cursor.attribute("dev") : target;
                case "readonly" -> readOnly = true;
                case "shareable" -> shareable = true;
                case "transient" -> discardsWrites = true;
                default -> {
                    // Driver, address, serial and the like do not change which blocks are written.
                }
            }
        }
        return new DiskSpec(
                target == null || target.isEmpty() ? "disk #" + position : target,
                device,
                readOnly,
                shareable,
                discardsWrites,
                source == null ? new DiskSource.Empty() : source);
    }

    private DiskSource source() throws DomainXmlException {
        return switch (type) {
            case "file" -> path("file", DiskSource.File::new);
            case "block" -> path("dev", DiskSource.Block::new);
            case "dir" -> path("dir", DiskSource.Directory::new);
            case "network" -> network();
            case "volume" -> volume();
            case "nvme" -> new DiskSource.Nvme();
            case "vhostuser" -> new DiskSource.VhostUser(cursor.attribute("path", ""));
            case "vhostvdpa" -> new DiskSource.VhostVdpa(cursor.attribute("dev", ""));
            default -> unknown();
        };
    }

    private DiskSource path(String attribute, Function<String, DiskSource> kind) {
        String path = cursor.attribute(attribute, "");
        return path.isEmpty() ? new DiskSource.Empty() : kind.apply(path);
    }

    private DiskSource network() throws DomainXmlException {
        String protocol = cursor.attribute("protocol", "");
        String name = cursor.attribute("name", "");
        String snapshot = null;
        List<NetworkHost> hosts = new ArrayList<>();
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("host")) {
                hosts.add(new NetworkHost(
                        cursor.attribute("name", ""),
                        cursor.attribute("port", ""),
                        cursor.attribute("transport", "tcp"),
                        cursor.attribute("socket", "")));
            } else if (cursor.name().equals("snapshot") && snapshot == null) {
                snapshot = cursor.attribute("name");
            }
        }
        return protocol.isEmpty() && name.isEmpty()
                ? new DiskSource.Empty()
                : new DiskSource.Network(protocol, name, hosts, snapshot);
    }

    private DiskSource volume() {
        String pool = cursor.attribute("pool", "");
        String volume = cursor.attribute("volume", "");
        return pool.isEmpty() && volume.isEmpty()
                ? new DiskSource.Empty()
                : new DiskSource.Volume(pool, volume, cursor.attribute("mode"));
    }

    private DiskSource unknown() throws DomainXmlException {
        SortedMap<String, String> all = new TreeMap<>(cursor.attributes());
        all.remove("index");
        all.remove("startupPolicy");
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            String child = cursor.name();
            if (!NOT_IDENTITY.contains(child)) {
                cursor.attributes().forEach((name, value) -> all.put(child + "@" + name, value));
                String text = cursor.text().strip();
                if (!text.isEmpty()) {
                    all.put(child, text);
                }
            }
        }
        return new DiskSource.Unknown(type, all);
    }
}
