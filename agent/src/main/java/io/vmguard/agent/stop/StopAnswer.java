/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.stop;

import java.util.List;

/**
 * Whether the agent ends.
 *
 * @param message one line for people: what it means now, or why not and the way out
 * @param domains that run on, or are in the way
 */
public record StopAnswer(Outcome outcome, String message, List<String> domains) {
    /** What was decided. */
    public enum Outcome {
        /** It ends when this answer has been passed on. */
        STOPPING,
        /** It goes on: time alone does not change that. */
        REFUSED,
        /** It goes on: something did not answer. */
        CANNOT_TELL
    }

    public StopAnswer {
        domains = List.copyOf(domains);
    }
}
