/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Whether the file that libvirt would run is there and is ours. */
final class HookFileCheck implements Check<HookFileCheck.Facts> {
    /**
     * @param found the first of the places where libvirt looks that holds a hook of vmguard; empty if none does
     * @param places where it was looked for
     * @param mode permissions such as {@code rwxr-xr-x}; empty without a file
     * @param owner of the file
     */
    record Facts(Optional<String> found, List<String> places, String mode, String owner) {}

    @Override
    public String name() {
        return "hook_installed";
    }

    @Override
    public String why() {
        return "without the hook libvirt asks nobody, and every start is unguarded";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (facts.found().isEmpty()) {
            return Judgement.red(
                    "no hook of vmguard in " + String.join(", ", facts.places()),
                    "Install the package again (it puts 50-vmguard there), then systemctl reload libvirtd");
        }
        String file = facts.found().get();
        List<Judgement> all = new ArrayList<>();
        if (!facts.mode().contains("x")) {
            all.add(Judgement.red(
                    file + " is not executable (" + facts.mode() + "): libvirt passes over it in silence",
                    "chmod 0755 " + file));
        }
        boolean open = facts.mode().length() == 9
                && (facts.mode().charAt(4) == 'w' || facts.mode().charAt(7) == 'w');
        if (open || !facts.owner().equals("root")) {
            all.add(Judgement.yellow(
                    file + " can be changed by others than root (" + facts.owner() + ", " + facts.mode()
                            + ") and runs as root",
                    "chown root:root " + file + "; chmod 0755 " + file));
        }
        all.add(Judgement.green(file + ", " + facts.mode()));
        return Judgement.all(all);
    }
}
