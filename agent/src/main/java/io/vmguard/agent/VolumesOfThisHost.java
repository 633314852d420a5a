/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent;

import io.vmguard.agent.derive.VolumeResolver;
import io.vmguard.agent.hypervisor.libvirt.LibvirtHypervisor;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** For commands: libvirt is not so much as loaded before a volume is asked for, and most domains have none. Any thread. */
final class VolumesOfThisHost implements VolumeResolver {
    /** Less than a derivation may take. */
    private static final Duration LIMIT = Duration.ofSeconds(3);

    private final String uri;
    private @Nullable VolumeResolver libvirt;

    /** @param uri of libvirt */
    VolumesOfThisHost(String uri) {
        this.uri = uri;
    }

    @Override
    public Resolution resolve(String pool, String volume, @Nullable String mode) {
        return libvirt()
                .resolve(pool, volume, mode)
                .<Resolution>fold(
                        local -> local,
                        remote -> remote,
                        unknown -> new CannotTell(unknown.reason()
                                + " (it can only be told on a host that has the pool, by its libvirt)"));
    }

    private synchronized VolumeResolver libvirt() {
        VolumeResolver known = libvirt;
        if (known == null) {
            known = new HypervisorVolumes(new LibvirtHypervisor(uri), LIMIT);
            libvirt = known;
        }
        return known;
    }
}
