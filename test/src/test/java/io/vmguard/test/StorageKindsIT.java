/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.test.StorageMachine.Named;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/**
 * What the built package calls storage that only a kernel of its own can have: NFS mounts of a real server, SCSI disks by two paths,
 * partitions, loop devices, device-mapper, LVM, Ceph by the kernel; in emulated machines ({@link StorageMachine}), with a real udev. Two
 * agents in one, each with mounts of its own, keep each other from a disk on NFS, where their leases are too.
 *
 * <p>Each test boots the machine that it needs, unless an earlier one has. One of them is for {@code make test}; the others take minutes
 * and are for {@code make storage-kinds}.
 */
@NeedsTestImage
class StorageKindsIT {
    private enum Machine {
        USUAL("nfs", "loop", "scsi", "lvm"),
        DEVICES("btrfs", "nvme", "lvm", "layers", "nbd", "iscsi"),
        TWO_HOSTS("nfs", "loop", "lvm", "hosts"),
        CEPH("ceph"),
        ROOT_SQUASH("squash"),
        KERNELS_OWN("knfs", "md", "drbd");

        private final String[] parts;

        Machine(String... parts) {
            this.parts = parts;
        }

        private StorageMachine run(Path deb) {
            if (this != CEPH) {
                return StorageMachine.run(deb, parts);
            }
            try (CephCluster ceph = CephCluster.startWithFileSystem("vms")) {
                ceph.rbd("create", "--size", "4M", "--image-feature", "layering", "rbd/one")
                        .mustSucceed();
                return StorageMachine.run(deb, ceph, parts);
            }
        }

        /** Why it is not booted here; empty if it is. */
        private String missing(Optional<Path> deb) {
            if (deb.isEmpty()) {
                return "run make deb first";
            }
            if (!MachineHost.missing().isEmpty()) {
                return MachineHost.missing();
            }
            return this == USUAL || Boolean.getBoolean("storage.kinds") ? "" : "it takes minutes: make storage-kinds";
        }
    }

    private static final Map<Machine, StorageMachine> BOOTED = new EnumMap<>(Machine.class);
    /** A machine that has failed once is not booted for each of its tests. */
    private static final Map<Machine, Throwable> FAILED = new EnumMap<>(Machine.class);

    private static final Map<Machine, String> SKIPPED = new EnumMap<>(Machine.class);

    private static StorageMachine machine(Machine machine) {
        Optional<Path> deb = BuiltPackage.find();
        String missing = machine.missing(deb);
        if (!missing.isEmpty() && SKIPPED.put(machine, missing) == null) {
            System.err.println("SKIPPED in StorageKindsIT: " + machine + ", " + missing);
        }
        Assumptions.assumeTrue(missing.isEmpty(), missing);
        if (FAILED.containsKey(machine)) {
            throw new AssertionError(machine + " has failed", FAILED.get(machine));
        }
        try {
            return BOOTED.computeIfAbsent(machine, wanted -> wanted.run(deb.orElseThrow()));
        } catch (RuntimeException | Error e) {
            FAILED.put(machine, e);
            throw e;
        }
    }

    @Test
    void aLocalFileIsKnownByItsFileSystem() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.oneDisk("local")).containsExactly("fs:11111111-2222-4333-8444-555555555555/local.img");
    }

    @Test
    void aFileOnNfsIsOneDiskByMountPointServerNameSubdirectoryVersionFourRootBindMountLinkAndLoopDevice() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.oneDisk("nfs-one"))
                .containsExactlyInAnyOrder("nfs:filer/one/dir/vm.img", "nfs:10.1.2.3/one/dir/vm.img");
        assertThat(machine.oneDisk("nfs-two")).containsExactly("nfs:filer/two/dir/vm.img");
    }

    @Test
    void onePathInTwoExportsIsTwoDisks() {
        StorageMachine machine = machine(Machine.USUAL);
        machine.twoDisks("nfs-one", "nfs-two");
        machine.twoDisks("nfs-one", "local");
    }

    /** A limit, and documented as one: this server's paths of version 3 are not those of version 4. */
    @Test
    void versionThreeOfAServerWithAPseudoFileSystemHasNamesOfItsOwn() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.kind("nfs-v3").values())
                .extracting(Named::identity)
                .containsExactly("nfs:filer/srv/one/dir/vm.img");
    }

    @Test
    void aPartitionLeavesTheOtherOnesAloneAndNotTheWhole() {
        StorageMachine machine = machine(Machine.USUAL);
        machine.twoDisks("local-part-1", "local-part-2");
        Named whole = machine.kind("local").get("/dev/loop1");
        for (String part : List.of("local-part-1", "local-part-2")) {
            machine.kind(part)
                    .values()
                    .forEach(named -> assertThat(named.excludes(whole)).isTrue());
        }
        Named disk = machine.kind("scsi").get("/dev/mapper/multi");
        machine.oneDisk("scsi-part-1");
        machine.kind("scsi-part-1")
                .values()
                .forEach(named ->
                        assertThat(named.excludes(disk)).as("%s", named).isTrue());
    }

    @Test
    void aScsiDiskIsOneByEachPathByLinkAndAsMultipathDevice() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.oneDisk("scsi")).containsExactly("wwn:5000c500a1b2c3d4");
        machine.twoDisks("scsi", "scsi-copy");
    }

    @Test
    void whatDeviceMapperPutsOverOneDeviceIsThatDevice() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.oneDisk("scsi-copy")).containsExactly("wwn:5000c500ffffffff");
    }

    @Test
    void aLogicalVolumeIsKnownByItsUuidsWhateverItsGroupIsCalled() {
        StorageMachine machine = machine(Machine.USUAL);
        assertThat(machine.oneDisk("lvm")).containsExactly("lvm:" + machine.volumeUuids());
        machine.twoDisks("lvm", "lvm-other");
    }

    @Test
    void aSnapshotOfAVolumeIsAnotherDiskAndAnEncryptedVolumeIsTheVolume() {
        StorageMachine machine = machine(Machine.DEVICES);
        assertThat(machine.oneDisk("lvm-snapshot")).hasSize(1);
        machine.twoDisks("lvm", "lvm-snapshot");
        assertThat(machine.oneDisk("lvm-other")).hasSize(1);
    }

    @Test
    void aSubvolumeIsOneByItsOwnMountAndByThatOfAll() {
        StorageMachine machine = machine(Machine.DEVICES);
        assertThat(machine.oneDisk("btrfs")).containsExactly("fs:66666666-2222-4333-8444-555555555555/@vms/vm.img");
        machine.twoDisks("btrfs", "btrfs-copy");
    }

    @Test
    void aFileInAnOverlayIsOneByBindMounts() {
        StorageMachine machine = machine(Machine.DEVICES);
        machine.oneDisk("overlay");
    }

    @Test
    void anNvmeNamespaceIsOneByLink() {
        StorageMachine machine = machine(Machine.DEVICES);
        assertThat(machine.oneDisk("nvme"))
                .hasSize(1)
                .allSatisfy(name -> assertThat(name).startsWith("wwn:"));
    }

    @Test
    void anImageMappedByTheKernelIsTheNetworkDisk() {
        StorageMachine machine = machine(Machine.CEPH);
        assertThat(machine.oneDisk("krbd")).containsExactly("rbd:rbd/one");
    }

    @Test
    void aFileOnCephFsIsOneByTheKernelByEachDirectoryMountedAndByFuse() {
        StorageMachine machine = machine(Machine.CEPH);
        assertThat(machine.oneDisk("cephfs")).containsExactly("cephfs:dir/vm.img");
    }

    @Test
    void aLunIsTheNetworkDiskOfItsTargetWhateverItsPortal() {
        StorageMachine machine = machine(Machine.DEVICES);
        assertThat(machine.oneDisk("iscsi"))
                .hasSize(2)
                .contains("iscsi:iqn.2020-01.example:store/2")
                .anySatisfy(name -> assertThat(name).startsWith("wwn:6001405"));
        machine.oneDisk("iscsi-other");
        machine.twoDisks("iscsi", "iscsi-other");
    }

    @Test
    void aNetworkBlockDeviceIsTheExportOfItsServerOnEachPort() {
        StorageMachine machine = machine(Machine.DEVICES);
        assertThat(machine.oneDisk("nbd")).containsExactlyInAnyOrder("nbd:10.1.2.3:10810/vm", "nbd:10.1.2.3:10899/vm");
        machine.twoDisks("nbd", "nbd-other");
    }

    @Test
    void twoHostsOverNfsKeepEachOtherFromOneDiskAndNotFromTwoOfOneName() {
        assertThat(machine(Machine.TWO_HOSTS).starts())
                .hasEntrySatisfying("vm01", result -> assertThat(result).isEqualTo("granted"))
                .hasEntrySatisfying(
                        "vm02", result -> assertThat(result).contains("is in use by domain vm01 on host machine"))
                .hasEntrySatisfying("vm03", result -> assertThat(result).isEqualTo("granted"))
                .hasEntrySatisfying(
                        "vm04", result -> assertThat(result).contains("is in use by domain vm03 on host machine-b"));
    }

    @Test
    void twoHostsKeepEachOtherFromAVolumeByTwoNamesAndFromAFileBehindALoopDevice() {
        assertThat(machine(Machine.TWO_HOSTS).starts())
                .hasEntrySatisfying("vm05", result -> assertThat(result).isEqualTo("granted"))
                .hasEntrySatisfying(
                        "vm06", result -> assertThat(result).contains("is in use by domain vm05 on host machine"))
                .hasEntrySatisfying("vm07", result -> assertThat(result).isEqualTo("granted"))
                .hasEntrySatisfying(
                        "vm08", result -> assertThat(result).contains("is in use by domain vm01 on host machine"));
    }

    @Test
    void whatTheKernelsOwnServerHandsOutIsOneDiskForItsClientsAndOnItself() {
        StorageMachine machine = machine(Machine.KERNELS_OWN);
        assertThat(machine.oneDisk("knfs"))
                .containsExactlyInAnyOrder(
                        "nfs:filer/srv/kernel/dir/vm.img",
                        "nfs:10.1.2.3/srv/kernel/dir/vm.img",
                        "fs:11111111-2222-4333-8444-555555555555/kernel/dir/vm.img");
        machine.oneDisk("knfs-other");
        machine.twoDisks("knfs", "knfs-other");
    }

    @Test
    void imagesOnAKernelsServerThatTakesRootForNobodyAreReadAsTheirOwner() {
        StorageMachine machine = machine(Machine.KERNELS_OWN);
        assertThat(machine.kind("ksquash-layered").values())
                .singleElement()
                .satisfies(top -> assertThat(top.identities(true)).contains("nfs:filer/srv/ksquash/images/top.qcow2"))
                .satisfies(top -> assertThat(top.identities(false)).contains("nfs:filer/srv/ksquash/images/base.img"));
        assertThat(machine.kind("ksquash-by-root").values())
                .singleElement()
                .satisfies(top -> assertThat(top.refused()).contains("reading it is not permitted", "root_squash"));
    }

    @Test
    void aMirrorIsKnownByItsUuidWhateverItsNumber() {
        assertThat(machine(Machine.KERNELS_OWN).oneDisk("md"))
                .containsExactly("md:88888888:22224333:84445555:55555555");
    }

    @Test
    void aMirrorBetweenHostsIsKnownByItsResourceWhateverItsNumber() {
        assertThat(machine(Machine.KERNELS_OWN).oneDisk("drbd")).containsExactly("drbd:vms");
    }

    @Test
    void imagesOnAServerThatTakesRootForNobodyAreReadAsTheirOwner() {
        StorageMachine machine = machine(Machine.ROOT_SQUASH);
        assertThat(machine.kind("squash-raw").values())
                .singleElement()
                .satisfies(raw -> assertThat(raw.identity()).isEqualTo("nfs:filer/squash/images/base.img"));
        assertThat(machine.kind("squash-layered").values())
                .singleElement()
                .satisfies(top -> assertThat(top.identities(true)).contains("nfs:filer/squash/images/top.qcow2"))
                .satisfies(top -> assertThat(top.identities(false)).contains("nfs:filer/squash/images/base.img"));
        assertThat(machine.kind("squash-closed").values())
                .singleElement()
                .satisfies(top -> assertThat(top.identities(true)).contains("nfs:filer/squash/closed/top.qcow2"))
                .satisfies(top -> assertThat(top.identities(false)).contains("nfs:filer/squash/closed/base.img"));
    }

    @Test
    void anImageThatNobodyMayReadThereIsRefusedWithTheReasonAndTheWayOut() {
        assertThat(machine(Machine.ROOT_SQUASH).kind("squash-by-root").values())
                .singleElement()
                .satisfies(top -> assertThat(top.refused())
                        // Root by its number, or nobody: nothing in the machine maps the names that this server gives.
                        .containsPattern("/mnt/squash/by-root/top.qcow2: reading it is not permitted, "
                                + "neither to root nor to the owner, user (0|4294967294) ")
                        .contains(
                                "root_squash",
                                "give it to the user that QEMU runs as",
                                "write <backingStore/> if there are none"));
    }

    @Test
    void leasesOnAServerThatTakesRootForNobodyNeedADirectoryOfNobodys() {
        StorageMachine machine = machine(Machine.ROOT_SQUASH);
        for (Map.Entry<String, String> refused : Map.of(
                        "root", "/mnt/squash/by-root/leases/", "made", "/mnt/squash/made/")
                .entrySet()) {
            assertThat(machine.agents().get(refused.getKey()))
                    .contains(
                            "cannot join the lockspace",
                            refused.getValue() + "__LIBVIRT__DISKS__: permission denied",
                            "no_root_squash");
        }
        assertThat(machine.agents().get("nobody")).contains("member of lockspace __LIBVIRT__DISKS__");
        assertThat(machine.starts().get("vm11"))
                .contains("not a member of the lease directory", "permission denied", "no_root_squash");
        assertThat(machine.starts().get("vm12")).isEqualTo("granted");
        assertThat(machine.starts().get("vm13")).contains("not a member of the lease directory");
    }
}
