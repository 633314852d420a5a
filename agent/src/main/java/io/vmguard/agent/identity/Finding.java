/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What a look at the host has brought. */
sealed interface Finding {

    /** @param note what is weak about it; empty if nothing is */
    record Keys(List<LeaseKey> keys, Optional<String> note) implements Finding {
        public Keys {
            keys = List.copyOf(keys);
        }

        static Keys of(LeaseKey key) {
            return new Keys(List.of(key), Optional.empty());
        }

        /** With more leases, each of which is there once. */
        Keys and(List<LeaseKey> more) {
            List<LeaseKey> all = new ArrayList<>(keys);
            more.stream()
                    .filter(key ->
                            all.stream().noneMatch(known -> known.resource().equals(key.resource())))
                    .forEach(all::add);
            return new Keys(all, note);
        }
    }

    /** Whatever it is, nobody can write it. */
    record ReadOnly(String reason) implements Finding {}

    /**
     * This host has no name for it that another host would have too.
     *
     * @param here leases of this host alone, which all that is on one device has in common
     */
    record Unidentified(String reason, List<LeaseKey> here) implements Finding {
        public Unidentified {
            here = List.copyOf(here);
        }

        Unidentified(String reason) {
            this(reason, List.of());
        }
    }
}
