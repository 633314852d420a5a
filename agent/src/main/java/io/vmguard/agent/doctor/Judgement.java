/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What a rule says to some facts.
 *
 * @param seen one sentence, without a full stop
 * @param fix what to do; empty if it is green
 */
record Judgement(Verdict verdict, String seen, String fix) {
    static Judgement green(String seen) {
        return new Judgement(Verdict.GREEN, seen, "");
    }

    static Judgement yellow(String seen, String fix) {
        return new Judgement(Verdict.YELLOW, seen, fix);
    }

    static Judgement red(String seen, String fix) {
        return new Judgement(Verdict.RED, seen, fix);
    }

    /**
     * One of several: as bad as the worst, with the words of all that are not green, or of all if all are.
     *
     * @param all at least one
     */
    static Judgement all(List<Judgement> all) {
        Verdict worst = all.stream().map(Judgement::verdict).reduce(Verdict.GREEN, Verdict::or);
        List<Judgement> telling = all.stream()
                .filter(one -> worst == Verdict.GREEN || one.verdict() != Verdict.GREEN)
                .toList();
        return new Judgement(
                worst,
                telling.stream().map(Judgement::seen).distinct().collect(Collectors.joining("; ")),
                telling.stream()
                        .map(Judgement::fix)
                        .filter(fix -> !fix.isEmpty())
                        .distinct()
                        .collect(Collectors.joining(". ")));
    }
}
