/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

/**
 * One lease that protects an image.
 *
 * @param identity what it stands for, for instance {@code nfs:nas/export/vm1.img}; may hold any character a path can hold
 * @param resource its name on disk: 1 to 48 bytes of {@code [a-z0-9-]}
 * @param role why it is held
 */
public record LeaseKey(String identity, String resource, Role role) {

    /** Why a lease is held for an image. */
    public enum Role {
        /** It is its name. */
        IDENTITY,
        /** Other hosts may know it by this name. */
        ALIAS,
        /** Hosts with libvirt's sanlock plug-in, and vmguard before it knew identities, know it by this name. */
        COMPAT,
        /** It is a part of this, which nobody may use as a whole meanwhile: always shared. */
        WHOLE
    }

    static LeaseKey of(String kind, String identity) {
        return new LeaseKey(identity, ResourceName.ofIdentity(kind, identity), Role.IDENTITY);
    }

    /** By a path as written: libvirt's own name. */
    static LeaseKey ofPath(String kind, String path, Role role) {
        return new LeaseKey(kind + ":" + path, ResourceName.ofPath(path), role);
    }

    LeaseKey as(Role other) {
        return new LeaseKey(identity, resource, other);
    }
}
