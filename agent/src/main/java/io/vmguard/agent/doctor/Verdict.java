/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.Locale;

/** From good to bad; {@link #ordinal} is the exit code of {@code vmguard doctor}. */
public enum Verdict {
    /** As it should be. */
    GREEN,
    /** Works, but less is promised than could be; or it cannot be told. */
    YELLOW,
    /** The promise does not hold, or starts are refused. */
    RED;

    /** As it is written everywhere. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    Verdict or(Verdict other) {
        return other.ordinal() > ordinal() ? other : this;
    }
}
