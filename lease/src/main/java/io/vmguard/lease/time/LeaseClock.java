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

    /** Nanoseconds of {@code CLOCK_MONOTONIC}. Only to tell whether the machine was suspended between two moments. */
    long monotonicNanos();

    /** Nanoseconds of {@code CLOCK_BOOTTIME}. The base of every age and deadline. */
    long bootNanos();

    /** Seconds since the epoch, for people only: messages and metadata. */
    long wallSeconds();
}
