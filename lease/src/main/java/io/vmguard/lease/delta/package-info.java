/* SPDX-License-Identifier: Apache-2.0 */
/** The delta lease: joining, renewing, leaving a host id, and what the records of others say about their lives. */
@NullMarked
package io.vmguard.lease.delta;

import org.jspecify.annotations.NullMarked;
