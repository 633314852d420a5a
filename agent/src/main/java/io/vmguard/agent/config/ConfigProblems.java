/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** Collects what is wrong with one file, so that an operator sees all of it in one go. */
final class ConfigProblems {

    private record Problem(int line, String text) {}

    private final Path file;
    private final List<Problem> problems = new ArrayList<>();

    ConfigProblems(Path file) {
        this.file = file;
    }

    /** @param line from 1, or 0 for the file as a whole */
    void add(int line, String format, Object... arguments) {
        problems.add(new Problem(line, String.format(Locale.ROOT, format, arguments)));
    }

    void require(boolean condition, int line, String format, Object... arguments) {
        if (!condition) {
            add(line, format, arguments);
        }
    }

    void throwIfAny() throws ConfigException {
        if (!problems.isEmpty()) {
            throw new ConfigException(problems.stream()
                    .sorted(Comparator.comparingInt(Problem::line))
                    .map(problem -> file + (problem.line() > 0 ? ":" + problem.line() : "") + ": " + problem.text())
                    .toList());
        }
    }
}
