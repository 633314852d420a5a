/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a step of receiving ended. */
public sealed interface ReceiveResult {
    /** The giver may give. */
    record Prepared() implements ReceiveResult {}

    /** Ours, on disk: the disk may be used. */
    record Confirmed(HeldLease lease) implements ReceiveResult {}

    /** The giver still owns it. */
    record NotYet() implements ReceiveResult {}

    /** We do not own it and shall not. */
    record NotOurs(LeaseFault fault, String why) implements ReceiveResult {}

    /** Storage did not say. The disk must not be used; the same again. */
    record CannotTell(LeaseFault fault, String why) implements ReceiveResult {}
}
