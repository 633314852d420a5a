/* SPDX-License-Identifier: Apache-2.0 */
/** The resource lease: exclusive acquire by Disk Paxos, release, and adoption after a restart. */
@NullMarked
package io.vmguard.lease.paxos;

import org.jspecify.annotations.NullMarked;
