/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.time.Duration;
import picocli.CommandLine.Option;

/** How long hosts are looked at: a mixin of commands. */
final class WatchOption {
    @Option(
            names = "--watch",
            paramLabel = "DURATION",
            converter = DurationOption.class,
            defaultValue = "0s",
            description = "Look at the hosts on disk for so long, whether the agent runs or not.")
    private Duration watch = Duration.ZERO;

    /** Zero: the agent is asked, or the disk looked at once. */
    Duration duration() {
        return watch;
    }
}
