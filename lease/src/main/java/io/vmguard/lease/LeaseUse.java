/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.List;
import java.util.Optional;

/**
 * What a resource is held for on this host. Several domains of one host can share one shared hold.
 *
 * @param users of an exclusive hold exactly one
 * @param giver it is not held yet, but to be received from that host
 */
public record LeaseUse(LeaseMode mode, List<LeaseNote> users, Optional<Owner> giver) {
    public LeaseUse {
        users = List.copyOf(users);
    }

    /** Of a lease that is held, or about to be acquired. */
    public LeaseUse(LeaseMode mode, List<LeaseNote> users) {
        this(mode, users, Optional.empty());
    }

    public static LeaseUse exclusive(LeaseNote user) {
        return new LeaseUse(LeaseMode.EXCLUSIVE, List.of(user));
    }
}
