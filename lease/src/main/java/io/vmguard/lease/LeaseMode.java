/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a resource is held. */
public enum LeaseMode {
    /** By one host alone. */
    EXCLUSIVE,
    /** By any number of hosts, none of which holds it exclusively. */
    SHARED
}
