/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.setup;

import java.io.IOException;

/**
 * One thing to be done.
 *
 * @param what in the imperative, for people
 */
public record Step(String what, Action action) {
    /** How it is done. */
    public interface Action {
        /** @throws IOException with a sentence for people, if it could not be done: then nothing after it is */
        void run() throws IOException, InterruptedException;
    }
}
