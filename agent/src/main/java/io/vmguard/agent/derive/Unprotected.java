/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

/**
 * A disk that gets no lease.
 *
 * @param target the disk in the guest, for instance {@code hdc}
 * @param reason for people, for instance {@code read-only}
 */
public record Unprotected(String target, String reason) {}
