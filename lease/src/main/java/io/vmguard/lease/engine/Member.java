/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

/** A membership and all that hangs on it. */
record Member(
        Membership membership,
        Operations io,
        HostWatch watch,
        Resources table,
        Conversions conversions,
        Transfers transfers,
        TransferWords words,
        Requests requests) {}
