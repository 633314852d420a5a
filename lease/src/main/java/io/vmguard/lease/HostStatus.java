/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

/** What a host's delta lease says about it, in sanlock's sense. Informs people; lease decisions read the disk again. */
public enum HostStatus {
    /** Not a member now. */
    FREE,
    /** Its record was seen once and has not changed yet: alive or dead, cannot tell. */
    UNKNOWN,
    /** Its record changes. */
    LIVE,
    /** Silent for more than 8 T: its users should be stopped by now, but it is not dead for others yet. */
    FAIL,
    /** Silent for more than 8 T + 60 s: its leases may be taken. */
    DEAD
}
