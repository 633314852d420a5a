/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/**
 * One {@code <disk>} of a domain, as written: nothing is normalised, no default port is filled in.
 *
 * @param target the name in the guest ({@code vda}), or {@code disk #3} for the third disk if it has none
 * @param device {@code disk}, {@code lun}, {@code cdrom}, {@code floppy}, or a word of a newer libvirt
 * @param readOnly {@code <readonly/>} is present
 * @param shareable {@code <shareable/>} is present
 * @param discardsWrites {@code <transient/>} is present
 * @param source where its blocks are
 * @param optional libvirt may start the domain without this medium ({@code startupPolicy})
 * @param chain its other images
 * @param alias libvirt's name of the device in a running domain; empty in others
 */
public record DiskSpec(
        String target,
        String device,
        boolean readOnly,
        boolean shareable,
        boolean discardsWrites,
        DiskSource source,
        boolean optional,
        ImageChain chain,
        String alias) {

    /** The same disk with another chain. */
    DiskSpec with(ImageChain other) {
        return new DiskSpec(target, device, readOnly, shareable, discardsWrites, source, optional, other, alias);
    }

    /** A disk of which nothing is known but its source. */
    public DiskSpec(
            String target,
            String device,
            boolean readOnly,
            boolean shareable,
            boolean discardsWrites,
            DiskSource source) {
        this(target, device, readOnly, shareable, discardsWrites, source, false, ImageChain.NONE, "");
    }
}
