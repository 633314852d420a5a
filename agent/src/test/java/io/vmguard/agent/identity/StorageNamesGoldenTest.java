/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.testing.RecordedHost;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Names on disk that must never change, for hosts of two versions run side by side; computed apart from this code, with sha256sum. */
class StorageNamesGoldenTest {

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "/vms/vm1.qcow2 | fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f/vm1.qcow2 | fs-47ed6be508cac9029712e0532f0f019df5c66901",
                "/mnt/nas/vm1.qcow2 | nfs:nas.example/export/vms/vm1.qcow2 | nfs-8b6910a67c292cfdc04d9d51d6acd5b0a41473bc",
                "/mnt/nas/vm1.qcow2 | nfs:10.0.0.5/export/vms/vm1.qcow2 | nfs-0a6e72c2641767f91d384017fc87026e40c5b094",
                "/mnt/ceph/vm1.img | cephfs:vms/vm1.img | cephfs-3b8b667d213953e8442118b304c3faf88d29d5e8",
                "/mnt/gluster/dir/vm1.img | gluster:vol1/dir/vm1.img | gluster-4e60516527686b7119d2bb2e0002413d4fa835a5",
                "/mnt/smb/Dir/VM1.vhd | cifs:files/vms/dir/vm1.vhd | cifs-d3617b8d8f551968029a21f65bc04dbbdc2bc5a4",
                "/mnt/lustre/vm1.img | lustre:scratch/vm1.img | lustre-bed0e360fb3f5dd0467abb935d116b69987b944e",
                "/tank/vms/vm1.img | zfs:tank/vms/vm1.img | zfs-e3c0f61cac4c80b66c4cd79a954d6b70bc2d877e",
                "/dev/vg1/data | lvm:Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6/J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2 | lvm-976481716eb501ba254967e092b291006df8a6b2",
                "/dev/sde | wwn:6001405abcdef0123456789abcdef012 | wwn-c2ef451b407e309c34ba2d34fc7db9308b8e63b3",
                "/dev/mapper/mpatha | iscsi:iqn.2013-07.com.example:store/1 | iscsi-4d754f612a8535114c76f9c91a2df8bd67b91f64",
                "/dev/drbd0 | drbd:r0/0 | drbd-960a96bf202ad78b143a49fedc85ce10844172a5",
                "/dev/md127 | md:1a2b3c4d:5e6f7a8b:9c0d1e2f:3a4b5c6d | md-884cb359d37af8e66efbb4c924ccc6d22964587a",
                "/dev/vdb | serial:9f4b1f3e-7b1c-4a5e-a | serial-bfbb1d87514c6a0e8cbf44c7c87b2d19cafb8a54",
                "/dev/sde2 | wwn:6001405abcdef0123456789abcdef012 partition 2 | part-0c330fc305459074ba0ef26f40be07388e72abd6"
            })
    void aNameOnDiskNeverChanges(String path, String identity, String resource) {
        Identity found = new StorageIdentifier(
                        new IdentityRules(false, false, StorageClusters.NONE), RecordedHost.of("node-a"))
                .identify(new DiskSource.File(path));
        assertThat(((Identity.Known) found).keys())
                .filteredOn(key -> key.identity().equals(identity))
                .extracting(LeaseKey::resource)
                .containsExactly(resource);
    }
}
