/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.derive;

import io.vmguard.agent.derive.Protection.Impossible;
import io.vmguard.agent.derive.Protection.Lease;
import io.vmguard.agent.derive.Protection.NotNeeded;
import io.vmguard.agent.domain.DiskSource;
import java.util.stream.Collectors;

/** What each kind of source needs when it is writable. */
final class SourceProtection implements DiskSource.Cases<Protection> {

    private final VolumeResolver volumes;

    SourceProtection(VolumeResolver volumes) {
        this.volumes = volumes;
    }

    @Override
    public Protection empty(DiskSource.Empty source) {
        return new NotNeeded("no medium");
    }

    @Override
    public Protection file(DiskSource.File source) {
        return path("file", source.path());
    }

    @Override
    public Protection block(DiskSource.Block source) {
        return path("block", source.path());
    }

    @Override
    public Protection directory(DiskSource.Directory source) {
        return path("dir", source.path());
    }

    @Override
    public Protection network(DiskSource.Network source) {
        return NetworkProtection.of(source);
    }

    @Override
    public Protection volume(DiskSource.Volume source) {
        if (source.pool().isEmpty() || source.volume().isEmpty()) {
            return new Impossible("the volume source does not name a pool and a volume");
        }
        return volumes.resolve(source.pool(), source.volume(), source.mode())
                .fold(
                        local -> path("file", local.path()),
                        remote -> network(remote.source()),
                        unknown -> new Impossible(
                                "volume " + source.pool() + "/" + source.volume() + ": " + unknown.reason()));
    }

    @Override
    public Protection nvme(DiskSource.Nvme source) {
        return new NotNeeded("nvme: a PCI device of this host, which no other host can reach");
    }

    @Override
    public Protection vhostUser(DiskSource.VhostUser source) {
        return new NotNeeded("vhostuser: only the process behind the socket knows which disk this is");
    }

    @Override
    public Protection vhostVdpa(DiskSource.VhostVdpa source) {
        return new NotNeeded("vhostvdpa: only the device of this host knows which disk this is");
    }

    @Override
    public Protection unknown(DiskSource.Unknown source) {
        if (source.attributes().isEmpty()) {
            return new Impossible("disk type " + source.type() + " is not known to this version of vmguard");
        }
        String identity = source.attributes().entrySet().stream()
                .map(entry -> entry.getKey() + "=" + entry.getValue())
                .collect(Collectors.joining(",", source.type() + ":", ""));
        return new Lease(identity, ResourceName.ofIdentity(source.type(), identity));
    }

    /** A file, a device and a directory of one path are one lease, as on hosts with libvirt's own sanlock plug-in. */
    private static Protection path(String kind, String path) {
        return path.isEmpty()
                ? new Impossible("the " + kind + " source names no path")
                : new Lease(kind + ":" + path, ResourceName.ofPath(path));
    }
}
