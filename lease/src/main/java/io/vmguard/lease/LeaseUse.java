/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.List;

/**
 * What a resource is held for on this host. Several domains of one host can share one shared hold.
 *
 * @param users of an exclusive hold exactly one
 */
public record LeaseUse(LeaseMode mode, List<LeaseNote> users) {
    public LeaseUse {
        users = List.copyOf(users);
    }

    public static LeaseUse exclusive(LeaseNote user) {
        return new LeaseUse(LeaseMode.EXCLUSIVE, List.of(user));
    }
}
