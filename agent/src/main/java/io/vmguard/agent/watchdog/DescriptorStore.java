/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import java.util.OptionalInt;

/**
 * Keeps open files for the next agent on this machine, should this one die: a watchdog device that is closed without a word fires, and
 * so does wdmd for a client that goes. No method waits longer than two seconds or throws.
 */
public interface DescriptorStore {
    /** The file of this name that an earlier agent left; it is the caller's from now on. */
    OptionalInt inherited(String name);

    /** @param name letters, digits, underscores */
    void keep(String name, int fd);

    /** The file is kept no longer: once the caller closes it as well, it is closed. */
    void forget(String name);

    /** Without a place to keep anything. */
    static DescriptorStore none() {
        return new DescriptorStore() {
            @Override
            public OptionalInt inherited(String name) {
                return OptionalInt.empty();
            }

            @Override
            public void keep(String name, int fd) {}

            @Override
            public void forget(String name) {}
        };
    }
}
