/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.identity;

import java.util.Optional;

/**
 * The mount that a path is on.
 *
 * @param type of its file system
 * @param source as that type means it
 * @param options of the file system, comma-separated
 * @param device {@code MAJOR:MINOR}
 */
public record MountPoint(String type, String source, String options, String device) {
    /**
     * Looks into this host's mount table.
     *
     * @param real absolute, without links and dots
     */
    public static Optional<MountPoint> of(StorageFacts facts, String real) {
        return facts.text("/proc/self/mountinfo")
                .flatMap(text -> MountTable.parse(text).of(real))
                .map(mount -> new MountPoint(mount.type(), mount.source(), mount.options(), mount.device()));
    }
}
