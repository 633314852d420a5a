/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.List;
import java.util.Optional;

/**
 * Port: what a host says of itself, as text. One object serves one derivation, on one thread.
 *
 * <p>Paths are absolute. The texts are those of Linux: {@code /proc/self/mountinfo}, sysfs, the udev database in {@code /run/udev/data},
 * {@code /var/lib/nfs/etab}. A path may hang if its storage does; whoever derives must be able to wait no longer.
 */
public interface StorageFacts {

    /** The whole text of a small file; empty if there is none, or it cannot be read. */
    Optional<String> text(String path);

    /** Names in a directory, sorted; empty if there is none. */
    List<String> names(String directory);

    /** What a path names, symbolic links not followed. */
    Node node(String path);

    /**
     * The beginning of an image, links followed.
     *
     * @param length at most so many bytes
     */
    Head head(String path, int length);

    /**
     * One directory entry.
     *
     * @param detail target of a link; {@code MAJOR:MINOR} of a block device; why nothing can be said
     */
    record Node(Kind kind, String detail) {
        /** What it is. */
        public enum Kind {
            FILE,
            DIRECTORY,
            LINK,
            BLOCK_DEVICE,
            OTHER,
            MISSING,
            /** This process may not look. */
            DENIED,
            /** The storage gave an error. */
            FAILED
        }
    }

    /** What the beginning of an image is. */
    sealed interface Head {}

    /** @param bytes as many as there are, at most as many as were asked for; not to be changed */
    record Bytes(byte[] bytes) implements Head {}

    /**
     * It could not be read.
     *
     * @param denied this process may not read it, though another may
     */
    record Unreadable(String reason, boolean denied) implements Head {}
}
