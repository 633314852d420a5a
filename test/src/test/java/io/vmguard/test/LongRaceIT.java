/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/**
 * Two hosts of ours and two stock ones race for one resource, exclusively and shared, two thousand acquires long. The {@link Race}'s
 * referee knows nothing of leases: it compares when each said that it held the resource.
 */
@NeedsTestImage
class LongRaceIT {
    private static final int ACQUIRES = 2_000;
    private static final int PERCENT_SHARED = 50;

    @Test
    void nobodyMeetsAnExclusiveHolder() throws IOException {
        try (Site site = new Site(Geometry.SECTORS_512)) {
            System.out.println("long race: " + RaceRows.race(site, PERCENT_SHARED, ACQUIRES, RaceRows.ANSWERS));
        }
    }
}
