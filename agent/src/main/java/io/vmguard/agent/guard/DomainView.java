/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.util.List;
import java.util.Optional;

/**
 * One run of a domain, as the guard saw it a moment ago.
 *
 * @param state starting, running, migrating, migrated (another host runs its guest, owns its leases, and still fetches memory from here),
 *     stopping because a lease is lost, paused because one is
 * @param pid of its QEMU once known
 * @param onLockFailure what happens to it when a lease is lost, in libvirt's word
 * @param startTicks when that was started, as {@code /proc/PID/stat} counts; 0 if that is not known
 * @param problems why it is not fully protected; empty if it is
 */
public record DomainView(
        String name,
        String uuid,
        String state,
        Optional<Integer> pid,
        long startTicks,
        List<LeaseView> leases,
        String onLockFailure,
        List<String> problems) {
    /** Whether it must not run on without the membership. */
    public boolean holdsAny() {
        return leases.stream().anyMatch(LeaseView::held);
    }

    /**
     * @param since when it was taken, epoch seconds
     * @param held false: wanted but not held
     */
    public record LeaseView(String target, String identity, String resource, boolean held, long since) {}
}
