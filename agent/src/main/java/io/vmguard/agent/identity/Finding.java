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

        /**
         * Of what may be in any of several clusters: it has a name in each of them.
         *
         * @param prefixes of the clusters, at least one
         * @param doubt what to say if there are several
         */
        static Keys inAny(String kind, List<String> prefixes, String name, String doubt) {
            List<LeaseKey> keys = prefixes.stream()
                    .map(prefix -> LeaseKey.of(kind, kind + ":" + prefix + name))
                    .toList();
            return new Keys(keys.subList(0, 1), keys.size() == 1 ? Optional.empty() : Optional.of(doubt))
                    .and(keys.stream()
                            .skip(1)
                            .map(key -> key.as(LeaseKey.Role.ALIAS))
                            .toList());
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
