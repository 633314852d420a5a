/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.List;

/**
 * The images of one disk beside the one in its {@code <source>}.
 *
 * @param format of the image in {@code <source>}, as in {@code <driver type=…>}; empty if the XML does not say
 * @param dataFiles where the data of that image is, if the XML says that this is outside of it
 * @param backing backing images from the top down, as far as the XML names them
 * @param ended the XML says that the last of them (the top, if there is none) has no backing image
 * @param written images that a running block job writes
 * @param read backing images of these
 */
public record ImageChain(
        String format,
        List<DiskSource> dataFiles,
        List<ImageSpec> backing,
        boolean ended,
        List<ImageSpec> written,
        List<ImageSpec> read) {

    /** What a disk has of which nothing is known but its source. */
    public static final ImageChain NONE = new ImageChain("", List.of(), List.of(), false, List.of(), List.of());

    public ImageChain {
        dataFiles = List.copyOf(dataFiles);
        backing = List.copyOf(backing);
        written = List.copyOf(written);
        read = List.copyOf(read);
    }

    /** The same with other images that are written. */
    ImageChain writing(List<ImageSpec> images) {
        return new ImageChain(format, dataFiles, backing, ended, images, read);
    }
}
