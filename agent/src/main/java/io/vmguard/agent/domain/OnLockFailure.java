/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.Locale;

/**
 * What a domain wants to happen when its lease is lost: its {@code <on_lockfailure>}.
 *
 * @param action what that means; {@link Action#POWEROFF} if nothing is written or nobody knows the word
 * @param written as written, empty if nothing is
 */
public record OnLockFailure(Action action, String written) {

    /** The words of libvirt's {@code domaincommon.rng}. */
    public enum Action {
        /** It is ended. */
        POWEROFF,
        /** It is paused, and may go on when it has its lease again and nobody else had it. */
        PAUSE,
        /** It is ended, and started again when its leases can be had. */
        RESTART,
        /** It runs on without protection. */
        IGNORE
    }

    /** Of a domain that says nothing. */
    public static final OnLockFailure UNSAID = new OnLockFailure(Action.POWEROFF, "");

    /** The meaning of a word; the safe one if there is none. */
    static OnLockFailure of(String text) {
        String word = text.strip();
        for (Action action : Action.values()) {
            if (action.name().toLowerCase(Locale.ROOT).equals(word)) {
                return new OnLockFailure(action, word);
            }
        }
        return new OnLockFailure(Action.POWEROFF, word);
    }

    /** Whether the word means what is done. */
    public boolean understood() {
        return written.isEmpty() || written.equals(action.name().toLowerCase(Locale.ROOT));
    }
}
