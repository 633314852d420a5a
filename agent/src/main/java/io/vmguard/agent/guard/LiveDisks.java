/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.ImageSpec;
import io.vmguard.agent.domain.OtherStorage;
import io.vmguard.agent.hypervisor.Hypervisor;
import io.vmguard.agent.process.FileKey;
import io.vmguard.agent.process.ImageFiles;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The disks of a running domain as its live XML shows them, and which files of this host they are.
 *
 * @param byTarget the disks
 * @param others files of what it has beside disks, such as firmware variables
 */
record LiveDisks(Map<String, Disk> byTarget, Set<FileKey> others) {
    static final LiveDisks NONE = new LiveDisks(Map.of(), Set.of());

    private static final Duration VOLUME_LIMIT = Duration.ofSeconds(3);

    LiveDisks {
        byTarget = Map.copyOf(byTarget);
        others = Set.copyOf(others);
    }

    /**
     * @param files of the images of its chain that are files or block devices
     * @param provable whether all images of it are files, devices, or reached over the network
     * @param seen whether all that are files or devices are among {@code files}: each could be looked at
     */
    record Disk(DiskSpec spec, Set<FileKey> files, boolean provable, boolean seen) {
        boolean isFloppy() {
            return spec.device().equals("floppy");
        }
    }

    /** Asks the storage where the images are, within limits. */
    static LiveDisks of(DomainSpec domain, ImageFiles images, Hypervisor hypervisor) {
        Map<String, List<Optional<String>>> pathsOf = new LinkedHashMap<>();
        for (DiskSpec disk : domain.disks()) {
            List<Optional<String>> paths = new ArrayList<>();
            imagesOf(disk).forEach(source -> paths.addAll(paths(source, hypervisor)));
            pathsOf.put(disk.target(), paths);
        }
        List<String> otherPaths = domain.others().stream()
                .filter(OtherStorage.Image.class::isInstance)
                .map(other -> ((OtherStorage.Image) other).source())
                .filter(source -> !(source instanceof DiskSource.Volume))
                .flatMap(source -> paths(source, hypervisor).stream())
                .flatMap(Optional::stream)
                .toList();
        List<String> all = Stream.concat(
                        pathsOf.values().stream().flatMap(List::stream).flatMap(Optional::stream), otherPaths.stream())
                .distinct()
                .toList();
        Map<String, FileKey> keys = images.identify(all);
        Map<String, Disk> disks = new HashMap<>();
        for (DiskSpec disk : domain.disks()) {
            List<Optional<String>> paths = Objects.requireNonNull(pathsOf.get(disk.target()));
            Set<FileKey> files = new HashSet<>();
            boolean seen = true;
            for (Optional<String> path : paths) {
                FileKey key = path.map(keys::get).orElse(null);
                if (key != null) {
                    files.add(key);
                } else if (path.isPresent()) {
                    seen = false;
                }
            }
            boolean provable = paths.stream().allMatch(Optional::isPresent);
            disks.put(disk.target(), new Disk(disk, Set.copyOf(files), provable, seen));
        }
        return new LiveDisks(
                disks,
                otherPaths.stream().map(keys::get).filter(Objects::nonNull).collect(Collectors.toSet()));
    }

    private static Stream<DiskSource> imagesOf(DiskSpec disk) {
        return Stream.concat(
                Stream.of(disk.source()),
                Stream.concat(disk.chain().backing().stream(), disk.chain().written().stream())
                        .map(ImageSpec::source));
    }

    /** None for what is reached over the network, an empty one for what cannot be named. */
    private static List<Optional<String>> paths(DiskSource source, Hypervisor hypervisor) {
        if (source instanceof DiskSource.File file) {
            return List.of(Optional.of(file.path()));
        }
        if (source instanceof DiskSource.Block block) {
            return List.of(Optional.of(block.path()));
        }
        if (source instanceof DiskSource.Network || source instanceof DiskSource.Empty) {
            return List.of();
        }
        if (source instanceof DiskSource.Volume volume) {
            String mode = volume.mode();
            return hypervisor
                    .resolveVolume(volume.pool(), volume.volume(), mode == null ? "" : mode, VOLUME_LIMIT)
                    .fold(
                            file -> List.of(Optional.of(file.path())),
                            block -> List.of(Optional.of(block.path())),
                            network -> List.of(),
                            unknown -> List.of(Optional.empty()));
        }
        return List.of(Optional.empty());
    }

    /** Whether all files of all disks could be looked at. */
    boolean seen() {
        return byTarget.values().stream().allMatch(Disk::seen);
    }

    /** All files of all disks, and of the rest. */
    Set<FileKey> files() {
        Set<FileKey> all = new HashSet<>(others);
        byTarget.values().forEach(disk -> all.addAll(disk.files()));
        return all;
    }
}
