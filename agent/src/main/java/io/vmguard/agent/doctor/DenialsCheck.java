/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.List;

/** What SELinux or AppArmor have forbidden lately. */
final class DenialsCheck implements Check<DenialsCheck.Facts> {
    /** @param lines of the kernel's log and the audit log since this boot that are denials */
    record Facts(List<String> lines) {}

    @Override
    public String name() {
        return "denials";
    }

    @Override
    public String why() {
        return "a hook that may not run, or may not reach the agent's socket, refuses every start; an agent that may not write loses its leases";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<String> ours = facts.lines().stream()
                .filter(line -> line.contains("vmguard") || line.contains("hooks/qemu") || line.contains("virt_hook"))
                .toList();
        if (!ours.isEmpty()) {
            return Judgement.red(
                    ours.size() + " denials of vmguard or its hook, the last one: " + ours.get(ours.size() - 1),
                    "AppArmor: the hook must be a file and no link, which reinstalling vmguard sees to; for anything else a rule in "
                            + "/etc/apparmor.d/local/usr.sbin.libvirtd. SELinux: restorecon -Rv /etc/libvirt/hooks, then what "
                            + "/usr/share/doc/vmguard/operations.md says of it. Older lines count until the next boot");
        }
        List<String> libvirt = facts.lines().stream()
                .filter(line -> line.contains("libvirt") || line.contains("virtqemud") || line.contains("svirt"))
                .toList();
        return libvirt.isEmpty()
                ? Judgement.green("none that concerns vmguard or libvirt")
                : Judgement.yellow(
                        libvirt.size() + " denials of libvirt or a domain, the last one: "
                                + libvirt.get(libvirt.size() - 1),
                        "See whether a domain or its hook is hindered: ausearch -m avc -ts boot, or journalctl -k -g apparmor");
    }
}
