/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

/** What the delta lease of a host id says about one membership under it. Whether that host lives, one look cannot tell. */
public enum Standing {
    /** The id is held in this very generation. */
    MEMBER,
    /** The id is free: the host has left, and what it held may be taken. */
    LEFT,
    /** The id was taken again since: what the older generation held may be taken. */
    REBORN,
    /** The id is held in a lower generation: the lockspace was made anew beside an old resource, which nobody gets while it is. */
    AHEAD,
    /** The delta lease is not sound, or its lockspace is not here. */
    UNREADABLE;

    /** Whether leases of this membership are free for the next who asks. */
    public boolean gone() {
        return this == LEFT || this == REBORN;
    }
}
