/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.config;

import io.vmguard.agent.config.AgentConfig.Compat;
import io.vmguard.agent.config.AgentConfig.Mode;
import io.vmguard.agent.config.AgentConfig.OnUnidentified;
import io.vmguard.agent.config.AgentConfig.OnUnprotected;
import io.vmguard.agent.config.AgentConfig.StorageRules;
import io.vmguard.agent.identity.Clusters;
import io.vmguard.agent.identity.StorageClusters;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Map;

/** Reads the agent's YAML file. A daemon that fences does not start on a guess: anything odd is a problem, and all are reported. */
public final class ConfigLoader {

    /** Where the packages put it. */
    public static final Path DEFAULT_FILE = Path.of("/etc/vmguard/vmguard.yaml");

    /** The commented default file has 3 KiB. */
    private static final int MAX_BYTES = 256 * 1024;

    private static final Duration ONE_SECOND = Duration.ofSeconds(1);
    private static final Duration MAX_IO_TIMEOUT = Duration.ofSeconds(30);
    /** A hook blocks other calls in libvirtd as well: longer than this, waiting does more harm than a refusal. */
    private static final Duration MAX_HOOK_TIMEOUT = Duration.ofMinutes(5);

    private static final Duration MIN_WATCHDOG_TIMEOUT = Duration.ofSeconds(10);

    private static final Duration MAX_WATCHDOG_TIMEOUT = Duration.ofSeconds(60);

    private ConfigLoader() {}

    /**
     * The settings in {@code file}; the defaults for keys, or a whole file, that are missing.
     *
     * @throws ConfigException with every problem found, also if the file cannot be read
     */
    public static AgentConfig load(Path file) throws ConfigException {
        ConfigProblems problems = new ConfigProblems(file);
        String yaml = read(file, problems);
        problems.throwIfAny();
        return parse(yaml, problems);
    }

    /**
     * The same of a file that somebody has named: then it is a mistake if it is missing.
     *
     * @throws ConfigException with every problem found, also if the file is not there or cannot be read
     */
    public static AgentConfig loadNamed(Path file) throws ConfigException {
        ConfigProblems problems = new ConfigProblems(file);
        problems.require(Files.exists(file, LinkOption.NOFOLLOW_LINKS), 0, "does not exist");
        problems.throwIfAny();
        return load(file);
    }

    /** @param yaml what is, or is to be, in that file */
    static AgentConfig parse(Path file, String yaml) throws ConfigException {
        return parse(yaml, new ConfigProblems(file));
    }

    private static AgentConfig parse(String yaml, ConfigProblems problems) throws ConfigException {
        AgentConfig config = settings(YamlEntries.read(yaml, problems), problems);
        problems.throwIfAny();
        return config;
    }

    /** What a file without any key means. */
    public static AgentConfig defaults() {
        ConfigProblems problems = new ConfigProblems(Path.of("defaults"));
        AgentConfig config = settings(Map.of(), problems);
        try {
            problems.throwIfAny();
        } catch (ConfigException e) {
            throw new IllegalStateException("the defaults break their own rules", e);
        }
        return config;
    }

    private static AgentConfig settings(Map<ConfigKey, YamlEntries.Entry> entries, ConfigProblems problems) {
        ConfigValues values = new ConfigValues(entries, problems);
        Duration watchdogTimeout =
                values.wholeSeconds(ConfigKey.WATCHDOG_TIMEOUT, MIN_WATCHDOG_TIMEOUT, MAX_WATCHDOG_TIMEOUT);
        // Domains are destroyed from 8 I/O timeouts after the last renewal on; others may take the leases one watchdog
        // timeout after that. What libvirt does not use must be enough for SIGKILL and the end of the process.
        Duration longestDestroy = watchdogTimeout
                .multipliedBy(2)
                .dividedBy(3)
                .truncatedTo(ChronoUnit.MILLIS)
                .minusMillis(1);
        Duration ioTimeout = values.wholeSeconds(ConfigKey.IO_TIMEOUT, ONE_SECOND, MAX_IO_TIMEOUT);
        WatchdogChoice watchdog = values.watchdog(ConfigKey.WATCHDOG, ioTimeout, watchdogTimeout);
        return new AgentConfig(
                values.path(ConfigKey.LEASE_DIR),
                values.lockspace(ConfigKey.LOCKSPACE),
                values.hostId(ConfigKey.HOST_ID),
                ioTimeout,
                watchdogTimeout,
                watchdog,
                values.hostCount(ConfigKey.MAX_HOSTS),
                values.localUri(ConfigKey.LIBVIRT_URI),
                values.choice(ConfigKey.MODE, Mode.values()),
                values.choice(ConfigKey.ON_UNPROTECTED, OnUnprotected.values()),
                values.flag(ConfigKey.ALLOW_IGNORE_LOCKFAILURE),
                values.flag(ConfigKey.LIVE_MIGRATION),
                values.flag(ConfigKey.ALLOW_UNGUARDED_MIGRATION),
                values.socketPath(ConfigKey.SOCKET),
                values.group(ConfigKey.SOCKET_GROUP),
                values.path(ConfigKey.STATE_DIR),
                values.path(ConfigKey.RUNTIME_DIR),
                values.duration(ConfigKey.HOOK_TIMEOUT, ONE_SECOND, MAX_HOOK_TIMEOUT),
                values.duration(ConfigKey.DESTROY_TIMEOUT, ONE_SECOND, longestDestroy),
                new StorageRules(
                        values.choice(ConfigKey.COMPAT, Compat.values()),
                        values.flag(ConfigKey.DOMAIN_LEASE),
                        values.choice(ConfigKey.ON_UNIDENTIFIED, OnUnidentified.values()),
                        new StorageClusters(
                                values.clusters(ConfigKey.CEPH_CLUSTERS, Clusters::ofCeph),
                                values.clusters(ConfigKey.GLUSTER_CLUSTERS, Clusters::ofGluster))));
    }

    /** The text of the file, empty if there is none. */
    private static String read(Path file, ConfigProblems problems) {
        // A link that leads nowhere is a mistake, not a missing file.
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return "";
        }
        if (!Files.isRegularFile(file)) {
            problems.add(0, Files.isDirectory(file) ? "is a directory" : "is not a file, or a link that leads nowhere");
            return "";
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            problems.require(bytes.length <= MAX_BYTES, 0, "is larger than %d KiB", MAX_BYTES / 1024);
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            problems.add(0, "is not UTF-8 text");
        } catch (AccessDeniedException e) {
            problems.add(0, "cannot be read: permission denied");
        } catch (IOException e) {
            problems.add(0, "cannot be read: %s", String.valueOf(e.getMessage()));
        }
        return "";
    }
}
