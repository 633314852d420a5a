/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.List;

/** A geometry of lease areas, in sanlock's words and in ours. */
public enum Geometry {
    /** What a directory gets when nobody says otherwise. */
    SECTORS_512("512", 512),
    SECTORS_4096("4096", 4096);

    private static final String ALIGN = "1M";
    private static final int ALIGN_BYTES = 1 << 20;

    private final String sectorOption;
    private final LeaseLayout layout;

    Geometry(String sectorOption, int sectorBytes) {
        this.sectorOption = sectorOption;
        this.layout = LeaseLayout.all().stream()
                .filter(l -> l.sectorBytes() == sectorBytes && l.areaBytes() == ALIGN_BYTES)
                .findFirst()
                .orElseThrow();
    }

    public LeaseLayout layout() {
        return layout;
    }

    int sectorBytes() {
        return layout.sectorBytes();
    }

    int areaBytes() {
        return layout.areaBytes();
    }

    /** {@code -Z 512 -A 1M} */
    List<String> options() {
        return List.of("-Z", sectorOption, "-A", ALIGN);
    }

    /** The other one, for what does not fit. */
    Geometry other() {
        return this == SECTORS_512 ? SECTORS_4096 : SECTORS_512;
    }

    @Override
    public String toString() {
        return sectorOption + "/" + ALIGN;
    }
}
