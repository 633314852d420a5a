/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

/** What became of a request to pause a domain. */
public sealed interface SuspendResult {

    /**
     * The hypervisor has had it paused, and says after that that it is. All requests of the guest have come back. Other writers of the
     * same process may go on: block jobs, exports, and a resume by somebody else.
     */
    record Suspended() implements SuspendResult {}

    /** The hypervisor knows no such domain, or knows it as not running. */
    record NotRunning() implements SuspendResult {}

    /**
     * It may run, be paused, or be paused yet by a request that is still on its way.
     *
     * @param reason for people
     */
    record Unknown(String reason) implements SuspendResult {}
}
