/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device;

import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** The lease files of a directory for those who only look: no membership is needed, and nothing is changed. */
public interface LeaseFiles {
    /**
     * A file as the directory shows it.
     *
     * @param regular a file with bytes of its own, as opposed to a directory, a socket or a link that leads nowhere
     * @param modifiedEpochSeconds last write by any host
     */
    record Entry(String name, boolean regular, long bytes, long modifiedEpochSeconds) {}

    /**
     * All files by name. Hidden ones are left out: they are in the making, or were left by a crash, and nobody reads them.
     *
     * @throws IOException with a sentence for people, if the directory cannot be read
     */
    List<Entry> list() throws IOException;

    /** One file; empty if it is not there. */
    Optional<Entry> find(LeaseName name);

    /**
     * Opens a file for reading past all caches.
     *
     * @return ready, never created; or refused
     */
    LeaseStore.Opened openToRead(String name);

    /** For messages. */
    String where();

    /** Where a lease is, for messages. */
    default String path(Entry entry) {
        return where() + "/" + entry.name();
    }

    /** Whether a lease keeps its place for good, so that there is nothing to be cleaned up. */
    default boolean keepsPlaces() {
        return false;
    }
}
