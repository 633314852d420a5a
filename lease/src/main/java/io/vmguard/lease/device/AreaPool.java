/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.device;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import java.util.Optional;
import java.util.function.IntFunction;

/**
 * A device full of lease areas, one behind the other: the lockspace, the lease under which areas are given names, then areas that have
 * the name of a resource or none yet. A name stays where it was put, for good; the first area without one ends the table.
 *
 * <p>All calls may hang as long as the storage does.
 */
public interface AreaPool {
    /** The resource under which areas are given names, in the area behind the lockspace. */
    LeaseName NAMES = new LeaseName("vmguard-names");

    /** What the names of areas without one begin with. */
    String STAND_IN = "vmguard-free-";

    /** What the table says of a name. */
    sealed interface Found {
        /** It has an area; {@link LeaseStore#open} opens it. */
        record Named() implements Found {}

        /**
         * It has none, and this is the next one to be had.
         *
         * @param file the area, open; whoever asked closes it
         * @param standIn the name that it has meanwhile
         */
        record Free(LeaseFile file, LeaseName standIn) implements Found {}

        /** No area is left, or a damaged one may be that lease: it must not get a second one. */
        record Refused(LeaseFault fault, String why) implements Found {}
    }

    /** Looks on the device itself. Only a look by the holder of {@link #NAMES} stays true. */
    Found find(LeaseName name, int areaBytes);

    /** The name of an area that no resource has yet. */
    static LeaseName standIn(int area) {
        return new LeaseName(STAND_IN + area);
    }

    /** Whether no resource may have this name. */
    static boolean isReserved(LeaseName name) {
        return name.value().startsWith("vmguard-");
    }

    /** How many areas for resources the device has room for, beside the lockspace. */
    int room(int areaBytes);

    /**
     * Fills an empty device. The lockspace comes last, so that nobody joins before everything is there.
     *
     * @param area bytes of areas 0 (the lockspace), 1, …
     * @param areas how many there are, the lockspace included
     * @return why not, a sentence for people: above all, because there is a byte on the device that is not zero; empty if it was done
     */
    Optional<String> fill(IntFunction<byte[]> area, int areas, int areaBytes, int sectorBytes);
}
