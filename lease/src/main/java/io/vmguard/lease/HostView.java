/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.time.Duration;
import java.util.Optional;

/**
 * Another host (or this one) as this host sees it.
 *
 * @param name host name as it stands in its delta lease
 * @param silentFor since we last saw its record change; empty if never
 * @param deadIn if it stays silent, from now until its leases may be taken; empty when free
 */
public record HostView(
        Owner owner,
        String name,
        HostStatus status,
        Optional<Duration> silentFor,
        Optional<Duration> deadIn,
        boolean self) {}
