/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor;

import java.util.List;
import java.util.function.Function;

/** The answer to "which domains are active?". */
public sealed interface ListResult {

    /** Calls the function for the case that this is. */
    <R> R fold(Function<? super Listed, ? extends R> listed, Function<? super CannotTell, ? extends R> cannotTell);

    /**
     * All domains that were active when the hypervisor was asked. Each record may be out of date by now.
     *
     * @param domains in no particular order
     */
    record Listed(List<ActiveDomain> domains) implements ListResult {
        /** Copies the list. */
        public Listed {
            domains = List.copyOf(domains);
        }

        @Override
        public <R> R fold(
                Function<? super Listed, ? extends R> listed, Function<? super CannotTell, ? extends R> cannotTell) {
            return listed.apply(this);
        }
    }

    /**
     * Nothing is known, in particular not that a domain is absent.
     *
     * @param reason for people
     */
    record CannotTell(String reason) implements ListResult {
        @Override
        public <R> R fold(
                Function<? super Listed, ? extends R> listed, Function<? super CannotTell, ? extends R> cannotTell) {
            return cannotTell.apply(this);
        }
    }
}
