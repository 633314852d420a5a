/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hypervisor.libvirt;

import io.vmguard.agent.hypervisor.VolumeResult;
import java.util.List;
import org.libvirt.jna.CString;
import org.libvirt.jna.StoragePoolPointer;
import org.libvirt.jna.StorageVolPointer;
import org.libvirt.jna.virStorageVolInfo;

/**
 * What a volume stands for, decided as libvirt does for {@code <disk type='volume'>} (docs: formatdomain.html, "volume").
 * Storage calls only: they answer while a hook of a domain is being served.
 */
final class Volumes {

    /** {@code virStorageVolType} in libvirt-storage.h. */
    private static final int VOLUME_FILE = 0;

    private static final int VOLUME_BLOCK = 1;
    private static final int VOLUME_PLOOP = 5;

    /** {@code unit:HOST:BUS:TARGET-LUN}, the name that both iSCSI pool types give a volume. */
    private static final int ISCSI_NAME_PARTS = 4;

    private Volumes() {}

    /** Resolves; blocks as long as libvirt does. */
    static VolumeResult resolve(Connection connection, String poolName, String volumeName, String mode)
            throws LibvirtFailure {
        LibvirtCalls calls = connection.calls();
        StoragePoolPointer pool = calls.virStoragePoolLookupByName(connection.pointer(), poolName);
        if (pool == null) {
            throw LibvirtFailure.last(calls, "storage pool " + poolName);
        }
        try {
            CString xml = calls.virStoragePoolGetXMLDesc(pool, 0);
            if (xml == null) {
                throw LibvirtFailure.last(calls, "XML of storage pool " + poolName);
            }
            StorageVolPointer volume = calls.virStorageVolLookupByName(pool, volumeName);
            if (volume == null) {
                throw LibvirtFailure.last(calls, "volume " + volumeName + " of storage pool " + poolName);
            }
            try {
                PoolDescription description = PoolDescription.parse(xml.toString());
                return meaning(calls, description, volume, volumeName, mode);
            } finally {
                calls.virStorageVolFree(volume);
            }
        } finally {
            calls.virStoragePoolFree(pool);
        }
    }

    private static VolumeResult meaning(
            LibvirtCalls calls, PoolDescription pool, StorageVolPointer volume, String volumeName, String mode)
            throws LibvirtFailure {
        return switch (pool.type()) {
            case "dir", "fs", "netfs", "logical", "disk", "scsi", "zfs", "vstorage" -> local(calls, volume, volumeName);
            case "iscsi" ->
                mode.equals("direct")
                        ? iscsiLun(pool, volumeName)
                        : new VolumeResult.BlockPath(path(calls, volume, volumeName));
            case "iscsi-direct" -> iscsiLun(pool, volumeName);
            case "rbd" ->
                pool.sourceName().isEmpty()
                        ? new VolumeResult.CannotTell("the rbd pool names no Ceph pool")
                        : new VolumeResult.NetworkSource(
                                "rbd", pool.sourceName() + "/" + volumeName, pool.sourceHosts());
            default ->
                new VolumeResult.CannotTell(
                        "a volume of a storage pool of type '" + pool.type() + "' has no known identity");
        };
    }

    private static VolumeResult local(LibvirtCalls calls, StorageVolPointer volume, String volumeName)
            throws LibvirtFailure {
        virStorageVolInfo info = new virStorageVolInfo();
        if (calls.virStorageVolGetInfo(volume, info) < 0) {
            throw LibvirtFailure.last(calls, "type of volume " + volumeName);
        }
        return switch (info.type) {
            case VOLUME_FILE, VOLUME_PLOOP -> new VolumeResult.FilePath(path(calls, volume, volumeName));
            case VOLUME_BLOCK -> new VolumeResult.BlockPath(path(calls, volume, volumeName));
            default ->
                new VolumeResult.CannotTell(
                        "volume " + volumeName + " is neither a file nor a block device (type " + info.type + ")");
        };
    }

    private static String path(LibvirtCalls calls, StorageVolPointer volume, String volumeName) throws LibvirtFailure {
        CString path = calls.virStorageVolGetPath(volume);
        if (path == null) {
            throw LibvirtFailure.last(calls, "path of volume " + volumeName);
        }
        return path.toString();
    }

    /** libvirt makes the name from the pool's only source device, the IQN, and the last part of the volume's name. */
    static VolumeResult iscsiLun(PoolDescription pool, String volumeName) {
        List<String> devices = pool.sourceDevices();
        String[] parts = volumeName.split(":", -1);
        if (devices.size() != 1
                || devices.get(0).isEmpty()
                || parts.length != ISCSI_NAME_PARTS
                || !parts[0].equals("unit")
                || !parts[3].matches("[0-9]+")) {
            return new VolumeResult.CannotTell("volume " + volumeName + " of an iSCSI pool with source devices "
                    + devices + " does not tell target and LUN");
        }
        return new VolumeResult.NetworkSource("iscsi", devices.get(0) + "/" + parts[3], pool.sourceHosts());
    }
}
