/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads one {@code <disk>}. Only its direct children say what it is; backing images and running block jobs are images of their own. */
final class DiskXml {

    private final XmlCursor cursor;
    private final String type;
    private final String device;
    private final List<ImageSpec> backing = new ArrayList<>();
    private final List<DiskSource> dataFiles = new ArrayList<>();
    private final List<ImageSpec> written = new ArrayList<>();
    private final List<ImageSpec> read = new ArrayList<>();
    private @Nullable String target;
    private @Nullable DiskSource source;
    private String format = "";
    private String alias = "";
    private boolean ended;
    private boolean optional;
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
                case "driver" -> format = cursor.attribute("type", "");
                case "backingStore" -> {
                    ImageXml below = ImageXml.read(cursor);
                    backing.addAll(below.images());
                    ended = below.ended();
                }
                case "mirror" -> {
                    ImageXml mirror = ImageXml.read(cursor);
                    mirror.top().ifPresent(written::add);
                    read.addAll(mirror.below());
                }
                case "target" -> target = target == null ? cursor.attribute("dev") : target;
                case "alias" -> alias = cursor.attribute("name", "");
                case "readonly" -> readOnly = true;
                case "shareable" -> shareable = true;
                case "transient" -> discardsWrites = true;
                default -> {
                    // Address, serial and the like do not change which blocks are written.
                }
            }
        }
        return new DiskSpec(
                target == null || target.isEmpty() ? "disk #" + position : target,
                device,
                readOnly,
                shareable,
                discardsWrites,
                source == null ? SourceXml.none(type) : source,
                optional,
                new ImageChain(format, dataFiles, backing, ended, written, read),
                alias);
    }

    private DiskSource source() throws DomainXmlException {
        String policy = cursor.attribute("startupPolicy", "mandatory");
        optional = policy.equals("optional") || policy.equals("requisite");
        return SourceXml.read(cursor, type, dataFiles);
    }
}
