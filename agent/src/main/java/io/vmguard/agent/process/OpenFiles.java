/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.Set;

/**
 * The files that a process has open at one moment.
 *
 * @param all whatever they are
 * @param storage those of them that may be images: files and block devices, without memory, firmware, and what libvirt itself has a QEMU
 *     keep open
 */
public record OpenFiles(Set<FileKey> all, Set<FileKey> storage) {
    public OpenFiles {
        all = Set.copyOf(all);
        storage = Set.copyOf(storage);
    }
}
