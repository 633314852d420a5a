/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

/**
 * What libvirt's status file of an active domain says. libvirt replaces the file at every change of the live domain, in one step, and
 * removes it after the {@code stopped} hook; it outlives QEMU when libvirtd is down, so it proves nothing about the process.
 *
 * @param state libvirt's word: running, paused, shutdown, crashed, …; empty if it says none
 * @param reason libvirt's word for why it is in that state: booted, migration, user, …; empty if it says none
 * @param pid of QEMU, or 0 if it says none
 * @param job the job of the whole domain that is under way: {@code migration out}, {@code migration in}, {@code snapshot},
 *     {@code save}, …; empty if there is none
 * @param domain the live domain
 */
public record DomainStatus(String state, String reason, int pid, String job, DomainSpec domain) {

    /** Whether it is being migrated to another host. */
    public boolean migratesOut() {
        return job.equals("migration out");
    }

    /** Whether it comes from another host. */
    public boolean migratesIn() {
        return job.equals("migration in");
    }
}
