/* SPDX-License-Identifier: Apache-2.0 */
/** Where the leases of a fleet are: one file each in a directory, or side by side on a device. */
@NullMarked
package io.vmguard.lease.location;

import org.jspecify.annotations.NullMarked;
