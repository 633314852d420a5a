/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** A process that logs more than fits anywhere, and then says so on its standard output. */
final class LogFlood {
    private static final int LINES = 20_000;

    private LogFlood() {}

    /** @param arguments the name of a logging configuration of the agent */
    public static void main(String[] arguments) {
        System.setProperty("log4j2.configurationFile", arguments[0]);
        Logger log = LogManager.getLogger(LogFlood.class);
        for (int line = 0; line < LINES; line++) {
            log.error("line {} of a log that nobody reads, and a bit more text so that pipes are soon full", line);
        }
        System.out.println("done");
    }
}
