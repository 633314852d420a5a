/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.Locale;

/** How a lease excludes others. */
public enum LeaseMode {
    /** One holder, which may write. */
    EXCLUSIVE,
    /** Any number of holders, none of which writes, or all of which agree among themselves on who does. */
    SHARED;

    /** The word in messages and JSON: {@code exclusive}. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
