/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.Set;

/** What the kernel counts time by. */
final class ClockSourceCheck implements Check<ClockSourceCheck.Facts> {
    private static final Set<String> GOOD = Set.of(
            "tsc",
            "kvm-clock",
            "arch_sys_counter",
            "timebase",
            "hyperv_clocksource_tsc_page",
            "xen",
            "tod",
            "riscv_clocksource");

    /** @param available the kernel's whole choice */
    record Facts(String current, String available) {}

    @Override
    public String name() {
        return "clock_source";
    }

    @Override
    public String why() {
        return "leases are lost by this clock; one that jumps, or loses ticks under load, lets a host think that it has time left";
    }

    @Override
    public Judgement judge(Facts facts) {
        String seen = "the clock source is " + facts.current();
        if (facts.current().contains("jiffies")) {
            return Judgement.red(
                    seen + ", which loses time when interrupts are late",
                    "Boot without clocksource=jiffies; available: " + facts.available());
        }
        if (!GOOD.contains(facts.current())) {
            return Judgement.yellow(
                    seen + ", of which vmguard knows no harm and no good; a kernel that left tsc found it unstable",
                    "dmesg | grep -i -e tsc -e clocksource; available: " + facts.available());
        }
        return Judgement.green(seen);
    }
}
