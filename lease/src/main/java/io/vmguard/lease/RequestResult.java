/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** How a request to give a resource up ended. */
public sealed interface RequestResult {
    /** It stands on disk, and the holder is told with our next renewals. Whether it does what it is asked is its affair. */
    record Asked(Owner holder, long lver) implements RequestResult {}

    /** Nobody holds it. */
    record Free() implements RequestResult {}

    /** Not asked, nothing written. */
    record Refused(LeaseFault fault, String why) implements RequestResult {}

    /** Storage did not say. */
    record CannotTell(LeaseFault fault, String why) implements RequestResult {}
}
