/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.util.Optional;

/** What stands beside a lease about its hand-over. */
public sealed interface TransferResult {
    /**
     * As it was read, leader first.
     *
     * @param owner whom the leader names; empty if it is free or held in shared mode
     * @param lver the leader's version
     * @param confirmed the owner has written that itself: it knows that it owns it
     * @param giver the giver's last word, of whichever attempt
     * @param receiver the receiver's last word, of whichever attempt
     */
    record Seen(
            Optional<Owner> owner,
            long lver,
            boolean confirmed,
            Optional<TransferWord> giver,
            Optional<TransferWord> receiver)
            implements TransferResult {

        /** The offer, if it is one of the host that owns the lease, and of this very hold. */
        public Optional<TransferWord> offer() {
            return giver.filter(word -> word.state() == TransferWord.State.OFFERED
                    && word.lver() == lver
                    && owner.map(word.from()::equals).orElse(false));
        }

        /** The receiver's word in this attempt. */
        public Optional<TransferWord> answer(long attempt) {
            return receiver.filter(word -> word.attempt() == attempt);
        }
    }

    /** Storage did not say. What was to be written may stand there or not. */
    record CannotTell(LeaseFault fault, String why) implements TransferResult {}
}
