/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.derive.FileTrouble;
import io.vmguard.agent.derive.OneLine;
import io.vmguard.agent.setup.Step;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import picocli.CommandLine.Option;

/** Says what will be done, asks, and does it: a mixin of commands that change this host. */
final class Plan {
    /** What became of it. */
    enum Outcome {
        DONE,
        NOT_WANTED,
        FAILED
    }

    @Option(names = "--yes", description = "Do it without asking.")
    private boolean yes;

    /**
     * @param in where an answer comes from
     * @return what became of it; every sentence about that has been printed
     */
    Outcome carryOut(List<Step> steps, InputStream in, PrintWriter out, PrintWriter err) throws InterruptedException {
        out.println("This will be done:");
        for (int i = 0; i < steps.size(); i++) {
            out.println("  " + (i + 1) + ". " + OneLine.of(steps.get(i).what()));
        }
        out.flush();
        if (!yes && !agreed(in, out)) {
            err.println("vmguard: nothing was done. Say --yes to do it");
            err.flush();
            return Outcome.NOT_WANTED;
        }
        for (int i = 0; i < steps.size(); i++) {
            try {
                steps.get(i).action().run();
                out.println("  done " + (i + 1) + ": " + OneLine.of(steps.get(i).what()));
                out.flush();
            } catch (IOException e) {
                err.println("vmguard: step " + (i + 1) + " of " + steps.size()
                        + " failed, and nothing after it was done: " + OneLine.of(FileTrouble.of(e)));
                err.flush();
                return Outcome.FAILED;
            }
        }
        return Outcome.DONE;
    }

    /** The end of the input is a no: without a terminal nobody has agreed. */
    private static boolean agreed(InputStream in, PrintWriter out) {
        out.print("Do it? [y/N] ");
        out.flush();
        try {
            String line = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8)).readLine();
            if (line == null) {
                out.println();
            }
            return line != null
                    && (line.strip().equalsIgnoreCase("y") || line.strip().equalsIgnoreCase("yes"));
        } catch (IOException e) {
            return false;
        }
    }
}
