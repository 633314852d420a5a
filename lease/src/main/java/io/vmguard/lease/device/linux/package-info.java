/* SPDX-License-Identifier: Apache-2.0 */
/** Direct I/O and the clocks of Linux through libc; the only package of this module that imports JNA. */
@NullMarked
package io.vmguard.lease.device.linux;

import org.jspecify.annotations.NullMarked;
