/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.List;
import java.util.Optional;

/** What one image or device is, for the purpose of leases. */
public sealed interface Identity {

    /**
     * Protected by leases of these names. Any two hosts that can reach it have one of them in common.
     *
     * @param keys at least one; the first is the identity proper
     * @param note for people: what could not be found out, so that a weaker name serves; empty if nothing
     * @param path by which the image itself can be read on this host; empty if it is no file or device here
     */
    record Known(List<LeaseKey> keys, Optional<String> note, Optional<String> path) implements Identity {
        public Known {
            keys = List.copyOf(keys);
        }
    }

    /** Nothing that another host could write at the same time. */
    record Unneeded(String reason) implements Identity {}

    /** Nobody can say what it is, and it must not be used unprotected. */
    record Refused(String reason) implements Identity {}
}
