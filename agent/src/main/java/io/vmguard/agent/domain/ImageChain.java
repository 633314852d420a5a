/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.List;

/**
 * The images of one disk beside the one in its {@code <source>}.
 *
 * @param format of the image in {@code <source>}, as in {@code <driver type=…>}; empty if the XML does not say
 * @param backing backing images from the top down, as far as the XML names them
 * @param ended the XML says that the last of them (the top, if there is none) has no backing image
 * @param written images that are written beside it: the target of a running block job, the data file of a qcow2 image
 */
public record ImageChain(String format, List<ImageSpec> backing, boolean ended, List<ImageSpec> written) {

    /** What a disk has of which nothing is known but its source. */
    public static final ImageChain NONE = new ImageChain("", List.of(), false, List.of());

    public ImageChain {
        backing = List.copyOf(backing);
        written = List.copyOf(written);
    }
}
