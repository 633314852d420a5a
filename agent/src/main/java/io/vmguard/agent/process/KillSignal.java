/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.function.Function;

/** What became of a signal. */
public sealed interface KillSignal {

    /** Calls the function for the case that this is. */
    <R> R fold(
            Function<? super Sent, ? extends R> sent,
            Function<? super AlreadyGone, ? extends R> alreadyGone,
            Function<? super Failed, ? extends R> failed);

    /** The kernel has it. It takes effect as soon as each thread of the process can be interrupted. */
    record Sent() implements KillSignal {
        @Override
        public <R> R fold(
                Function<? super Sent, ? extends R> sent,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Failed, ? extends R> failed) {
            return sent.apply(this);
        }
    }

    /** There was nobody left to send it to. */
    record AlreadyGone() implements KillSignal {
        @Override
        public <R> R fold(
                Function<? super Sent, ? extends R> sent,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Failed, ? extends R> failed) {
            return alreadyGone.apply(this);
        }
    }

    /**
     * The process goes on as before.
     *
     * @param reason for people
     */
    record Failed(String reason) implements KillSignal {
        @Override
        public <R> R fold(
                Function<? super Sent, ? extends R> sent,
                Function<? super AlreadyGone, ? extends R> alreadyGone,
                Function<? super Failed, ? extends R> failed) {
            return failed.apply(this);
        }
    }
}
