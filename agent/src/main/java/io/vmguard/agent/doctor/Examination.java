/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.time.Duration;

/** One check with the way to its facts. */
final class Examination<F> {
    private final Check<F> check;
    private final Probe<F> probe;
    private final Duration limit;

    Examination(Check<F> check, Duration limit, Probe<F> probe) {
        this.check = check;
        this.limit = limit;
        this.probe = probe;
    }

    String name() {
        return check.name();
    }

    Duration limit() {
        return limit;
    }

    /** Gathers and judges; as long as the probe takes. */
    Finding run() throws Exception {
        return finding(check.judge(probe.look()));
    }

    /** What can be said without facts: never that all is well. */
    Finding cannotTell(String why) {
        return finding(Judgement.yellow("cannot tell: " + why, "Find out why, and ask again"));
    }

    private Finding finding(Judgement judgement) {
        return new Finding(check.name(), judgement.verdict().word(), judgement.seen(), check.why(), judgement.fix());
    }
}
