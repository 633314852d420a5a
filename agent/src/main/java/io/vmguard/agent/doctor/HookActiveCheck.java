/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import io.vmguard.agent.hook.HookCalls;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Whether the libvirt that runs now calls the hook. libvirt looks for hooks when it starts, or is told to reload, and ignores the first one
 * that is installed later: only a call that arrives is a proof. The probe is the start of a domain that cannot start.
 */
final class HookActiveCheck implements Check<HookActiveCheck.Facts> {
    private static final String RELOAD = "systemctl reload libvirtd (or virtqemud): it disturbs no domain";

    /**
     * @param asked what libvirt said to the probe; empty if it was not sent
     * @param notAsked why it was not sent; empty if it was
     * @param libvirtSince when libvirt's daemon started, epoch seconds; null if none runs
     * @param hookSince last change of the hook's file, epoch seconds; null if there is none
     * @param lastCall last call that the agent has had from a hook, epoch seconds; null if none, or if it did not answer
     */
    record Facts(
            Optional<String> asked,
            String notAsked,
            @Nullable Long libvirtSince,
            @Nullable Long hookSince,
            @Nullable Long lastCall) {}

    @Override
    public String name() {
        return "hook_active";
    }

    @Override
    public String why() {
        return "libvirt decides at its own start whether there are hooks: one that was installed later is ignored, and domains start unguarded";
    }

    @Override
    public Judgement judge(Facts facts) {
        return facts.asked().isPresent() ? asked(facts.asked().get()) : byTimes(facts);
    }

    private static Judgement asked(String answer) {
        if (answer.contains(HookCalls.PROBE_ANSWER)) {
            return Judgement.green("libvirt called the hook for a probe, and the agent answered");
        }
        int ours = answer.indexOf("vmguard: ");
        if (ours >= 0) {
            return Judgement.red(
                    "libvirt calls the hook, but no start would be granted: "
                            + answer.substring(ours).strip(),
                    "systemctl status vmguard");
        }
        if (answer.contains("Hook script execution failed")) {
            return Judgement.red(
                    "another hook, or the system, was in the way of the probe: " + answer,
                    "journalctl -u libvirtd; see also the check denials");
        }
        boolean domainFailed =
                answer.contains("Cannot access storage file") || answer.contains("No such file or directory");
        return domainFailed && !answer.contains("failed to connect")
                ? Judgement.red("libvirt did not call the hook: the probe went on to its missing disk", RELOAD)
                : Judgement.yellow(
                        "the probe did not get as far as the hook: " + answer, "Is libvirt running? virsh list");
    }

    private static Judgement byTimes(Facts facts) {
        String because = facts.notAsked().isEmpty() ? "" : " (libvirt was not asked: " + facts.notAsked() + ")";
        if (facts.libvirtSince() == null) {
            return Judgement.yellow("no libvirt daemon runs" + because, "Start it, and ask again");
        }
        if (facts.hookSince() == null) {
            return Judgement.red(
                    "there is no hook that libvirt could call", "Install the package again, then " + RELOAD);
        }
        if (facts.lastCall() != null && facts.lastCall() >= facts.libvirtSince()) {
            return Judgement.green("the hook was called by the libvirt that runs now" + because);
        }
        if (facts.hookSince() >= facts.libvirtSince()) {
            return Judgement.red(
                    "the hook is younger than the libvirt that runs, and was not called by it" + because, RELOAD);
        }
        return Judgement.yellow(
                "the hook was there when libvirt started, but no call of it has been seen yet" + because,
                "vmguard doctor without --no-probe, or start any domain");
    }
}
