/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.NetworkHost;
import io.vmguard.agent.testing.RecordedHost;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Names of one disk that are easily taken for two, and the other way round. Forms: the kernel's own, and each program's manual. */
class TwoNamesTest {
    private static final String CLUSTER_A = "a7f64266-0894-4f1e-a635-d0aeaca0e993";
    private static final String CLUSTER_B = "b7f64266-0894-4f1e-a635-d0aeaca0e993";
    private static final IdentityRules PLAIN = new IdentityRules(false, false, StorageClusters.NONE);
    private static final IdentityRules TWO_CLUSTERS = new IdentityRules(
            false,
            false,
            new StorageClusters(
                    Clusters.ofCeph(CLUSTER_A + "=mon1,default " + CLUSTER_B + "=mon2,/etc/ceph/b.conf"),
                    Clusters.NONE));

    private static RecordedHost mounts(String table) {
        return new RecordedHost().and("""
                == /proc/sys/kernel/hostname
                node-a
                == /proc/net/fib_trie
                Main:
                           |-- 10.0.0.11
                              /32 host LOCAL
                == /run/udev/data/b8:1
                E:ID_FS_UUID=11111111-2222-4333-8444-555555555555
                == /run/udev/data/b8:17
                E:ID_FS_UUID=66666666-2222-4333-8444-555555555555
                == block /dev/sda1 8:1
                == /proc/self/mountinfo
                """ + table);
    }

    // ---- file systems

    /** Of a share that is mounted more than once, the kernel shows the source of the first mount and the directory in the root. */
    @ParameterizedTest
    @CsvSource({
        "/mnt/sub/vm.img, /mnt/share/dir/vm.img",
        "/mnt/prefix/vm.img, /mnt/share/dir/vm.img",
        "/mnt/first/vm.img, /mnt/share/dir/vm.img"
    })
    void aDirectoryOfASambaShareMountedByItselfIsInTheShare(String one, String other) {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:50 / /mnt/share rw - cifs //files/vms rw,addr=10.0.0.9
                31 22 0:50 /dir /mnt/sub rw - cifs //files/vms/dir rw,addr=10.0.0.9
                32 22 0:51 / /mnt/prefix rw - cifs //files/vms/dir rw,prefixpath=dir,addr=10.0.0.9
                33 22 0:50 /dir /mnt/first rw - cifs //files/vms rw,addr=10.0.0.9
                """);
        assertOneDisk(host, one, other);
    }

    /** The kernel has the subvolume in the root of the mount. */
    @Test
    void aSubvolumeIsAPathInItsFileSystem() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:40 / /mnt/top rw - btrfs /dev/sdb1 rw,subvolid=5,subvol=/
                31 22 0:40 /@vms /mnt/vms rw - btrfs /dev/sdb1 rw,subvolid=256,subvol=/@vms
                32 22 0:40 /@copy /mnt/copy rw - btrfs /dev/sdb1 rw,subvolid=257,subvol=/@copy
                """).and("== block /dev/sdb1 8:17");
        assertThat(first(host, "/mnt/vms/vm.img")).isEqualTo("fs:66666666-2222-4333-8444-555555555555/@vms/vm.img");
        assertOneDisk(host, "/mnt/vms/vm.img", "/mnt/top/@vms/vm.img");
        assertTwoDisks(host, "/mnt/vms/vm.img", "/mnt/copy/vm.img");
    }

    /** What is in it may be in the directory below it, too: it has no better name than its paths, and says so. */
    @Test
    void anOverlayIsKnownByItsPathsAndSaysSo() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:60 / /merged rw - overlay overlay rw,lowerdir=/low,upperdir=/up,workdir=/work
                31 22 0:60 /sub /bound rw - overlay overlay rw,lowerdir=/low,upperdir=/up,workdir=/work
                """);
        assertOneDisk(host, "/merged/sub/vm.img", "/bound/vm.img");
        assertThat(known(PLAIN, host, new DiskSource.File("/merged/sub/vm.img")).note())
                .hasValueSatisfying(note -> assertThat(note).contains("overlay"));
    }

    /** An automatic mount and what it mounts are at one place; the newer one is on top. */
    @Test
    void whatAnAutomounterMountsIsKnownByWhatItIs() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:42 / /auto rw - autofs systemd-1 rw,fd=45,direct
                31 30 0:43 / /auto rw - nfs4 nas:/vms rw,addr=10.0.0.5
                """).and("== file /auto/vm.img");
        assertThat(first(host, "/auto/vm.img")).isEqualTo("nfs:nas/vms/vm.img");
    }

    @Test
    void aSingleFileMayBeAMountOfItsOwn() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 8:1 /images/vm.img /opt/disk rw - ext4 /dev/sda1 rw
                """).and("== file /opt/disk\n== file /images/vm.img");
        assertOneDisk(host, "/opt/disk", "/images/vm.img");
    }

    /** Such a file system may take upper and lower case for one. */
    @Test
    void caseDoesNotMakeTwoFilesWhereItMayNotMatter() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 8:17 / /mnt/stick rw - vfat /dev/sdb1 rw
                """);
        assertOneDisk(host, "/mnt/stick/VM.IMG", "/mnt/stick/vm.img");
        assertTwoDisks(host, "/VM.IMG", "/vm.img");
    }

    /** The kernel does not escape it. */
    @Test
    void aCarriageReturnInAMountPointEndsNoLine() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 8:17 / /odd\rplace rw - ext4 /dev/sdb1 rw
                """);
        assertThat(first(host, "/odd\rplace/vm.img")).isEqualTo("fs:66666666-2222-4333-8444-555555555555/vm.img");
    }

    @Test
    void anOlderAndANewerGpfsWriteOneFileSystem() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:70 / /old rw - gpfs /dev/gpfs0 rw,dev=gpfs0
                31 22 0:70 / /new rw - gpfs gpfs0 rw
                """);
        assertOneDisk(host, "/old/vm.img", "/new/vm.img");
    }

    /** File systems of a cluster: a path of one, on any device name, with any word for its lock table. */
    @ParameterizedTest
    @CsvSource({"gfs2, locktable=hacluster:vms", "ocfs2, _netdev"})
    void aClusterFileSystemIsKnownByItsUuid(String type, String option) {
        RecordedHost one = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 8:17 / /mnt/vms rw - %s /dev/sdb1 rw,%s
                """.formatted(type, option));
        RecordedHost other = new RecordedHost().and("""
                == /run/udev/data/b253:7
                E:ID_FS_UUID=66666666-2222-4333-8444-555555555555
                == /proc/self/mountinfo
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 253:7 / /data rw - %s /dev/mapper/mpathb rw
                """.formatted(type));
        assertThat(first(one, "/mnt/vms/a/vm.img")).isEqualTo("fs:66666666-2222-4333-8444-555555555555/a/vm.img");
        assertThat(first(other, "/data/a/vm.img")).isEqualTo(first(one, "/mnt/vms/a/vm.img"));
    }

    /** The words by which a mount names its cluster are those of a network disk. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "ceph mon1:6789:/vms | cephfs:vms/vm.img",
                "ceph mon2:6789,mon3:6789:/vms | cephfs:" + CLUSTER_B + "/vms/vm.img",
                "ceph admin@" + CLUSTER_B + ".cephfs=/vms | cephfs:" + CLUSTER_B + "/vms/vm.img",
                "ceph admin@" + CLUSTER_A + ".cephfs=/vms | cephfs:vms/vm.img",
                "ceph 10.9.9.9:/vms | cephfs:vms/vm.img cephfs:" + CLUSTER_B + "/vms/vm.img"
            })
    void clustersOfCephFsAreToldApart(String mount, String identities) {
        RecordedHost host =
                mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:50 / /mnt/ceph rw - " + mount + " rw\n");
        assertThat(known(TWO_CLUSTERS, host, new DiskSource.File("/mnt/ceph/vm.img"))
                        .keys())
                .extracting(LeaseKey::identity)
                .filteredOn(name -> name.startsWith("cephfs:"))
                .containsExactly(identities.split(" "));
    }

    @Test
    void cephFuseIsInTheClusterOfItsOptions() {
        RecordedHost host = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:50 / /mnt/ceph rw - fuse.ceph-fuse ceph-fuse rw
                """).and("""
                == /proc/4713/cmdline
                ceph-fuse\u2400-m\u2400mon2:6789\u2400/mnt/ceph\u2400
                """);
        assertThat(first(TWO_CLUSTERS, host, "/mnt/ceph/vm.img")).isEqualTo("cephfs:" + CLUSTER_B + "/vm.img");
        host.and("== /etc/ceph/ceph.conf\n[client]\n  client mountpoint = /vms\n");
        assertThat(first(TWO_CLUSTERS, host, "/mnt/ceph/vm.img")).isEqualTo("cephfs:" + CLUSTER_B + "/vms/vm.img");
    }

    /** What a newer libvirt can attach is named by all that is said of it, and explain says so. */
    @Test
    void kindsThatAreNotKnownYetAreNamedAndReported() {
        RecordedHost host = new RecordedHost();
        for (DiskSource source : List.of(
                new DiskSource.Network("quantum", "a/b", List.of(), null),
                new DiskSource.Unknown("fabric", new TreeMap<>(Map.of("array", "A", "lun", "1"))))) {
            assertThat(known(PLAIN, host, source).note())
                    .hasValueSatisfying(note -> assertThat(note).contains("is not known to this version of vmguard"));
        }
        assertThat(known(PLAIN, host, new DiskSource.Network("sheepdog", "vdi", List.of(), null))
                        .note())
                .isEmpty();
    }

    // ---- a host that is an NFS server

    @Test
    void whatClientsReachThroughAnExportsOwnMountsIsTheLocalFile() {
        RecordedHost server = mounts("""
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 8:17 / /export/vms rw - xfs /dev/sdb1 rw
                """);
        String options = "\t*(rw,sync,wdelay,hide,%s,secure)\n";
        server.and("== /var/lib/nfs/etab\n/export" + options.formatted("crossmnt"));
        assertThat(names(known(PLAIN, server, new DiskSource.File("/export/vms/vm.img"))))
                .containsAnyElementsOf(names(known(PLAIN, client(), new DiskSource.File("/data/vm.img"))));

        server.and("== /var/lib/nfs/etab\n/export" + options.formatted("nocrossmnt"));
        assertThat(names(known(PLAIN, server, new DiskSource.File("/export/vms/vm.img"))))
                .doesNotContainAnyElementsOf(names(known(PLAIN, client(), new DiskSource.File("/data/vm.img"))));
    }

    private static RecordedHost client() {
        return new RecordedHost().and("""
                == /proc/self/mountinfo
                22 1 8:1 / / rw - ext4 /dev/sda1 rw
                30 22 0:43 / /data rw - nfs4 node-a:/export/vms rw,addr=10.0.0.11
                """);
    }

    /** For others, what this host calls localhost is this host. */
    @ParameterizedTest
    @CsvSource({"nbd, e", "ssh, /vms/a", "nfs, /vms/a"})
    void aServerOnThisHostIsTheOneThatOthersReachByItsName(String protocol, String name) {
        RecordedHost host = mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
        RecordedHost other = client();
        for (String here : List.of("localhost", "127.0.0.1", "[::1]")) {
            for (String there : List.of("node-a", "10.0.0.11")) {
                assertThat(names(known(PLAIN, host, network(protocol, name, here))))
                        .as("%s and %s", here, there)
                        .containsAnyElementsOf(names(known(PLAIN, other, network(protocol, name, there))));
            }
        }
        assertThat(known(PLAIN, host, network(protocol, name, "localhost"))
                        .keys()
                        .get(0)
                        .identity())
                .contains("localhost");
        assertThat(known(PLAIN, host, network(protocol, name, "elsewhere")))
                .isEqualTo(known(PLAIN, other, network(protocol, name, "elsewhere")));
    }

    // ---- kernel devices with a process behind them

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "rbd-nbd map rbd/vm1 | rbd:rbd/vm1",
                "rbd-nbd map vm1 | rbd:rbd/vm1",
                "rbd-nbd --id admin --keyring ceph/admin.keyring map rbd/ns/vm1 --device /dev/nbd0 | rbd:rbd/ns/vm1",
                "rbd-nbd map --pool rbd --namespace ns --image vm1 | rbd:rbd/ns/vm1",
                "/usr/bin/rbd-nbd map -p rbd vm1 --timeout 30 | rbd:rbd/vm1",
                "rbd-nbd map rbd/vm1@s | read-only snapshot",
                "rbd-nbd map rbd/vm1 --snap s | read-only snapshot",
                "rbd-nbd list-mapped | block:/dev/nbd0",
                "nbd-client srv /dev/nbd0 -N e | nbd:srv:10809/e",
                "nbd-client -name e -b 4096 -certfile /etc/c.pem srv 10810 /dev/nbd0 | nbd:srv:10810/e",
                "nbd-client -unix /run/s /dev/nbd0 -N e | nbd+unix:/run/s/e",
                "qemu-nbd -c /dev/nbd0 /i/vm.img | fs:11111111-2222-4333-8444-555555555555/i/vm.img",
                "qemu-nbd /i/vm.img -f qcow2 --connect=/dev/nbd0 | fs:11111111-2222-4333-8444-555555555555/i/vm.img",
                "qemu-nbd -c /dev/nbd0 vm.img | block:/dev/nbd0",
                "qemu-nbd -c /dev/nbd0 rbd:rbd/vm1:id=admin | rbd:rbd/vm1",
                "qemu-nbd -c /dev/nbd0 nbd://srv/e | nbd:srv:10809/e",
                "qemu-nbd -c /dev/nbd0 --image-opts driver=file,filename=/i/vm.img | block:/dev/nbd0",
                "unknown-nbd /i/vm.img | block:/dev/nbd0"
            })
    void aNetworkBlockDeviceIsWhatItsProcessSays(String command, String identity) {
        Identity found = new StorageIdentifier(PLAIN, nbd(command)).identify(new DiskSource.Block("/dev/nbd0"));
        assertThat(
                        found instanceof Identity.Known known
                                ? known.keys().get(0).identity()
                                : ((Identity.Unneeded) found).reason())
                .isEqualTo(identity);
    }

    /** The words of a command line are those of a source: the cluster that a device is in is the one of the network disk. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "rbd-nbd map rbd/vm1 | ",
                "rbd-nbd map -m mon1:6789 rbd/vm1 | ",
                "rbd-nbd map -m mon2:6789,mon3 rbd/vm1 | " + CLUSTER_B + "/",
                "rbd-nbd map --conf /etc/ceph/b.conf rbd/vm1 | " + CLUSTER_B + "/",
                "rbd-nbd --cluster b map rbd/vm1 | " + CLUSTER_B + "/"
            })
    void aMappedImageIsInTheClusterOfItsProcess(String command, String prefix) {
        assertThat(known(TWO_CLUSTERS, nbd(command), new DiskSource.Block("/dev/nbd0"))
                        .keys())
                .extracting(LeaseKey::identity)
                .containsExactly("rbd:" + Optional.ofNullable(prefix).orElse("") + "rbd/vm1");
    }

    /** An old kernel does not say of which cluster an image is. */
    @Test
    void aMappedImageOfNoNamedClusterIsInEach() {
        RecordedHost host = mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n").and("""
                == block /dev/rbd0 252:0
                == /sys/dev/block/252:0/uevent
                DEVNAME=rbd0
                == /sys/bus/rbd/devices/0/pool
                rbd
                == /sys/bus/rbd/devices/0/name
                vm1
                """);
        assertThat(known(TWO_CLUSTERS, host, new DiskSource.Block("/dev/rbd0")).keys())
                .extracting(LeaseKey::identity)
                .containsExactly("rbd:rbd/vm1", "rbd:" + CLUSTER_B + "/rbd/vm1");
    }

    private static RecordedHost nbd(String command) {
        return mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n").and("""
                == block /dev/nbd0 43:0
                == /sys/dev/block/43:0/uevent
                DEVNAME=nbd0
                DEVTYPE=disk
                == /sys/dev/block/43:0/pid
                77
                == file /i/vm.img
                == link /proc/77/cwd -> /
                == /proc/77/cmdline
                """ + command.replace(' ', '\u2400') + "\u2400");
    }

    // ---- device-mapper

    /** A snapshot has a volume of its own; what it is made from is the volume that it was. */
    @ParameterizedTest
    @CsvSource({"lv, lv-real, true", "snap, snap-cow, true", "lv, snap, false", "crypt, lv, true", "linear, lv, true"})
    void layersOfOneVolumeAreThatVolume(String one, String other, boolean same) {
        String vg = "Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6";
        RecordedHost host = new RecordedHost();
        map(host, 1, "lv", "LVM-" + vg + "J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2");
        map(host, 2, "lv-real", "LVM-" + vg + "J7k8L9z0X1c2V3b4N5m6Q7w8E9r0T1y2-real");
        map(host, 3, "snap", "LVM-" + vg + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        map(host, 4, "snap-cow", "LVM-" + vg + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-cow");
        map(host, 5, "crypt", "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-x", "dm-1");
        map(host, 6, "linear", "", "dm-1");
        if (same) {
            assertOneDisk(host, "/dev/mapper/" + one, "/dev/mapper/" + other);
        } else {
            assertTwoDisks(host, "/dev/mapper/" + one, "/dev/mapper/" + other);
        }
    }

    /** Of several devices without a name of its own: nothing but the node is known, and it says so. */
    @Test
    void aMappingOfTwoDevicesIsKnownByItsNode() {
        RecordedHost host = new RecordedHost();
        map(host, 1, "a", "");
        map(host, 2, "b", "");
        map(host, 3, "both", "", "dm-1", "dm-2");
        assertOneDisk(host, "/dev/mapper/both", "/dev/dm-3");
        assertThat(known(PLAIN, host, new DiskSource.Block("/dev/mapper/both")).note())
                .isPresent();
    }

    /** Of a device without a name of its own, too: on this host, what is on it excludes who has all of it. */
    @ParameterizedTest
    @CsvSource({
        "/dev/vdc, /dev/disk/by-path/x, true",
        "/dev/vdc, /dev/vdc1, true",
        "/dev/vdc, /dev/mapper/crypt, true",
        "/dev/vdc1, /dev/mapper/vdc1, true",
        "/dev/vdc1, /dev/vdc2, false"
    })
    void layersOfADeviceWithoutANameAreThatDevice(String one, String other, boolean excluded) {
        RecordedHost host = new RecordedHost().and("""
                == link /dev/disk/by-path/x -> ../../vdc
                == block /dev/vdc 254:32
                == /sys/dev/block/254:32/uevent
                DEVNAME=vdc
                DEVTYPE=disk
                == /sys/class/block/vdc/dev
                254:32
                == block /dev/vdc1 254:33
                == /sys/dev/block/254:33/uevent
                DEVNAME=vdc1
                DEVTYPE=partition
                PARTN=1
                == /sys/dev/block/254:33/../dev
                254:32
                == block /dev/vdc2 254:34
                == /sys/dev/block/254:34/uevent
                DEVNAME=vdc2
                DEVTYPE=partition
                PARTN=2
                == /sys/dev/block/254:34/../dev
                254:32
                """);
        map(host, 7, "crypt", "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-x", "vdc");
        map(host, 8, "vdc1", "part1-mystery", "vdc");
        Identity.Known first = known(PLAIN, host, new DiskSource.Block(one));
        Identity.Known second = known(PLAIN, host, new DiskSource.Block(other));
        assertThat(first.note()).isPresent();
        assertThat(excludes(first, second)).isEqualTo(excluded);
    }

    private static boolean excludes(Identity.Known one, Identity.Known other) {
        return one.keys().stream()
                .anyMatch(mine -> other.keys().stream()
                        .anyMatch(theirs -> mine.resource().equals(theirs.resource())
                                && (mine.role() != LeaseKey.Role.WHOLE || theirs.role() != LeaseKey.Role.WHOLE)));
    }

    private static void map(RecordedHost host, int minor, String name, String uuid, String... below) {
        String sys = "/sys/dev/block/253:" + minor;
        StringBuilder text =
                new StringBuilder("== link /dev/mapper/" + name + " -> ../dm-" + minor + "\n== block /dev/dm-"
                        + minor + " 253:" + minor + "\n== " + sys + "/uevent\nDEVNAME=dm-" + minor + "\n== " + sys
                        + "/dm/uuid\n" + uuid + "\n== /sys/class/block/dm-" + minor + "/dev\n253:" + minor + "\n");
        for (String device : below) {
            text.append("== dir ").append(sys).append("/slaves/").append(device).append('\n');
        }
        host.and(text.toString());
    }

    /** Hardware that does iSCSI itself is on a bus of its own. */
    @Test
    void aLunOfAnAdapterIsKnownByItsTargetToo() {
        RecordedHost host = new RecordedHost().and("""
                == block /dev/sdb 8:16
                == /sys/dev/block/8:16/uevent
                DEVNAME=sdb
                == /run/udev/data/b8:16
                E:ID_PATH=pci-0000:05:00.0-ip-10.0.0.7:3260-iscsi-iqn.2013-07.com.example:store-lun-1
                """);
        assertThat(first(host, "/dev/sdb")).isEqualTo("iscsi:iqn.2013-07.com.example:store/1");
    }

    private static DiskSource network(String protocol, String name, String host) {
        return new DiskSource.Network(protocol, name, List.of(NetworkHost.tcp(host, "")), null);
    }

    private static void assertOneDisk(RecordedHost host, String one, String other) {
        assertThat(names(known(PLAIN, host, new DiskSource.File(one))))
                .as("%s and %s", one, other)
                .containsAnyElementsOf(names(known(PLAIN, host, new DiskSource.File(other))));
    }

    private static void assertTwoDisks(RecordedHost host, String one, String other) {
        assertThat(names(known(PLAIN, host, new DiskSource.File(one))))
                .as("%s and %s", one, other)
                .doesNotContainAnyElementsOf(names(known(PLAIN, host, new DiskSource.File(other))));
    }

    private static String first(RecordedHost host, String path) {
        return first(PLAIN, host, path);
    }

    private static String first(IdentityRules rules, RecordedHost host, String path) {
        return known(rules, host, new DiskSource.File(path)).keys().get(0).identity();
    }

    private static Identity.Known known(IdentityRules rules, RecordedHost host, DiskSource source) {
        return (Identity.Known) new StorageIdentifier(rules, host).identify(source);
    }

    private static Set<String> names(Identity.Known known) {
        return known.keys().stream().map(LeaseKey::resource).collect(Collectors.toSet());
    }
}
