/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

/** Gathers the facts of one check. It may hang: whoever asks waits no longer than a limit. */
public interface Probe<F> {
    /** @throws Exception with a sentence for people, if the facts cannot be had: then the answer is "cannot tell" */
    F look() throws Exception;
}
