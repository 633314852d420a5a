/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.domain;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads {@code <blockjobs>} of a status file: which images running jobs write that the live domain does not show as written. That are the base
 * of a commit between backing images, which the domain shows as a backing image like any other, and an image that is being made for a
 * snapshot or a copy and is not in the domain yet. Format: libvirt's {@code qemuStatusXML}, as version 9.0 writes it. What is not understood is
 * passed over, for the domain shows it a moment later; but not a commit: nothing else ever shows its base, so if that cannot be told, any
 * backing image may be it.
 */
final class BlockJobsXml {

    /** {@code libvirt-7-format} or {@code libvirt-7-storage}: the image with that index. */
    private static final Pattern NODE = Pattern.compile("libvirt-([0-9]+)-(?:format|storage)");

    private static final int MAX_JOBS = 1024;

    /** @param baseIndex of the image that is written; empty if that cannot be told */
    private record Commit(String target, String baseIndex) {}

    private final XmlCursor cursor;
    private final List<Commit> commits = new ArrayList<>();
    private final List<DiskSource> made = new ArrayList<>();

    BlockJobsXml(XmlCursor cursor) {
        this.cursor = cursor;
    }

    /** The element that the cursor stands on. */
    void read() throws DomainXmlException {
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            if (cursor.name().equals("blockjob") && commits.size() + made.size() < MAX_JOBS) {
                job();
            }
        }
    }

    private void job() throws DomainXmlException {
        String type = cursor.attribute("type", "");
        String state = cursor.attribute("state", "");
        boolean over = state.equals("completed")
                || state.equals("failed")
                || state.equals("cancelled")
                || state.equals("concluded");
        String target = "";
        String base = "";
        DiskSource source = null;
        int own = cursor.depth();
        while (cursor.nextChild(own)) {
            switch (cursor.name()) {
                case "disk" -> target = cursor.attribute("dst", "");
                case "base" -> base = cursor.attribute("node", "");
                case "src" ->
                    source = ImageXml.read(cursor).top().map(ImageSpec::source).orElse(null);
                default -> {
                    // How it goes, not what it writes.
                }
            }
        }
        if (over) {
            return;
        }
        if (type.equals("commit") && !target.isEmpty()) {
            Matcher node = NODE.matcher(base);
            commits.add(new Commit(target, node.matches() ? node.group(1) : ""));
        } else if (type.equals("create") && source != null) {
            made.add(source);
        }
    }

    /** The domain with these images among those that are written. */
    DomainSpec in(DomainSpec domain) {
        if (commits.isEmpty() && made.isEmpty()) {
            return domain;
        }
        List<DiskSpec> disks = domain.disks().stream().map(this::in).toList();
        List<OtherStorage> others = new ArrayList<>(domain.others());
        made.forEach(
                source -> others.add(new OtherStorage.Image(OtherStorage.NEW_IMAGE, "written", false, false, source)));
        return new DomainSpec(domain.name(), domain.uuid(), disks, domain.onLockFailure(), others);
    }

    private DiskSpec in(DiskSpec disk) {
        ImageChain chain = disk.chain();
        List<ImageSpec> written = new ArrayList<>(chain.written());
        for (Commit commit : commits) {
            if (commit.target().equals(disk.target())) {
                List<ImageSpec> base = chain.backing().stream()
                        .filter(image ->
                                !image.index().isEmpty() && image.index().equals(commit.baseIndex()))
                        .toList();
                written.addAll(base.isEmpty() ? chain.backing() : base);
            }
        }
        return written.size() == chain.written().size() ? disk : disk.with(chain.writing(written));
    }
}
