/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.manual.Manual;
import java.io.IOException;
import java.nio.file.Path;

/** For the build of the packages: writes manual pages and completions into a directory. */
final class WriteManual {
    private WriteManual() {}

    /** @param args the directory, and the version and the date that the pages name */
    public static void main(String[] args) throws IOException {
        new Manual(Main.commandLine(), args[1], args[2]).writeTo(Path.of(args[0]));
    }
}
