/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import java.util.List;
import java.util.Optional;

/**
 * A lease directory as one look found it.
 *
 * @param where for messages
 * @param lockspaces by file name
 * @param resources by file name; also files that are no leases
 */
public record DirectoryInspection(
        String where, List<LockspaceInspection> lockspaces, List<ResourceInspection> resources) {

    /** The lockspace of that name in the file of that name, where its hosts look for it. */
    public Optional<LockspaceInspection> lockspace(String name) {
        return lockspaces.stream()
                .filter(lockspace ->
                        lockspace.file().equals(name) && lockspace.name().equals(name))
                .findFirst();
    }
}
