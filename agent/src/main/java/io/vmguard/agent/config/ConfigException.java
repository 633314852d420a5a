/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import java.util.List;

/** The configuration cannot be used; the agent must not start. */
public final class ConfigException extends Exception {

    private static final long serialVersionUID = 1L;

    private final String[] problems;

    /** @param problems at least one, each a line for people that begins with the file and, if known, the line in it */
    public ConfigException(List<String> problems) {
        super(String.join("\n", problems));
        this.problems = problems.toArray(String[]::new);
    }

    /** All that is wrong, in the order of the file. */
    public List<String> problems() {
        return List.of(problems);
    }
}
