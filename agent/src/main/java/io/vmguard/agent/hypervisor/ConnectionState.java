/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

/**
 * Whether events arrive now, for status.
 *
 * @param connected true while lifecycle events are subscribed to on a living connection
 * @param detail where to when connected, otherwise why not; for people
 */
public record ConnectionState(boolean connected, String detail) {}
