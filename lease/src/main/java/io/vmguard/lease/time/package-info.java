/* SPDX-License-Identifier: Apache-2.0 */
/** The clocks, as a port. Tests hold them; only the adapters read the machine's. */
@NullMarked
package io.vmguard.lease.time;

import org.jspecify.annotations.NullMarked;
