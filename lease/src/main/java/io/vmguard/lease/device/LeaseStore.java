/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import java.io.IOException;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;

/** Where lease areas live: a directory on shared storage. All calls may hang as long as the storage does. */
public interface LeaseStore {
    /** What came of opening an area. */
    sealed interface Opened {
        record Ready(LeaseFile file, boolean created) implements Opened {}

        /** @param why a sentence for people that ends in the way out, where there is one */
        record Refused(LeaseFault fault, String why) implements Opened {}

        default <T> T fold(Function<Ready, T> ready, BiFunction<LeaseFault, String, T> refused) {
            if (this instanceof Ready r) {
                return ready.apply(r);
            }
            Refused no = (Refused) this;
            return refused.apply(no.fault(), no.why());
        }
    }

    /**
     * Opens an area that exists, or makes it.
     *
     * @param name file name in the directory
     * @param areaBytes its size
     * @param fresh the bytes of a new area, asked for only if there is none: an area is large and nearly always there. The file
     *     appears with all of them or not at all
     * @param mayCreate false: an absent file is refused
     */
    Opened open(LeaseName name, int areaBytes, Supplier<byte[]> fresh, boolean mayCreate);

    /**
     * Takes an area away that nobody can use any more.
     *
     * @param file the area, open: nothing happens to an area that has taken its name meanwhile
     * @throws IOException if it may still be there
     */
    void remove(LeaseName name, LeaseFile file) throws IOException;

    /** The same place for looking at all that is in it. */
    LeaseFiles files();

    /** For messages. */
    String where();

    /** Where a lease is or would be, for messages. */
    default String path(LeaseName name) {
        return where() + "/" + name;
    }

    /** The areas that leases are given, where an area cannot be made out of nothing; empty for a directory. */
    default Optional<AreaPool> pool() {
        return Optional.empty();
    }
}
