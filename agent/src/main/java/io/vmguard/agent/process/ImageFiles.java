/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

import java.util.Collection;
import java.util.Map;
import java.util.Optional;

/**
 * Which files are images, and which of them a process has open. Any thread; blocks for a few seconds at most, even if the storage of an
 * image hangs.
 */
public interface ImageFiles {

    /**
     * Looks what is behind these paths now.
     *
     * @return of those that could be looked at; what is missing here is not known
     */
    Map<String, FileKey> identify(Collection<String> paths);

    /**
     * The files that a process has open.
     *
     * @return empty if that cannot be told, also when the process is gone
     */
    Optional<OpenFiles> openBy(GuardedProcess process);
}
