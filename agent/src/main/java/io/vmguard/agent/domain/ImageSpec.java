/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.List;

/**
 * One image of a disk beside its first one, as written.
 *
 * @param source where its blocks are
 * @param format as in {@code <format type=…>}, for instance {@code qcow2}; empty if the XML does not say
 * @param index libvirt's number of it in a running domain, by which block jobs name it; empty if it has none
 * @param dataFiles where its data is, if the XML says that this is outside of it: written like the image, or read like it
 */
public record ImageSpec(DiskSource source, String format, String index, List<DiskSource> dataFiles) {
    public ImageSpec {
        dataFiles = List.copyOf(dataFiles);
    }

    /** One that no XML of a running domain names. */
    public ImageSpec(DiskSource source, String format) {
        this(source, format, "", List.of());
    }
}
