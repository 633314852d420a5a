/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.stream.Stream;
import org.testcontainers.containers.wait.strategy.Wait;

/** A container in which emulated machines with a kernel of their own run; the built packages are in its {@code /packages}. */
final class MachineHost extends TestContainer {
    private static final Duration BOOT_LIMIT = Duration.ofSeconds(60);

    private MachineHost(String name, String network, Bind... binds) {
        super(
                name,
                name,
                Wait.forSuccessfulCommand("true").withStartupTimeout(BOOT_LIMIT),
                create -> create.getHostConfig().withNetworkMode(network).withBinds(binds),
                "sleep",
                "3600");
    }

    /** One whose machines see nothing but each other. */
    static MachineHost apart(String name, Path packages) {
        return new MachineHost(name, "none", packages(packages));
    }

    /** One whose machines can ask a cluster on the loopback address of this machine. */
    static MachineHost onLoopback(String name, Path packages, Bind... more) {
        return new MachineHost(
                name,
                "host",
                Stream.concat(Arrays.stream(more), Stream.of(packages(packages)))
                        .toArray(Bind[]::new));
    }

    private static Bind packages(Path directory) {
        return new Bind(directory.toString(), new Volume("/packages"));
    }

    /** Why none of these machines can boot on this processor; empty if they can. */
    static String missing() {
        return System.getProperty("os.arch").equals("amd64") ? "" : "its kernel is for amd64";
    }
}
