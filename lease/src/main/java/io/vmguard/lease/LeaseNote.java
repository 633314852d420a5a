/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/**
 * Who uses a lease and what for: for messages and tools only. It lies in a sector that the protocol never uses, is written after the
 * lease is held, and may be missing or stale; nothing is given or taken because of it, at most refused.
 *
 * @param domainName libvirt's name of the domain
 * @param domainUuid its UUID in text form
 * @param disk what the lease stands for, e.g. {@code vda (rbd:rbd/vm1)}
 * @param hostName the holder's node name
 * @param sinceEpochSeconds wall clock of the holder when it took the lease
 */
public record LeaseNote(String domainName, String domainUuid, String disk, String hostName, long sinceEpochSeconds) {}
