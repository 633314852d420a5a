/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DiskSpec;
import io.vmguard.agent.domain.DomainSpec;
import io.vmguard.agent.domain.ImageChain;
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
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The disks of a running domain as its live XML shows them, and which files of this host they are.
 *
 * @param byTarget the disks
 * @param made what block jobs are making for it, and no disk has yet
 * @param others files of what it has beside disks, such as firmware variables
 */
record LiveDisks(Map<String, Disk> byTarget, Optional<Images> made, Set<FileKey> others) {
    static final LiveDisks NONE = new LiveDisks(Map.of(), Optional.empty(), Set.of());

    private static final Duration VOLUME_LIMIT = Duration.ofSeconds(3);

    LiveDisks {
        byTarget = Map.copyOf(byTarget);
        others = Set.copyOf(others);
    }

    /**
     * @param files of the images that are files or block devices
     * @param provable whether all images are files, devices, or of a kind of which the XML tells when they are given up
     * @param seen whether all that are files or devices are among {@code files}: each could be looked at
     */
    record Images(Set<FileKey> files, boolean provable, boolean seen) {}

    /** @param images its chain, and what is written beside that */
    record Disk(DiskSpec spec, Images images) {
        boolean isFloppy() {
            return spec.device().equals("floppy");
        }

        /** A drive without a medium: it has no image of any kind. */
        boolean isEmpty() {
            return imagesOf(spec).allMatch(DiskSource.Empty.class::isInstance);
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
        List<Optional<String>> madePaths = new ArrayList<>();
        List<String> otherPaths = new ArrayList<>();
        for (OtherStorage other : domain.others()) {
            if (!(other instanceof OtherStorage.Image image)) {
                continue;
            }
            if (image.target().equals(OtherStorage.NEW_IMAGE)) {
                List<Optional<String>> paths = paths(image.source(), hypervisor);
                // Over the network the XML cannot tell either: it shows nothing between the job and the use.
                madePaths.addAll(paths.isEmpty() ? List.of(Optional.empty()) : paths);
            } else if (!(image.source() instanceof DiskSource.Volume)) {
                paths(image.source(), hypervisor).forEach(path -> path.ifPresent(otherPaths::add));
            }
        }
        Map<String, FileKey> keys = images.identify(Stream.of(
                        pathsOf.values().stream().flatMap(List::stream).flatMap(Optional::stream),
                        madePaths.stream().flatMap(Optional::stream),
                        otherPaths.stream())
                .flatMap(Function.identity())
                .distinct()
                .toList());
        Map<String, Disk> disks = new HashMap<>();
        for (DiskSpec disk : domain.disks()) {
            disks.put(disk.target(), new Disk(disk, images(Objects.requireNonNull(pathsOf.get(disk.target())), keys)));
        }
        return new LiveDisks(
                disks,
                madePaths.isEmpty() ? Optional.empty() : Optional.of(images(madePaths, keys)),
                otherPaths.stream().map(keys::get).filter(Objects::nonNull).collect(Collectors.toSet()));
    }

    private static Images images(List<Optional<String>> paths, Map<String, FileKey> keys) {
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
        return new Images(Set.copyOf(files), paths.stream().allMatch(Optional::isPresent), seen);
    }

    private static Stream<DiskSource> imagesOf(DiskSpec disk) {
        ImageChain chain = disk.chain();
        Stream<ImageSpec> images =
                Stream.of(chain.backing(), chain.written(), chain.read()).flatMap(List::stream);
        return Stream.of(
                        Stream.of(disk.source()),
                        chain.dataFiles().stream(),
                        images.flatMap(image -> Stream.concat(Stream.of(image.source()), image.dataFiles().stream())))
                .flatMap(Function.identity());
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
        return images().allMatch(Images::seen);
    }

    /** All files of all disks, and of the rest. */
    Set<FileKey> files() {
        Set<FileKey> all = new HashSet<>(others);
        images().forEach(images -> all.addAll(images.files()));
        return all;
    }

    private Stream<Images> images() {
        return Stream.concat(byTarget.values().stream().map(Disk::images), made.stream());
    }
}
