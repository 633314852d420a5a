/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads one image that is no disk of its own: a {@code <backingStore>} with all that is below it, or a {@code <mirror>}. */
final class ImageXml {

    private final XmlCursor cursor;
    private final List<ImageSpec> below = new ArrayList<>();
    private final List<DiskSource> dataFiles = new ArrayList<>();
    private String format;
    private String index;
    private boolean ended;
    private @Nullable DiskSource source;

    private ImageXml(XmlCursor cursor) {
        this.cursor = cursor;
        this.format = cursor.attribute("format", "");
        this.index = cursor.attribute("index", ""); // of a backing image; others have it in their source
    }

    /** The image that the cursor stands on. */
    static ImageXml read(XmlCursor cursor) throws DomainXmlException {
        ImageXml image = new ImageXml(cursor);
        image.read();
        return image;
    }

    private void read() throws DomainXmlException {
        String type = cursor.attribute("type", "file");
        String file = cursor.attribute("file"); // how old versions write a <mirror>
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "format" -> format = cursor.attribute("type", format);
                case "source" -> {
                    if (source == null) {
                        index = cursor.attribute("index", index);
                        source = SourceXml.read(cursor, type, dataFiles);
                    }
                }
                case "backingStore" -> {
                    ImageXml next = read(cursor);
                    below.addAll(next.images());
                    ended = next.ended();
                }
                default -> {
                    // How it is read, not which image it is.
                }
            }
        }
        if (source == null && file != null && !file.isEmpty()) {
            source = new DiskSource.File(file);
        }
    }

    /** This one without what is below it; empty for {@code <backingStore/>}, which ends a chain. */
    Optional<ImageSpec> top() {
        return source == null ? Optional.empty() : Optional.of(new ImageSpec(source, format, index, dataFiles));
    }

    /** What is below it, from the top down. */
    List<ImageSpec> below() {
        return below;
    }

    /** This one and what is below it. */
    List<ImageSpec> images() {
        List<ImageSpec> images = new ArrayList<>();
        top().ifPresent(images::add);
        images.addAll(below);
        return images;
    }

    /** Whether the XML says where the chain ends. */
    boolean ended() {
        return source == null || ended;
    }
}
