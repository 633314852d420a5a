/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import java.util.concurrent.CompletableFuture;

/** What the guard tells the watchdog. No method blocks; any thread, but calls of {@link #arm} and {@link #disarm} count in their order. */
public interface Watchdog {

    /** A start goes on only with this word. */
    sealed interface Answer {
        /** From here on the machine is reset if leases are lost and their users stay. */
        record Armed() implements Answer {}

        /** There is none, and the configuration allows that. */
        record Unguarded(String why) implements Answer {}

        /** The configuration wants one and it cannot be had: no lease may be used. */
        record Refused(String why) implements Answer {}
    }

    /**
     * Leases are about to be used, or are in use. Says so as often as it likes.
     *
     * @return completes within some seconds, never exceptionally
     */
    CompletableFuture<Answer> arm();

    /** No lease is held, and every user of a lost one is proved gone. */
    void disarm();

    /** A moment ago. */
    WatchdogView view();

    /** Of a host that shall have none, where there is nothing to be said about it. */
    static Watchdog none() {
        return new Watchdog() {
            @Override
            public CompletableFuture<Answer> arm() {
                return CompletableFuture.completedFuture(new Answer.Unguarded("none"));
            }

            @Override
            public void disarm() {}

            @Override
            public WatchdogView view() {
                return WatchdogView.NONE;
            }
        };
    }
}
