/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Volume;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.wait.strategy.Wait;

/**
 * What the built package calls storage that only a kernel of its own can have: NFS mounts of a real server, SCSI disks by two paths,
 * partitions, loop devices, device-mapper, LVM; in an emulated machine ({@code test/infra/image/storage-vm}), with a real udev.
 */
@NeedsTestImage
class StorageKindsIT {
    private static final int MACHINE_SECONDS = 400;
    private static final Pattern AT = Pattern.compile("at: (\\d+) (\\S+) (.*)");
    private static final Pattern EXPLAINED = Pattern.compile("\\{.*?\"file\":\"/tmp/domains/(\\d+)\\.xml\".*");
    private static final Pattern LEASE = Pattern.compile(
            "\"mode\":\"([a-z]+)\",\"identity\":\"([^\"]*)\",\"resource\":\"([^\"]*)\",\"role\":\"([a-z]+)\"");

    /** What one path is: its leases, by their names on disk. */
    private record Named(String path, String identity, Map<String, Lease> leases) {
        /** Whether two domains could not have these two paths at a time. */
        boolean excludes(Named other) {
            return leases.entrySet().stream()
                    .anyMatch(mine -> other.leases.containsKey(mine.getKey())
                            && (mine.getValue().exclusive()
                                    || other.leases.get(mine.getKey()).exclusive()));
        }
    }

    private record Lease(boolean exclusive, String identity) {}

    /** Paths by what they are, in the machine's own words. */
    private static final Map<String, Map<String, Named>> KINDS = new TreeMap<>();

    /** Of the volume group and the volume, as LVM itself says them. */
    private static String volumeUuids = "";

    /** Where the machine runs. */
    private static final class Host extends TestContainer {
        Host(Path packages) {
            super(
                    "storage",
                    "storage-vm",
                    Wait.forSuccessfulCommand("true").withStartupTimeout(Duration.ofSeconds(60)),
                    create -> create.getHostConfig()
                            .withNetworkMode("none")
                            .withBinds(new Bind(packages.toString(), new Volume("/packages"))),
                    "sleep",
                    "3600");
        }
    }

    @BeforeAll
    static void ask() {
        Optional<Path> deb = BuiltPackage.find();
        String missing = deb.isEmpty()
                ? "run make deb first"
                : System.getProperty("os.arch").equals("amd64") ? "" : "its kernel is for amd64";
        if (!missing.isEmpty()) {
            System.err.println("SKIPPED StorageKindsIT: " + missing);
        }
        Assumptions.assumeTrue(missing.isEmpty(), missing);
        Path built = deb.orElseThrow();
        String console;
        try (Host host = new Host(built.getParent())) {
            host.boot();
            console = host.run(
                            Duration.ofSeconds(MACHINE_SECONDS + 60),
                            "storage-vm",
                            "/packages/" + built.getFileName(),
                            Integer.toString(MACHINE_SECONDS))
                    .mustSucceed()
                    .stdout();
        }
        System.out.println(console);
        assertThat(console).contains("\nENDS").doesNotContain("FAILED");
        read(console);
    }

    private static void read(String console) {
        Map<String, String[]> asked = new LinkedHashMap<>();
        for (String line : console.lines().map(String::strip).toList()) {
            Matcher at = AT.matcher(line);
            Matcher explained = EXPLAINED.matcher(line);
            if (at.matches()) {
                asked.put(at.group(1), new String[] {at.group(2), at.group(3)});
            } else if (line.startsWith("lvm: ")) {
                volumeUuids = line.substring("lvm: ".length());
            } else if (explained.matches()) {
                String[] name = asked.remove(explained.group(1));
                Map<String, Lease> leases = new LinkedHashMap<>();
                LEASE.matcher(line)
                        .results()
                        .forEach(
                                l -> leases.put(l.group(3), new Lease(l.group(1).equals("exclusive"), l.group(2))));
                assertThat(leases).as(line).isNotEmpty();
                String first = leases.values().iterator().next().identity();
                KINDS.computeIfAbsent(name[0], kind -> new LinkedHashMap<>())
                        .put(name[1], new Named(name[1], first, leases));
            }
        }
        assertThat(asked.keySet()).as("not explained").isEmpty();
    }

    private static Map<String, Named> kind(String kind) {
        assertThat(KINDS).containsKey(kind);
        return KINDS.get(kind);
    }

    /** Fails unless all paths of a kind are one disk; returns the names it has. */
    private static Set<String> oneDisk(String kind) {
        Map<String, Named> paths = kind(kind);
        assertThat(paths.size()).as(kind).isGreaterThan(1);
        for (Named one : paths.values()) {
            for (Named other : paths.values()) {
                assertThat(one.excludes(other)).as("%s and %s", one, other).isTrue();
            }
        }
        Set<String> identities = new TreeSet<>();
        paths.values().forEach(named -> identities.add(named.identity()));
        return identities;
    }

    private static void twoDisks(String kind, String otherKind) {
        for (Named one : kind(kind).values()) {
            for (Named other : kind(otherKind).values()) {
                assertThat(one.excludes(other)).as("%s and %s", one, other).isFalse();
            }
        }
    }

    @Test
    void aLocalFileIsKnownByItsFileSystem() {
        assertThat(oneDisk("local")).containsExactly("fs:11111111-2222-4333-8444-555555555555/local.img");
    }

    @Test
    void aFileOnNfsIsOneDiskByMountPointServerNameSubdirectoryVersionFourRootBindMountLinkAndLoopDevice() {
        assertThat(oneDisk("nfs-one"))
                .containsExactlyInAnyOrder("nfs:filer/one/dir/vm.img", "nfs:10.1.2.3/one/dir/vm.img");
        assertThat(oneDisk("nfs-two")).containsExactly("nfs:filer/two/dir/vm.img");
    }

    @Test
    void onePathInTwoExportsIsTwoDisks() {
        twoDisks("nfs-one", "nfs-two");
        twoDisks("nfs-one", "local");
    }

    /** A limit, and documented as one: this server's paths of version 3 are not those of version 4. */
    @Test
    void versionThreeOfAServerWithAPseudoFileSystemHasNamesOfItsOwn() {
        assertThat(kind("nfs-v3").values()).extracting(Named::identity).containsExactly("nfs:filer/srv/one/dir/vm.img");
    }

    @Test
    void aPartitionLeavesTheOtherOnesAloneAndNotTheWhole() {
        twoDisks("local-part-1", "local-part-2");
        Named whole = kind("local").get("/dev/loop1");
        for (String part : List.of("local-part-1", "local-part-2")) {
            kind(part)
                    .values()
                    .forEach(named -> assertThat(named.excludes(whole)).isTrue());
        }
        Named disk = kind("scsi").get("/dev/mapper/multi");
        oneDisk("scsi-part-1");
        kind("scsi-part-1")
                .values()
                .forEach(named ->
                        assertThat(named.excludes(disk)).as("%s", named).isTrue());
    }

    @Test
    void aScsiDiskIsOneByEachPathByLinkAndAsMultipathDevice() {
        assertThat(oneDisk("scsi")).containsExactly("wwn:5000c500a1b2c3d4");
        twoDisks("scsi", "scsi-copy");
    }

    @Test
    void whatDeviceMapperPutsOverOneDeviceIsThatDevice() {
        assertThat(oneDisk("scsi-copy")).containsExactly("wwn:5000c500ffffffff");
    }

    @Test
    void aLogicalVolumeIsKnownByItsUuidsWhateverItsGroupIsCalled() {
        assertThat(oneDisk("lvm")).containsExactly("lvm:" + volumeUuids);
        twoDisks("lvm", "lvm-other");
    }
}
