/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a hand-over ended for the giver. */
public sealed interface HandOverResult {
    /** The receiver owns it on disk; whether it knows is for it to confirm. */
    record Given(Owner receiver, long lver) implements HandOverResult {}

    /** Nothing was given: it is held as before and may be used. */
    record Kept(LeaseFault fault, String why) implements HandOverResult {}

    /**
     * Given or not. The disk must not be used; the engine goes on until it knows, and then has given it or lost it.
     */
    record CannotTell(LeaseFault fault, String why) implements HandOverResult {}

    /** This host does not hold it exclusively. */
    record NotOurs(LeaseFault fault, String why) implements HandOverResult {}
}
