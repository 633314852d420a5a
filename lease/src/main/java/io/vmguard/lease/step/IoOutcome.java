/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.step;

import io.vmguard.lease.LeaseFault;

/** How one read or write ended. It has always ended: a machine is never resumed while its I/O is still under way. */
public sealed interface IoOutcome {
    /**
     * All bytes were transferred within the limit.
     *
     * @param bytes what was read; empty after a write
     */
    record Done(byte[] bytes) implements IoOutcome {}

    /**
     * It did not end well: an error, or later than the limit. A failed write may have reached the disk or not.
     *
     * @param fault {@link LeaseFault#TIMED_OUT} if it ended, but after its limit
     */
    record Failed(LeaseFault fault, String why) implements IoOutcome {}
}
