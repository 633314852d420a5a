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
 * @param phase how far that job is, in libvirt's words: of a migration {@code begin3}, {@code perform3}, {@code perform3_done},
 *     {@code confirm3}, …; empty if it says none
 * @param domain the live domain
 */
public record DomainStatus(String state, String reason, int pid, String job, String phase, DomainSpec domain) {

    /** Whether it is being migrated to another host. */
    public boolean migratesOut() {
        return job.equals("migration out");
    }

    /**
     * Whether its guest has been transferred to another host and stands still: everything has been sent, or (post-copy) the other host
     * fetches the rest. From here on it runs again only if libvirt resumes it, which in post-copy it can not.
     */
    public boolean switchedOver() {
        boolean sent = phase.equals("perform3_done") || phase.equals("confirm3");
        return !state.equals("running") && ((migratesOut() && sent) || isPostCopy());
    }

    /** Whether its guest runs on another host, as libvirt knows, which ends what is left here. */
    public boolean isBeingEnded() {
        return migratesOut() && phase.equals("confirm3");
    }

    /** Whether it is in post-copy: its memory is on two hosts, and its guest can go on only where it was sent to. */
    public boolean isPostCopy() {
        return reason.startsWith("post-copy");
    }

    /** Whether another host fetches the rest of its memory from here. */
    public boolean isFetched() {
        return isPostCopy() && migratesOut() && !state.equals("running");
    }

    /**
     * Whether it stands still because of a migration and has not got the guest that it waits for. libvirt ends the job of a migration that
     * has failed some hundred milliseconds before it ends the QEMU on the target, and still says so then; of a guest that has come it says
     * that it runs, or that its user has paused it.
     */
    public boolean awaitsGuest() {
        return state.equals("paused") && reason.equals("migration") && !migratesOut();
    }
}
