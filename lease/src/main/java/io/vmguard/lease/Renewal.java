/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;

/**
 * A renewal that reached the disk in time.
 *
 * @param startedBootNanos when it began, before its write was issued, on the boot clock ({@code CLOCK_BOOTTIME}); the age of every
 *     lease of the membership counts from here
 * @param deadlineBootNanos when the membership and its leases are lost unless another one succeeds before; boot clock
 * @param timestampSeconds its time as written on disk
 * @param took from its start to when its outcome was known
 */
public record Renewal(long startedBootNanos, long deadlineBootNanos, long timestampSeconds, Duration took) {}
