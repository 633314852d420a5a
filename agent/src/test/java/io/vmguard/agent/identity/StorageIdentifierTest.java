/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import io.vmguard.agent.identity.LeaseKey.Role;
import io.vmguard.agent.testing.RecordedHost;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What files and devices are, on hosts of which the kernel's and udev's own texts are recorded. */
class StorageIdentifierTest {
    private static final String CLUSTER_A = "a7f64266-0894-4f1e-a635-d0aeaca0e993";
    private static final String CLUSTER_B = "b7f64266-0894-4f1e-a635-d0aeaca0e993";
    private static final String LV = "lvm:Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6/J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2";
    private static final String LUN = "wwn:6001405abcdef0123456789abcdef012";

    private static final IdentityRules PLAIN = new IdentityRules(false, false, StorageClusters.NONE);

    // ---- each kind of storage, by its identity

    @ParameterizedTest
    @CsvSource({
        "/mnt/nas/vm1.qcow2, nfs:nas.example/export/vms/vm1.qcow2",
        "/mnt/nas/../nas//./vm1.qcow2, nfs:nas.example/export/vms/vm1.qcow2",
        "/srv/bind here/vm2.qcow2, nfs:nas.example/export/vms/sub/vm2.qcow2",
        "/mnt/old/vm1.img, nfs:nas/export/old/vm1.img",
        "/mnt/ceph/vm1.img, cephfs:vms/vm1.img",
        "/mnt/cephfuse/vm1.img, cephfs:vms/vm1.img",
        "/mnt/gluster/dir/vm1.img, gluster:vol1/dir/vm1.img",
        "/mnt/old/over/vm1.img, fs:5e1f8b51-0000-4444-8888-c0ffee000001/vm1.img",
        "/mnt/btrfs/vm1.img, fs:b7b7b7b7-1234-4321-8888-c0ffee000002/vm1.img",
        "/mnt/smb/Dir/VM1.vhd, cifs:files/vms/dir/vm1.vhd",
        "/mnt/lustre/vm1.img, lustre:scratch/vm1.img",
        "/tank/vms/vm1.img, zfs:tank/vms/vm1.img",
        "/vms/vm1.qcow2, fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f/vm1.qcow2",
        "/var/lib/libvirt/images/vm1.qcow2, fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f/vm1.qcow2",
        "/srv/templates/base.qcow2, fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f/templates/base.qcow2",
        "/var/lib/libvirt/images/templates/base.qcow2, fs:8d0a7c1e-5b5e-4f3f-9a52-0a1b2c3d4e5f/templates/base.qcow2",
        "/vm-root.img, fs:1f2e3d4c-1111-4222-8333-444455556666/vm-root.img",
        "/run/vm1.img, file:/run/vm1.img",
        "/mnt/fuse/vm1.img, file:/mnt/fuse/vm1.img",
        "/dev/vg1/data, " + LV,
        "/dev/mapper/vg1-data, " + LV,
        "/dev/dm-3, " + LV,
        "/dev/dm-6, " + LV,
        "/dev/mapper/mpatha, " + LUN,
        "/dev/sde, " + LUN,
        "/dev/disk/by-id/wwn-0x6001405abcdef0123456789abcdef012, " + LUN,
        "/dev/disk/by-path/ip-10.0.0.7:3260-iscsi-iqn.2013-07.com.example:store-lun-1, " + LUN,
        "/dev/sde2, " + LUN + " partition 2",
        "/dev/mapper/mpatha-part1, " + LUN + " partition 1",
        "/dev/nvme0n1, wwn:0025385b71b0a1c2",
        "/dev/rbd0, rbd:rbd/vm1",
        "/dev/rbd/rbd/vm1, rbd:rbd/vm1",
        "/dev/loop0, nfs:nas.example/export/vms/vm1.qcow2",
        "/dev/nbd0, nbd:nbd.example:10809/export1",
        "/dev/nbd1, nfs:nas.example/export/vms/vm1.qcow2",
        "/dev/drbd0, drbd:r0/0",
        "/dev/md127, md:1a2b3c4d:5e6f7a8b:9c0d1e2f:3a4b5c6d",
        "/dev/vdb, serial:9f4b1f3e-7b1c-4a5e-a",
        "/dev/vdc, file:/dev/vdc",
        "/dev/loop1, file:/dev/loop1",
        "/dev/dax0.0, file:/dev/dax0.0",
        "relative.img, file:relative.img"
    })
    void storageIsKnownByItsOwnName(String path, String identity) {
        assertThat(known("node-a", path).keys().get(0).identity()).isEqualTo(identity);
        assertThat(known("node-a", path).keys().get(0).role()).isEqualTo(Role.IDENTITY);
    }

    @Test
    void aBlockDeviceWrittenAsAFileIsTheSameDisk() {
        assertThat(names(identify("node-a", PLAIN, new DiskSource.Block("/dev/sde"))))
                .isEqualTo(names(identify("node-a", PLAIN, new DiskSource.File("/dev/sde"))));
    }

    @Test
    void aMappedRbdImageIsTheNetworkDisk() {
        assertThat(names(known("node-a", "/dev/rbd0"))).isEqualTo(names(network("rbd", "rbd/vm1")));
    }

    @Test
    void aMappedSnapshotIsReadOnly() {
        assertThat(identify("node-a", PLAIN, new DiskSource.Block("/dev/rbd1")))
                .isEqualTo(new Identity.Unneeded("read-only snapshot"));
    }

    @Test
    void aScsiDeviceIsKnownByItsDiskOrItsWorldWideName() {
        StorageIdentifier identifier = new StorageIdentifier(PLAIN, RecordedHost.of("node-a"));
        assertThat(names(identifier.identifyScsi("2:0:0:1"))).isEqualTo(names(known("node-a", "/dev/sde")));
        assertThat(((Identity.Known) identifier.identifyScsi("3:0:0:0")).keys())
                .extracting(LeaseKey::identity)
                .containsExactly("wwn:hp_ultrium_4-scsi_hu10123456");
        assertThat(((Identity.Known) identifier.identifyScsi("9:0:0:0")).note()).isPresent();
    }

    // ---- two hosts

    @ParameterizedTest
    @CsvSource({
        "/mnt/nas/vm1.qcow2, node-b, /data/nas/vms/vm1.qcow2",
        "/srv/bind here/vm2.qcow2, node-b, /data/nas/vms/sub/vm2.qcow2",
        "/mnt/nas/vm1.qcow2, nas, /srv/vms/vm1.qcow2",
        "/mnt/nas/vm1.qcow2, nas, /export/vms/vm1.qcow2",
        "/mnt/ceph/vm1.img, node-b, /data/ceph/vms/vm1.img",
        "/mnt/cephfuse/vm1.img, node-b, /data/ceph/vms/vm1.img",
        "/mnt/gluster/dir/vm1.img, node-b, /data/gluster/vm1.img",
        "/mnt/old/over/vm1.img, node-b, /data/san/vm1.img",
        "/dev/mapper/mpatha, node-b, /dev/sdx",
        "/dev/mapper/vg1-data, node-b, /dev/vg1/data"
    })
    void oneDiskByTwoNamesHasALeaseInCommon(String onA, String host, String there) {
        assertThat(names(known("node-a", onA))).containsAnyElementsOf(names(known(host, there)));
    }

    @ParameterizedTest
    @CsvSource({
        "/var/lib/libvirt/images/vm1.qcow2, node-b, /var/lib/libvirt/images/vm1.qcow2",
        "/mnt/nas/vm1.qcow2, node-b, /var/lib/libvirt/images/vm1.qcow2",
        "/mnt/nas/vm1.qcow2, nas, /srv/private/vm9.qcow2",
        "/mnt/nas/vm1.qcow2, node-b, /data/nas/vms/sub/vm2.qcow2"
    })
    void twoDisksHaveNoLeaseInCommon(String onA, String host, String there) {
        assertThat(names(known("node-a", onA))).doesNotContainAnyElementsOf(names(known(host, there)));
    }

    @Test
    void withCompatTwoDisksOfOnePathDoStandInEachOthersWay() {
        IdentityRules compat = IdentityRules.DEFAULT;
        DiskSource source = new DiskSource.File("/var/lib/libvirt/images/vm1.qcow2");
        assertThat(names(identify("node-a", compat, source)))
                .containsAnyElementsOf(names(identify("node-b", compat, source)));
    }

    /** Hosts that know paths alone, vmguard 0.1.0 and libvirt's plug-in, are excluded whatever is found out here. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "/mnt/nas/vm1.qcow2",
                "/vms/vm1.qcow2",
                "/dev/vg1/data",
                "/run/vm1.img",
                "/dangling.img",
                "/dev/vdc"
            })
    void withCompatThePathAsWrittenIsAlwaysLeased(String path) {
        LeaseKey byPath = ((Identity.Known) StorageIdentifier.byNameAlone().identify(new DiskSource.File(path)))
                .keys()
                .get(0);
        assertThat(names(identify("node-a", IdentityRules.DEFAULT, new DiskSource.File(path))))
                .contains(byPath.resource());
    }

    @Test
    void aLunIsKnownByItsTargetToo() {
        Set<String> byQemu = names(network("iscsi", "iqn.2013-07.com.example:store/1"));
        assertThat(names(known("node-a", "/dev/sde"))).containsAll(byQemu);
        assertThat(names(known("node-a", "/dev/mapper/mpatha"))).containsAll(byQemu);
        assertThat(names(known("node-b", "/dev/sdx"))).containsAll(byQemu);
    }

    @Test
    void filesOnMountsAreTheNetworkDisksOfQemu() {
        assertThat(names(known("node-a", "/mnt/nas/vm1.qcow2")))
                .containsAll(names(identify(
                        "node-a",
                        PLAIN,
                        new DiskSource.Network(
                                "nfs", "/export/vms/vm1.qcow2", List.of(NetworkHost.tcp("NAS.example", "")), null))));
        assertThat(names(known("node-a", "/mnt/gluster/dir/vm1.img")))
                .isEqualTo(names(network("gluster", "vol1/dir/vm1.img")));
    }

    // ---- partitions

    @Test
    void aPartitionLeavesItsDeviceToOtherPartitionsOnly() {
        List<LeaseKey> keys = known("node-a", "/dev/sde2").keys();
        assertThat(keys)
                .filteredOn(key -> key.role() == Role.WHOLE)
                .extracting(LeaseKey::identity)
                .contains(LUN);
        assertThat(keys)
                .filteredOn(key -> key.role() != Role.WHOLE)
                .extracting(LeaseKey::identity)
                .doesNotContain(LUN);
    }

    // ---- what cannot be found out

    @Test
    void whatIsNotIdentifiedSaysWhyAndCanBeRefused() {
        IdentityRules refuse = new IdentityRules(false, true, StorageClusters.NONE);
        for (String path : List.of("/run/vm1.img", "/dev/vdc", "/mnt/fuse/vm1.img", "/dev/loop1", "relative")) {
            assertThat(known("node-a", path).note()).as(path).isPresent();
            assertThat(identify("node-a", refuse, new DiskSource.File(path)))
                    .as(path)
                    .isInstanceOf(Identity.Refused.class);
        }
    }

    /** Of what has no better name: one lease is common to all paths that lead there on this host. */
    @ParameterizedTest
    @CsvSource({
        "/mnt/fuse/sub/vm1.img, /srv/bound/vm1.img",
        "/srv/bound/vm1.img, /srv/link/vm1.img",
        "/dev/vdc, /opt/disk"
    })
    void twoPathsToOneUnidentifiedImageHaveALeaseInCommon(String one, String other) {
        RecordedHost host = RecordedHost.of("node-a").and("""
                == /proc/self/mountinfo
                22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw
                30 22 0:50 / /mnt/fuse rw shared:26 - fuse.bindfs bindfs rw,user_id=0
                31 22 0:50 /sub /srv/bound rw shared:26 - fuse.bindfs bindfs rw,user_id=0
                == file /mnt/fuse/sub/vm1.img
                == file /srv/bound/vm1.img
                == link /srv/link -> bound
                == block /opt/disk 254:32
                """);
        assertThat(names(known(host, one))).containsAnyElementsOf(names(known(host, other)));
    }

    /** As Debian's kernel 6.1 wrote it, running from its initial file system, with NFS-Ganesha on an address of the same machine. */
    @ParameterizedTest
    @CsvSource({
        "/mnt/a/dir/vm.img, nfs:filer/one/dir/vm.img",
        "/mnt/b/dir/vm.img, nfs:10.1.2.3/one/dir/vm.img",
        "/mnt/sub/vm.img, nfs:filer/one/dir/vm.img",
        "/mnt/bind/vm.img, nfs:filer/one/dir/vm.img",
        "/mnt/two/dir/vm.img, nfs:filer/two/dir/vm.img",
        "/mnt/root/one, nfs:filer/one",
        "/mnt/v3/dir/vm.img, nfs:filer/srv/one/dir/vm.img",
        "/bound/local.img, fs:11111111-2222-4333-8444-555555555555/local.img"
    })
    void aHostThatRunsFromItsInitialFileSystemKnowsItsMounts(String path, String identity) {
        RecordedHost host = new RecordedHost().and("""
                == /proc/self/mountinfo
                1 1 0:2 / / rw - rootfs rootfs rw,size=372600k,nr_inodes=93150,inode64
                23 1 0:5 / /dev rw,relatime - devtmpfs dev rw,size=372600k,nr_inodes=93150,mode=755,inode64
                26 1 253:0 / /srv rw,relatime - ext4 /dev/vda rw
                27 1 253:0 / /bound rw,relatime - ext4 /dev/vda rw
                30 1 0:24 / /mnt/a rw,relatime - nfs4 filer:/one rw,vers=4.1,hard,proto=tcp,clientaddr=10.1.2.3,addr=10.1.2.3
                31 1 0:25 / /mnt/b rw,relatime - nfs4 10.1.2.3:/one rw,vers=4.2,hard,clientaddr=10.1.2.3,addr=10.1.2.3
                29 1 0:23 / /mnt/root rw,relatime - nfs4 filer:/ rw,vers=4.1,hard,clientaddr=10.1.2.3,addr=10.1.2.3
                33 1 0:24 / /mnt/sub rw,relatime - nfs4 filer:/one/dir rw,vers=4.1,hard,clientaddr=10.1.2.3,addr=10.1.2.3
                34 1 0:24 / /mnt/two rw,relatime - nfs4 filer:/two rw,vers=4.1,hard,clientaddr=10.1.2.3,addr=10.1.2.3
                28 1 0:24 / /mnt/bind rw,relatime - nfs4 filer:/one/dir rw,vers=4.1,hard,clientaddr=10.1.2.3,addr=10.1.2.3
                32 1 0:26 / /mnt/v3 rw,relatime - nfs filer:/srv/one rw,vers=3,hard,nolock,mountaddr=10.1.2.3,addr=10.1.2.3
                == /run/udev/data/b253:0
                E:ID_FS_UUID=11111111-2222-4333-8444-555555555555
                """);
        Identity.Known known = known(host, path);
        assertThat(known.keys().get(0).identity()).isEqualTo(identity);
        if (identity.startsWith("nfs:filer/one/")) {
            assertThat(names(known)).containsAnyElementsOf(names(known(host, "/mnt/b/dir/vm.img")));
        }
    }

    @Test
    void cephFuseIsKnownByItsProcessAlsoThroughABindMountOrALink() {
        RecordedHost host = RecordedHost.of("node-a").and("""
                == /proc/self/mountinfo
                22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw
                30 22 0:51 / /mnt/real rw shared:27 - fuse.ceph-fuse ceph-fuse rw,user_id=0
                31 22 0:51 /sub /srv/bound rw shared:27 - fuse.ceph-fuse ceph-fuse rw,user_id=0
                == /proc/4242/cmdline
                ceph-fuse\u2400-m\u240010.0.0.21\u2400-r\u2400/vms\u2400/mnt/by-link/\u2400
                == link /mnt/by-link -> real
                == file /mnt/real/sub/vm1.img
                == file /srv/bound/vm1.img
                """);
        for (String path : List.of("/mnt/real/sub/vm1.img", "/srv/bound/vm1.img")) {
            assertThat(known(host, path).keys())
                    .as(path)
                    .extracting(LeaseKey::identity)
                    .containsExactly("cephfs:vms/sub/vm1.img");
        }
    }

    @Test
    void aLeftOverCephFuseAtTheSamePlaceCountsToo() {
        RecordedHost host = RecordedHost.of("node-a").and("""
                == /proc/4343/cmdline
                ceph-fuse\u2400-r\u2400/old\u2400/mnt/cephfuse\u2400
                """);
        assertThat(known(host, "/mnt/cephfuse/vm1.img").keys())
                .extracting(LeaseKey::identity)
                .containsExactlyInAnyOrder("cephfs:vms/vm1.img", "cephfs:old/vm1.img");
    }

    @Test
    void aPathThatIsNotThereIsLeasedByItsPathToo() {
        Identity.Known known = known("node-a", "/dangling.img");
        assertThat(known.note()).hasValue("there is no /mnt/nas/not-there.img");
        assertThat(known.keys())
                .extracting(LeaseKey::identity)
                .containsExactly(
                        "nfs:nas.example/export/vms/not-there.img",
                        "nfs:10.0.0.5/export/vms/not-there.img",
                        "file:/dangling.img");
    }

    @Test
    void whatMayNotBeLookedAtIsLeasedByItsPathToo() {
        Identity.Known known = known("node-a", "/mnt/nas/private/vm3.qcow2");
        assertThat(known.note()).isPresent();
        assertThat(known.keys())
                .extracting(LeaseKey::identity)
                .contains("nfs:nas.example/export/vms/private/vm3.qcow2", "file:/mnt/nas/private/vm3.qcow2");
    }

    @ParameterizedTest
    @CsvSource({"/loop, its symbolic links lead in a circle", "/mnt/old/stale, /mnt/old/stale: Stale file handle"})
    void whatGivesAnErrorIsRefusedAndNeverKnownByAWeakerName(String path, String reason) {
        assertThat(identify("node-a", PLAIN, new DiskSource.File(path))).isEqualTo(new Identity.Refused(reason));
    }

    @Test
    void aHostWithoutAnyTextStillNamesEverything() {
        StorageIdentifier bare = new StorageIdentifier(PLAIN, new RecordedHost());
        assertThat(names(bare.identify(new DiskSource.File("/a/b"))))
                .isEqualTo(names(StorageIdentifier.byNameAlone().identify(new DiskSource.File("/a/b"))));
    }

    // ---- Ceph clusters

    @Test
    void clustersAreToldApartByMonitorsOnly() {
        Clusters two = Clusters.ofCeph(CLUSTER_A + "=mon1,default " + CLUSTER_B + "=mon2,/etc/ceph/b.conf");
        IdentityRules rules = new IdentityRules(false, false, new StorageClusters(two, Clusters.NONE));
        assertThat(rbd(rules, "rbd/vm1")).containsExactly("rbd:rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1", "MON1:6789")).containsExactly("rbd:rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1", "mon2.", "other")).containsExactly("rbd:" + CLUSTER_B + "/rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1:conf=/etc/ceph/b.conf")).containsExactly("rbd:" + CLUSTER_B + "/rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1:mon_host=mon2\\:6789\\;mon3")).containsExactly("rbd:" + CLUSTER_B + "/rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1", "unknown")).containsExactly("rbd:rbd/vm1", "rbd:" + CLUSTER_B + "/rbd/vm1");
        assertThat(rbd(rules, "rbd/vm1", "mon1", "mon2"))
                .containsExactly("rbd:rbd/vm1", "rbd:" + CLUSTER_B + "/rbd/vm1");
        assertThat(names(identify("node-a", rules, new DiskSource.Block("/dev/rbd0"))))
                .isEqualTo(names(network("rbd", "rbd/vm1")));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"x=mon1", CLUSTER_A, CLUSTER_A + "=", CLUSTER_A + "=a,a", CLUSTER_A + "=a " + CLUSTER_A + "=b"})
    void wrongClustersAreRefused(String text) {
        org.assertj.core.api.Assertions.assertThatThrownBy(() -> Clusters.ofCeph(text))
                .isInstanceOf(IllegalArgumentException.class);
    }

    /** As QEMU reaches it, and as it is mounted. */
    @Test
    void poolsOfGlusterAreToldApartByTheirServersOnly() {
        assertThat(gluster("east=gl1,gl2 west=gl3", "GL2")).containsExactly("gluster:vol1/dir/vm1.img");
        assertThat(gluster("east=gl1,gl2 west=gl3", "gl3")).containsExactly("gluster:west/vol1/dir/vm1.img");
        assertThat(gluster("east=gl1,gl2 west=gl3", "gl4"))
                .as("of one of them, and nobody knows of which")
                .containsExactly("gluster:vol1/dir/vm1.img", "gluster:west/vol1/dir/vm1.img");
        assertThat(gluster("", "gl3")).containsExactly("gluster:vol1/dir/vm1.img");
        assertThat(mounted("east=gl1 west=gl3")).isEqualTo(gluster("east=gl1 west=gl3", "gl1"));
        assertThat(mounted("west=gl3 east=gl1")).containsExactly("gluster:east/vol1/dir/vm1.img");
        assertThat(mounted("west=gl3")).isEqualTo(gluster("west=gl3", "gl9"));
    }

    private static List<String> gluster(String clusters, String server) {
        return keys(identify(
                "node-a",
                glusterRules(clusters),
                new DiskSource.Network(
                        "gluster", "vol1/dir/vm1.img", List.of(NetworkHost.tcp(server, "24007")), null)));
    }

    private static List<String> mounted(String clusters) {
        return keys(identify("node-a", glusterRules(clusters), new DiskSource.File("/mnt/gluster/dir/vm1.img")));
    }

    private static IdentityRules glusterRules(String clusters) {
        return new IdentityRules(false, false, new StorageClusters(Clusters.NONE, Clusters.ofGluster(clusters)));
    }

    private static List<String> rbd(IdentityRules rules, String name, String... monitors) {
        List<NetworkHost> hosts =
                List.of(monitors).stream().map(m -> NetworkHost.tcp(m, "6789")).toList();
        return keys(identify("node-a", rules, new DiskSource.Network("rbd", name, hosts, null)));
    }

    private static List<String> keys(Identity identity) {
        return ((Identity.Known) identity)
                .keys().stream().map(LeaseKey::identity).toList();
    }

    private static Identity network(String protocol, String name) {
        return identify("node-a", PLAIN, new DiskSource.Network(protocol, name, List.of(), null));
    }

    private static Identity.Known known(String host, String path) {
        Identity identity = identify(host, PLAIN, new DiskSource.File(path));
        assertThat(identity).isInstanceOf(Identity.Known.class);
        return (Identity.Known) identity;
    }

    private static Identity.Known known(RecordedHost host, String path) {
        return (Identity.Known) new StorageIdentifier(PLAIN, host).identify(new DiskSource.File(path));
    }

    private static Identity identify(String host, IdentityRules rules, DiskSource source) {
        return new StorageIdentifier(rules, RecordedHost.of(host)).identify(source);
    }

    private static Set<String> names(Identity identity) {
        return ((Identity.Known) identity)
                .keys().stream().map(LeaseKey::resource).collect(Collectors.toSet());
    }
}
