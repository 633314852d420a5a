/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Reads one {@code <source>}, wherever it stands: of a disk, of a backing image, of firmware variables. */
final class SourceXml {

    /** Says how to reach the blocks, or with which secret, not which blocks. */
    private static final Set<String> NOT_IDENTITY = Set.of(
            "auth",
            "cookies",
            "dataStore",
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

    /** What {@code <disk type=…>} can be. */
    private static final Set<String> TYPES =
            Set.of("file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa");

    private final XmlCursor cursor;
    private final String type;
    private final List<DiskSource> dataFiles = new ArrayList<>();

    private SourceXml(XmlCursor cursor, String type) {
        this.cursor = cursor;
        this.type = type;
    }

    /** The source the cursor stands on, of the type that its parent says. */
    static DiskSource read(XmlCursor cursor, String type) throws DomainXmlException {
        return new SourceXml(cursor, type).source();
    }

    /** As {@link #read(XmlCursor, String)}; data files kept outside of a qcow2 image are added to {@code dataFiles}. */
    static DiskSource read(XmlCursor cursor, String type, List<DiskSource> dataFiles) throws DomainXmlException {
        SourceXml reading = new SourceXml(cursor, type);
        DiskSource source = reading.source();
        dataFiles.addAll(reading.dataFiles);
        return source;
    }

    /** What a disk without a {@code <source>} has: no medium, if it is of a type that would need one to say what it is. */
    static DiskSource none(String type) {
        return TYPES.contains(type) ? new DiskSource.Empty() : new DiskSource.Unknown(type, new TreeMap<>());
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
            dataStore();
        }
        return path.isEmpty() ? new DiskSource.Empty() : kind.apply(path);
    }

    /** The child that the cursor stands on, if it is where an image keeps its data. */
    private void dataStore() throws DomainXmlException {
        if (cursor.name().equals("dataStore")) {
            ImageXml.read(cursor).top().map(ImageSpec::source).ifPresent(dataFiles::add);
        }
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
                snapshot = nullIfEmpty(cursor.attribute("name"));
            } else if (cursor.name().equals("config") && config == null) {
                config = nullIfEmpty(cursor.attribute("file"));
            } else {
                dataStore();
            }
        }
        return protocol.isEmpty() && name.isEmpty()
                ? new DiskSource.Empty()
                : new DiskSource.Network(protocol, name, hosts, snapshot, config);
    }

    /** libvirt takes an empty word for one that is missing: an image is no snapshot because of it. */
    private static @Nullable String nullIfEmpty(@Nullable String text) {
        return text == null || text.isEmpty() ? null : text;
    }

    private DiskSource volume() throws DomainXmlException {
        String pool = cursor.attribute("pool", "");
        String volume = cursor.attribute("volume", "");
        String mode = cursor.attribute("mode");
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            dataStore();
        }
        return pool.isEmpty() && volume.isEmpty() ? new DiskSource.Empty() : new DiskSource.Volume(pool, volume, mode);
    }

    /** What stands there twice is sorted: the order of elements is no part of what a disk is. */
    private DiskSource unknown() throws DomainXmlException {
        SortedMap<String, SortedSet<String>> said = new TreeMap<>();
        cursor.attributes().forEach((name, value) -> said.put(name, new TreeSet<>(Set.of(value))));
        said.remove("index");
        said.remove("startupPolicy");
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            String child = cursor.name();
            if (NOT_IDENTITY.contains(child)) {
                dataStore();
                continue;
            }
            cursor.attributes()
                    .forEach((name, value) -> said.computeIfAbsent(child + "@" + name, key -> new TreeSet<>())
                            .add(value));
            String text = cursor.text().strip();
            if (!text.isEmpty()) {
                said.computeIfAbsent(child, key -> new TreeSet<>()).add(text);
            }
        }
        SortedMap<String, String> all = new TreeMap<>();
        said.forEach((name, values) -> all.put(name, String.join(",", values)));
        return new DiskSource.Unknown(type, all);
    }
}
