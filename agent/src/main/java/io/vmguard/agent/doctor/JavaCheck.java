/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

/** What runs the agent. */
final class JavaCheck implements Check<JavaCheck.Facts> {
    private static final int OLDEST = 17;

    /**
     * @param feature 17, 21, …
     * @param vm as it calls itself
     * @param bits of an address
     */
    record Facts(int feature, String version, String vm, String bits) {}

    @Override
    public String name() {
        return "java";
    }

    @Override
    public String why() {
        return "the agent was tried on HotSpot 17 and later; a VM that stops all threads for long stops renewing";
    }

    @Override
    public Judgement judge(Facts facts) {
        String seen = "Java " + facts.version() + ", " + facts.vm() + ", " + facts.bits() + " bits";
        if (facts.feature() < OLDEST) {
            return Judgement.red(seen + ": too old", "Install a Java 17 or newer runtime (headless)");
        }
        boolean interpreted = facts.vm().contains("Zero");
        boolean known = facts.vm().contains("OpenJDK") || facts.vm().contains("HotSpot");
        if (interpreted || !known || !facts.bits().equals("64")) {
            return Judgement.yellow(seen + ": not what vmguard was tried on", "Use a 64-bit OpenJDK with HotSpot");
        }
        return Judgement.green(seen);
    }
}
