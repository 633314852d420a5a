/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import java.util.Locale;

/** How a lease excludes others. */
public enum LeaseMode {
    /** One holder, which may write. */
    EXCLUSIVE;

    /** The word in messages and JSON: {@code exclusive}. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
