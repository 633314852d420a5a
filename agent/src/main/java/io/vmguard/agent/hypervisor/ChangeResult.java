/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

/** How a change of a running domain ended. */
public sealed interface ChangeResult {

    /** The hypervisor has done it, or has taken the order where the guest has a say in it. */
    record Done() implements ChangeResult {}

    /** It was so already, or the domain, the device or the job is not there (any more). */
    record Unneeded() implements ChangeResult {}

    /**
     * It was refused, or nobody answered in time: it may have been done, or be done yet.
     *
     * @param reason for people
     */
    record Failed(String reason) implements ChangeResult {}
}
