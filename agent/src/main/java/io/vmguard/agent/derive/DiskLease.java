/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

/**
 * A lease that a domain needs.
 *
 * @param target the disk in the guest, for instance {@code vda}
 * @param mode how it excludes others
 * @param identity what is protected, the same on every host, for instance {@code rbd:rbd/vm1}; may hold any character a
 *     path can hold
 * @param resource name of the lease on disk: 1 to 48 bytes of {@code [a-z0-9-]}
 * @param role what the domain uses it for: {@link #DISK}
 */
public record DiskLease(String target, LeaseMode mode, String identity, String resource, String role) {

    /** The role of a {@code <disk>}. */
    public static final String DISK = "disk";

    /** For messages to people: {@code vda (rbd:rbd/vm1)}, on one line whatever the identity holds. */
    public String label() {
        return OneLine.of(target) + " (" + OneLine.of(identity) + ")";
    }
}
