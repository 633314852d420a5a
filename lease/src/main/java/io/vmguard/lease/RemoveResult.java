/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How the removal of a lease's file ended. */
public sealed interface RemoveResult {
    /** It is gone. */
    record Removed() implements RemoveResult {}

    /** Somebody holds it, or it is not what it should be; it is as it was. */
    record Refused(LeaseFault fault, String why) implements RemoveResult {}

    /** Storage did not say: there still, or cleared and of no use to anybody, or gone. */
    record CannotTell(LeaseFault fault, String why) implements RemoveResult {}
}
