/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

/** What became of a request to start a domain. */
public sealed interface StartResult {

    /** It runs. */
    record Started() implements StartResult {}

    /** It ran already. */
    record AlreadyActive() implements StartResult {}

    /**
     * It does not run, or may run all the same if the hypervisor did not answer: asking again is safe.
     *
     * @param reason for people
     */
    record Failed(String reason) implements StartResult {}
}
