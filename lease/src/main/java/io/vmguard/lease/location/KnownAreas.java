/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.location;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.location.AreaTable.Area;
import io.vmguard.lease.location.AreaTable.Kind;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The areas of a device up to the first one without a name, as looks have found them. Immutable: whoever decides by it decides by one
 * consistent picture, whatever other threads learn or forget meanwhile.
 *
 * @param names areas by name
 * @param damaged areas whose name could not be told
 * @param frontier the first area that had no name, or the one behind the last
 */
record KnownAreas(Map<LeaseName, Integer> names, SortedSet<Integer> damaged, int frontier) {
    static final KnownAreas NOTHING = new KnownAreas(Map.of(), new TreeSet<>(), 1);

    OptionalInt area(LeaseName name) {
        Integer area = names.get(name);
        return area == null ? OptionalInt.empty() : OptionalInt.of(area);
    }

    /** Reads on behind what is known, and once more what was damaged. */
    KnownAreas lookedThrough(LeaseFile device, AreaTable table) {
        Map<LeaseName, Integer> found = new HashMap<>(names);
        SortedSet<Integer> doubtful = new TreeSet<>();
        for (int area : damaged) {
            enter(area, table.area(device, area), found, doubtful);
        }
        int next = frontier;
        while (next <= table.areas() && enter(next, table.area(device, next), found, doubtful)) {
            next++;
        }
        return new KnownAreas(found, doubtful, next);
    }

    /** @return whether the table goes on behind it */
    private static boolean enter(int number, Area area, Map<LeaseName, Integer> found, SortedSet<Integer> doubtful) {
        if (area.kind() == Kind.DAMAGED) {
            doubtful.add(number);
        } else if (area.kind() == Kind.NAMED && !area.name().isEmpty()) {
            // Should there ever be two of a name, all hosts use the first.
            found.merge(new LeaseName(area.name()), number, Math::min);
        } else if (area.kind() == Kind.FREE) {
            return false;
        }
        return true;
    }
}
