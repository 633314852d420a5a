/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/**
 * One image of a disk beside its first one, as written.
 *
 * @param source where its blocks are
 * @param format as in {@code <format type=…>}, for instance {@code qcow2}; empty if the XML does not say
 * @param index libvirt's number of it in a running domain, by which block jobs name it; empty if it has none
 */
public record ImageSpec(DiskSource source, String format, String index) {

    /** One that no XML of a running domain names. */
    public ImageSpec(DiskSource source, String format) {
        this(source, format, "");
    }
}
