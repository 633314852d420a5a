/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * How areas are cut; the same for a lockspace and all its resources.
 *
 * @param sectorBytes unit of atomic writes
 * @param areaBytes size of a lease area
 * @param maxHosts highest host id
 */
public record Geometry(int sectorBytes, int areaBytes, int maxHosts) {
    private static final int MIB = 1 << 20;

    static Geometry of(LeaseLayout layout) {
        return new Geometry(layout.sectorBytes(), layout.areaBytes(), layout.maxHosts());
    }

    /** All that the format knows. */
    public static List<Geometry> all() {
        return LeaseLayout.all().stream().map(Geometry::of).toList();
    }

    /** Empty if the format does not know it. */
    Optional<LeaseLayout> layout() {
        return LeaseLayout.all().stream()
                .filter(layout -> of(layout).equals(this))
                .findFirst();
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "%d-byte sectors in areas of %d MiB for %d hosts", sectorBytes, areaBytes / MIB, maxHosts);
    }
}
