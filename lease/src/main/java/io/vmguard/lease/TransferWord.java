/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/**
 * What one side of a hand-over has left on disk for the other, beside the lease. Each side has a place of its own and overwrites only
 * that. Words decide nothing about who owns a lease: that is the leader's alone.
 *
 * @param from who has written it
 * @param attempt names one hand-over of possibly many: drawn by the giver, repeated by the receiver. A word of another attempt is of
 *     the past
 * @param lver the version of the lease when it was written: an offer of another one is of the past as well
 * @param state what it says
 */
public record TransferWord(Owner from, long attempt, long lver, State state) {

    /** Which side says it. */
    public enum Side {
        GIVER,
        RECEIVER
    }

    /** What can be said. The numbers are on disk. */
    public enum State {
        /** Somebody may prepare to receive it. */
        OFFERED(Side.GIVER, 1),
        /** Nobody may any more. */
        WITHDRAWN(Side.GIVER, 2),
        /** All leases of the hand-over are prepared for. */
        PREPARED(Side.RECEIVER, 3),
        /** What the leases are for is in use here, or about to be: the giver must not use it again. */
        RUNNING(Side.RECEIVER, 4),
        /** It came to nothing: it is not in use here and will not be. */
        ENDED(Side.RECEIVER, 5);

        private final Side side;
        private final int number;

        State(Side side, int number) {
            this.side = side;
            this.number = number;
        }

        public Side side() {
            return side;
        }

        /** On disk. */
        public int number() {
            return number;
        }
    }
}
