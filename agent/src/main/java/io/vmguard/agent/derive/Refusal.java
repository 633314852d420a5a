/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

/**
 * A disk that needs a lease and cannot have one; the domain must not be started.
 *
 * @param target the disk in the guest, for instance {@code vdb}
 * @param reason for people: what stands in the way and, where there is something to do, what
 */
public record Refusal(String target, String reason) {}
