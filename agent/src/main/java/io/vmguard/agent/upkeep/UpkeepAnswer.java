/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.upkeep;

import java.time.Duration;
import java.util.Optional;

/**
 * What came of it.
 *
 * @param message one or more sentences for people
 * @param provedIn for {@link Outcome#WAIT}: when to ask again
 */
public record UpkeepAnswer(Outcome outcome, String message, Optional<Duration> provedIn) {
    /** Its kinds. */
    public enum Outcome {
        /** Done, durably. */
        DONE,
        /** It was so already. */
        NOTHING_TO_DO,
        /** Not done, and time alone does not change that. */
        REFUSED,
        /** Not done: the holder is not proved dead yet. */
        WAIT,
        /** Storage or this host's membership did not allow to tell. */
        CANNOT_TELL
    }

    static UpkeepAnswer done(String message) {
        return new UpkeepAnswer(Outcome.DONE, message, Optional.empty());
    }

    static UpkeepAnswer nothingToDo(String message) {
        return new UpkeepAnswer(Outcome.NOTHING_TO_DO, message, Optional.empty());
    }

    static UpkeepAnswer refused(String message) {
        return new UpkeepAnswer(Outcome.REFUSED, message, Optional.empty());
    }

    static UpkeepAnswer wait(String message, Duration provedIn) {
        return new UpkeepAnswer(Outcome.WAIT, message, Optional.of(provedIn));
    }

    static UpkeepAnswer cannotTell(String message) {
        return new UpkeepAnswer(Outcome.CANNOT_TELL, message, Optional.empty());
    }
}
