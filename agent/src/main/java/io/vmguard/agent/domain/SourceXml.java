/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;

/** Reads one {@code <source>}, wherever it stands: of a disk, of a backing image, of firmware variables. */
final class SourceXml {

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
    private final List<ImageSpec> dataFiles = new ArrayList<>();

    private SourceXml(XmlCursor cursor, String type) {
        this.cursor = cursor;
        this.type = type;
    }

    /** The source the cursor stands on, of the type that its parent says. */
    static DiskSource read(XmlCursor cursor, String type) throws DomainXmlException {
        return new SourceXml(cursor, type).source();
    }

    /** As {@link #read(XmlCursor, String)}; data files kept outside of a qcow2 image are added to {@code dataFiles}. */
    static DiskSource read(XmlCursor cursor, String type, List<ImageSpec> dataFiles) throws DomainXmlException {
        SourceXml reading = new SourceXml(cursor, type);
        DiskSource source = reading.source();
        dataFiles.addAll(reading.dataFiles);
        return source;
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

    private DiskSource path(String attribute, Function<String, DiskSource> kind) throws DomainXmlException {
        String path = cursor.attribute(attribute, "");
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("dataStore")) {
                ImageXml image = ImageXml.read(cursor);
                dataFiles.addAll(image.images());
            }
        }
        return path.isEmpty() ? new DiskSource.Empty() : kind.apply(path);
    }

    private DiskSource network() throws DomainXmlException {
        String protocol = cursor.attribute("protocol", "");
        String name = cursor.attribute("name", "");
        String snapshot = null;
        String config = null;
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
            } else if (cursor.name().equals("config") && config == null) {
                config = cursor.attribute("file");
            }
        }
        return protocol.isEmpty() && name.isEmpty()
                ? new DiskSource.Empty()
                : new DiskSource.Network(protocol, name, hosts, snapshot, config);
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
