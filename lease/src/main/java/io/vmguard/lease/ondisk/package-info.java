/* SPDX-License-Identifier: Apache-2.0 */
/** The bytes: sanlock's records as immutable values, decode and encode only. No I/O, no clock. */
@NullMarked
package io.vmguard.lease.ondisk;

import org.jspecify.annotations.NullMarked;
