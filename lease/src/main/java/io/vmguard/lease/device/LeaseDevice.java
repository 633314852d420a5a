/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device;

import java.io.IOException;

/** A block device, or a file that stands for one. All calls may hang as long as the storage does. */
public interface LeaseDevice {
    /** Opens all of it, from its first byte. */
    LeaseStore.Opened open(boolean toWrite);

    /** @throws IOException if it cannot be told */
    long bytes() throws IOException;

    /** For messages. */
    String where();

    /** What may be wrong with the place itself, as a sentence with a space before it, for messages that say that no lockspace is there. */
    default String doubt() {
        return "";
    }
}
