/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** Port: programs of this host that know what no file says. */
public interface Commands {
    /** @param out both standard output and standard error */
    record Result(int exit, String out) {}

    /**
     * Runs one, without a shell and in the C locale.
     *
     * @throws IOException with a sentence for people, if it is not there, or has not ended within the limit and was killed
     */
    Result run(Duration limit, List<String> command) throws IOException, InterruptedException;
}
