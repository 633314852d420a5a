/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which lease directory is meant, and where its agent listens: a mixin of commands. */
final class DirectoryOptions {
    @Mixin
    private AgentOptions agent = new AgentOptions();

    @Option(
            names = "--dir",
            paramLabel = "DIR",
            description = "Lease directory (default: lease_dir of the configuration).")
    private @Nullable Path dir;

    @Option(names = "--lockspace", paramLabel = "NAME", description = "Lockspace (default: from the configuration).")
    private @Nullable String lockspace;

    /** What the options come to. */
    record Place(AgentConfig config, Path dir, String lockspace, Path socket) {}

    Place resolve() throws ConfigException {
        AgentConfig loaded = agent.config();
        return new Place(
                loaded,
                dir != null ? dir.toAbsolutePath().normalize() : loaded.leaseDir(),
                lockspace != null ? lockspace : loaded.lockspace(),
                agent.socket());
    }
}
