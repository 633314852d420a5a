/* SPDX-License-Identifier: Apache-2.0 */
/** The port to storage: whole-sector direct I/O on one lease area. */
@NullMarked
package io.vmguard.lease.device;

import org.jspecify.annotations.NullMarked;
