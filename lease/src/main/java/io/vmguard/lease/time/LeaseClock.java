/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.time;

/**
 * The two clocks of a lease.
 *
 * <p>{@code CLOCK_MONOTONIC} is what sanlock's format wants as a timestamp: it is compared by others for equality only.
 * {@code CLOCK_BOOTTIME} also counts while the machine is suspended, and a suspended host is silent for everybody else:
 * every age and every deadline is measured on it.
 */
public interface LeaseClock {

    /** Whole seconds of {@code CLOCK_MONOTONIC}, truncated, at least 1. Written to disk, never used to measure an age. */
    long monotonicSeconds();

    /** Nanoseconds of {@code CLOCK_MONOTONIC}. Only to tell how long the machine has slept. */
    long monotonicNanos();

    /** Nanoseconds of {@code CLOCK_BOOTTIME}. The base of every age and deadline. */
    long bootNanos();

    /** How long the machine has been suspended in this boot: what it was when this was called, or less. */
    default long suspendedNanos() {
        long bootNanos = bootNanos(); // first, or a sleep between the two would count twice
        return bootNanos - monotonicNanos();
    }

    /** Seconds since the epoch, for people only: messages and metadata. */
    long wallSeconds();
}
