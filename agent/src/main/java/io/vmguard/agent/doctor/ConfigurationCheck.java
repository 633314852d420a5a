/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.List;

/** Whether the agent can be started with its configuration. */
final class ConfigurationCheck implements Check<ConfigurationCheck.Facts> {
    /** @param problems as the agent would print them */
    record Facts(String file, boolean present, List<String> problems) {}

    @Override
    public String name() {
        return "configuration";
    }

    @Override
    public String why() {
        return "an agent with a wrong configuration does not start, and without an agent no domain does";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (!facts.problems().isEmpty()) {
            return Judgement.red(
                    String.join("; ", facts.problems()),
                    "Correct the file: every key and its values are in its comments");
        }
        return Judgement.green(
                facts.present()
                        ? facts.file() + " is good"
                        : facts.file() + " is not there: every setting has its default");
    }
}
