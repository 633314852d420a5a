/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.nio.file.Path;

/** What is to reset this machine if users of lost leases do not go. */
public sealed interface WatchdogChoice {
    /** wdmd if it answers, else the first usable device, else nothing. */
    record Auto() implements WatchdogChoice {}

    /** wdmd, or no lease is used. */
    record Wdmd() implements WatchdogChoice {}

    /** This device, or no lease is used. */
    record Device(Path path) implements WatchdogChoice {}

    /** Nothing. */
    record None() implements WatchdogChoice {}
}
