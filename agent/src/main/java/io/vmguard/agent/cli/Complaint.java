/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.derive.OneLine;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;

/** What went wrong, for people: a sentence on one line of standard error that begins with {@code vmguard:}, as docs/commands.md promises. */
final class Complaint {
    private Complaint() {}

    static void print(PrintWriter err, String sentence) {
        err.println("vmguard: " + OneLine.of(sentence));
        err.flush();
    }

    /** All that is wrong with the configuration, each on a line. */
    static void print(PrintWriter err, ConfigException wrong) {
        wrong.problems().forEach(problem -> print(err, problem));
    }

    /** Of a question to the agent that got no answer which can be understood. */
    static String noAgent(Path socket, IOException why) {
        return "the agent does not answer on " + socket + ": " + why.getMessage()
                + ". Is it running? systemctl status vmguard";
    }
}
