/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.Optional;

/**
 * A lease that a domain needs.
 *
 * @param target the disk in the guest, for instance {@code vda}, or what else the lease is for
 * @param mode how it excludes others
 * @param identity what is protected, the same on every host, for instance {@code rbd:rbd/vm1}; may hold any character a
 *     path can hold
 * @param resource name of the lease on disk: 1 to 48 bytes, of {@code [a-z0-9-]} unless a {@code <lease>} names it
 * @param role what the domain uses it for: {@link #DISK} and the others
 * @param note for people: what could not be found out about it
 */
public record DiskLease(
        String target, LeaseMode mode, String identity, String resource, String role, Optional<String> note) {

    /** The role of a {@code <disk>}. */
    public static final String DISK = "disk";

    /** Of an image below it, or the data file of one. */
    public static final String BACKING = "backing";

    /** Of the image that a block job writes, or the file with a qcow2 image's data. */
    public static final String WRITTEN = "written";

    /** Of the same image by a name that other hosts may have for it. */
    public static final String ALIAS = "alias";

    /** Of the same image by the name that hosts with libvirt's sanlock plug-in have for it. */
    public static final String COMPAT = "compat";

    /** Of the device that it is a part of. */
    public static final String WHOLE = "whole";

    /** Of the domain itself. */
    public static final String DOMAIN = "domain";

    /** Of a {@code <lease>} element. */
    public static final String LEASE = "lease";

    public DiskLease(String target, LeaseMode mode, String identity, String resource, String role) {
        this(target, mode, identity, resource, role, Optional.empty());
    }

    /** For messages to people: {@code vda (rbd:rbd/vm1)}, on one line whatever the identity holds. */
    public String label() {
        String what = role.equals(BACKING) ? target + " backing image" : target;
        return OneLine.of(what) + " (" + OneLine.of(identity) + ")";
    }
}
