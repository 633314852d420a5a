/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import io.vmguard.agent.hypervisor.Hypervisor;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Lets the derivation ask the hypervisor's storage driver. Storage questions may be asked while a hook is served. */
record HypervisorVolumes(Hypervisor hypervisor, Duration limit) implements VolumeResolver {
    @Override
    public Resolution resolve(String pool, String volume, @Nullable String mode) {
        return hypervisor
                .resolveVolume(pool, volume, mode == null ? "" : mode, limit)
                .<Resolution>fold(
                        file -> new LocalPath(file.path()),
                        block -> new LocalPath(block.path()),
                        network -> new Remote(new DiskSource.Network(
                                network.protocol(),
                                network.name(),
                                network.hosts().stream()
                                        .map(host -> NetworkHost.tcp(host, ""))
                                        .toList(),
                                null)),
                        cannotTell -> new CannotTell(cannotTell.reason()));
    }
}
