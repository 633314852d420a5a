/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigLoader;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which lease directory is meant, and where its agent listens: a mixin of commands. */
final class DirectoryOptions {
    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Configuration file (default: /etc/vmguard/vmguard.yaml).")
    private @Nullable Path config;

    @Option(
            names = "--dir",
            paramLabel = "DIR",
            description = "Lease directory (default: lease_dir of the configuration).")
    private @Nullable Path dir;

    @Option(names = "--lockspace", paramLabel = "NAME", description = "Lockspace (default: from the configuration).")
    private @Nullable String lockspace;

    @Option(
            names = "--socket",
            paramLabel = "PATH",
            description = "The agent's socket (default: from the configuration).")
    private @Nullable Path socket;

    /** What the options come to. */
    record Place(AgentConfig config, Path dir, String lockspace, Path socket) {}

    Place resolve() throws ConfigException {
        AgentConfig loaded = ConfigLoader.load(config != null ? config : ConfigLoader.DEFAULT_FILE);
        return new Place(
                loaded,
                dir != null ? dir.toAbsolutePath().normalize() : loaded.leaseDir(),
                lockspace != null ? lockspace : loaded.lockspace(),
                socket != null ? socket : loaded.socket());
    }
}
