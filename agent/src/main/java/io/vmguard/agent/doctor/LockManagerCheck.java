/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

/** What libvirt's own lock manager does beside vmguard. */
final class LockManagerCheck implements Check<LockManagerCheck.Facts> {
    /**
     * @param manager {@code lock_manager} of qemu.conf; empty if it is not set
     * @param sanlockDir where libvirt's plug-in keeps its leases
     * @param compat whether vmguard holds that plug-in's leases as well
     */
    record Facts(String manager, String sanlockDir, String leaseDir, boolean compat) {}

    @Override
    public String name() {
        return "lock_manager";
    }

    @Override
    public String why() {
        return "libvirt's own plug-in and vmguard on one host are two hosts to each other if they share a lease directory";
    }

    @Override
    public Judgement judge(Facts facts) {
        boolean sameDir = facts.sanlockDir().equals(facts.leaseDir());
        return switch (facts.manager()) {
            case "", "nop" -> Judgement.green("libvirt has no lock manager of its own");
            case "lockd" ->
                Judgement.green(
                        "lock_manager is lockd: its locks and vmguard's leases do not touch each other, a start needs both");
            case "sanlock" ->
                sameDir && facts.compat()
                        ? Judgement.red(
                                "lock_manager is sanlock in the same directory: vmguard holds the lease that the plug-in then cannot get, and no "
                                        + "domain with a file or block disk starts",
                                "vmguard import-sanlock says how to move this host: remove lock_manager from qemu.conf and restart libvirtd")
                        : Judgement.yellow(
                                "lock_manager is sanlock, with leases in " + facts.sanlockDir()
                                        + ": disks are guarded twice, by two rules that do not know each other",
                                "vmguard import-sanlock says how to move this host");
            default ->
                Judgement.yellow(
                        "lock_manager is " + facts.manager() + ", which vmguard does not know",
                        "See what it does before relying on it");
        };
    }
}
