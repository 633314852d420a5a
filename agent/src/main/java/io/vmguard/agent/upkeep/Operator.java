/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

/**
 * Who asks.
 *
 * @param user owner of the process at the other end of the socket, as the kernel says
 * @param onBehalfOf who became that user with sudo, as that process says; may be empty
 */
public record Operator(String user, String onBehalfOf) {}
