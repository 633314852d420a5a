/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/**
 * A resource lease that this host holds.
 *
 * @param lver the lease version that the winning ballot made
 */
public record HeldLease(LeaseName resource, Owner owner, long lver, LeaseMode mode) {}
