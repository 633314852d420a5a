/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/**
 * One membership of a lockspace: a host id and how often that id has been taken. This pair, not the machine, owns resource leases.
 *
 * @param hostId 1 to 2000
 * @param generation 1 and up
 */
public record Owner(long hostId, long generation) {
    @Override
    public String toString() {
        return hostId + "/" + generation;
    }
}
