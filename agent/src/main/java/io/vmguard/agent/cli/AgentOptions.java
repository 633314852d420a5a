/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import io.vmguard.agent.config.AgentConfig;
import io.vmguard.agent.config.ConfigException;
import io.vmguard.agent.config.ConfigLoader;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How this host's agent is set up and where it listens: a mixin of commands. */
final class AgentOptions {
    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "Configuration file (default: /etc/vmguard/vmguard.yaml).")
    private @Nullable Path config;

    @Option(
            names = "--socket",
            paramLabel = "PATH",
            description = "The agent's socket (default: from the configuration).")
    private @Nullable Path socket;

    /** The settings; the defaults if there is no file and none was named. */
    AgentConfig config() throws ConfigException {
        return config != null ? ConfigLoader.loadNamed(config) : ConfigLoader.load(file());
    }

    /** For who is about to write the file: the defaults if it is not there yet. */
    AgentConfig presentConfig() throws ConfigException {
        return ConfigLoader.load(file());
    }

    /** Which file is meant, whether it is there or not. */
    Path file() {
        return config != null ? config : ConfigLoader.DEFAULT_FILE;
    }

    /** Needs no configuration if it was given. */
    Path socket() throws ConfigException {
        return socket != null ? socket : config().socket();
    }
}
