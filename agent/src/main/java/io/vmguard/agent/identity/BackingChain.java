/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.ImageSpec;
import io.vmguard.agent.identity.StorageFacts.Bytes;
import io.vmguard.agent.identity.StorageFacts.Head;
import io.vmguard.agent.identity.StorageFacts.Unreadable;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The images below an image, from their headers. Our own reader rather than {@code qemu-img info --backing-chain}: that opens every
 * image, network images included, with all of QEMU's drivers, starts a process for each disk of each start, and its answer is no more
 * bounded in time than the storage is.
 */
public final class BackingChain {

    /** libvirt starts no domain with a longer one. */
    public static final int MAX_DEPTH = 200;

    /** Formats that can have a backing image. */
    private static final Set<String> LAYERED = Set.of("qcow2", "qcow", "qed", "vmdk");

    /**
     * What was found.
     *
     * @param backing from the top down
     * @param dataFiles of the top image: written like the image itself
     * @param missing why the chain may be longer than that; empty if it is whole
     * @param broken what is there is missing or wrong, also for QEMU; else QEMU may be able to read what this process cannot
     */
    public record Chain(List<ImageSpec> backing, List<ImageSpec> dataFiles, Optional<String> missing, boolean broken) {
        public Chain {
            backing = List.copyOf(backing);
            dataFiles = List.copyOf(dataFiles);
        }
    }

    private final StorageFacts facts;

    public BackingChain(StorageFacts facts) {
        this.facts = facts;
    }

    /**
     * Where an image whose chain the XML tells keeps its data. QEMU opens that by the image's header, whatever the XML says of the chain. If
     * the header cannot be read, it is taken at its word for all.
     *
     * @param image the first of a disk
     */
    public Chain dataFiles(ImageSpec image) {
        List<ImageSpec> files = new ArrayList<>();
        Optional<String> path = LAYERED.contains(image.format()) ? localPath(image.source()) : Optional.empty();
        if (path.isPresent() && facts.head(path.get(), ImageHeader.LENGTH) instanceof Bytes head) {
            Optional<String> unknown = dataFiles(path.get(), ImageHeader.parse(head.bytes()), files);
            if (unknown.isPresent()) {
                return broken(List.of(), files, unknown.get());
            }
        }
        return new Chain(List.of(), files, Optional.empty(), false);
    }

    /** @return what is wrong with one of them, if something is */
    private static Optional<String> dataFiles(String path, ImageHeader header, List<ImageSpec> into) {
        for (String name : header.dataFiles()) {
            Optional<DiskSource> data = ImageName.parse(name, directory(path));
            if (data.isEmpty()) {
                return Optional.of(path + ": its data is in what has a name of an unknown kind: " + name);
            }
            into.add(new ImageSpec(data.get(), "raw"));
        }
        return Optional.empty();
    }

    private static String directory(String path) {
        return path.substring(0, path.lastIndexOf('/'));
    }

    /**
     * Reads on below {@code image}, whose format is as the XML says. Without word of it the first image of a disk is raw, as for libvirt,
     * and its content is the guest's; one that is below others is looked into.
     *
     * @param depth how many images are above it
     */
    public Chain below(ImageSpec image, int depth) {
        List<ImageSpec> backing = new ArrayList<>();
        List<ImageSpec> dataFiles = new ArrayList<>();
        Set<DiskSource> seen = new HashSet<>();
        ImageSpec here = image;
        String kind = depth > 0 && image.format().isEmpty() ? probed(image.source()) : image.format();
        while (LAYERED.contains(kind)) {
            if (!seen.add(here.source())) {
                return broken(backing, dataFiles, "its backing images lead in a circle");
            }
            if (depth + backing.size() >= MAX_DEPTH) {
                return broken(backing, dataFiles, "it has more than " + MAX_DEPTH + " backing images");
            }
            Optional<String> path = localPath(here.source());
            if (path.isEmpty()) {
                return new Chain(
                        backing,
                        dataFiles,
                        Optional.of("the header of a " + kind
                                + " image that is neither a file nor a block device is not read"),
                        false);
            }
            Head head = facts.head(path.get(), ImageHeader.LENGTH);
            if (head instanceof Unreadable unreadable) {
                return new Chain(
                        backing, dataFiles, Optional.of(path.get() + ": " + unreadable.reason()), !unreadable.denied());
            }
            ImageHeader header = ImageHeader.parse(((Bytes) head).bytes());
            if (!header.problem().isEmpty()) {
                return broken(backing, dataFiles, path.get() + ": " + header.problem());
            }
            Optional<String> unknown = dataFiles(path.get(), header, here == image && depth == 0 ? dataFiles : backing);
            if (unknown.isPresent()) {
                return broken(backing, dataFiles, unknown.get());
            }
            if (header.backing().isEmpty()) {
                break;
            }
            Optional<DiskSource> next = ImageName.parse(header.backing().get(), directory(path.get()));
            if (next.isEmpty()) {
                return broken(
                        backing,
                        dataFiles,
                        path.get() + ": its backing image has a name of an unknown kind: "
                                + header.backing().get());
            }
            kind = header.backingFormat().orElseGet(() -> probed(next.get()));
            here = new ImageSpec(next.get(), kind);
            backing.add(here);
        }
        return new Chain(backing, dataFiles, Optional.empty(), false);
    }

    private static Chain broken(List<ImageSpec> backing, List<ImageSpec> dataFiles, String reason) {
        return new Chain(backing, dataFiles, Optional.of(reason), true);
    }

    /**
     * Of an image whose format nobody says. Names more images if the guess is wrong, never fewer: on the network nothing can be looked
     * at, and libvirt starts no domain with such an image there.
     */
    private String probed(DiskSource source) {
        return localPath(source)
                .map(path -> facts.head(path, ImageHeader.LENGTH))
                .map(head -> head instanceof Bytes bytes
                        ? ImageHeader.parse(bytes.bytes()).format()
                        : "qcow2")
                .orElse("raw");
    }

    private static Optional<String> localPath(DiskSource source) {
        if (source instanceof DiskSource.File file && file.path().startsWith("/")) {
            return Optional.of(file.path());
        }
        return source instanceof DiskSource.Block block && block.path().startsWith("/")
                ? Optional.of(block.path())
                : Optional.empty();
    }
}
