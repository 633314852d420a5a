/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Room for what must be written. */
final class FreeSpaceCheck implements Check<FreeSpaceCheck.Facts> {
    private static final double MIB = 1 << 20;

    /**
     * @param what the setting that names it
     * @param usable bytes; of total bytes
     * @param least below so many bytes something fails soon
     * @param wanted below so many bytes it is time to look
     */
    record Place(String what, String path, long usable, long total, long least, long wanted) {}

    record Facts(List<Place> places) {}

    @Override
    public String name() {
        return "free_space";
    }

    @Override
    public String why() {
        return "a new lease is a file of 1 MiB; a start whose lease cannot be made is refused, and what cannot be audited is not done";
    }

    @Override
    public Judgement judge(Facts facts) {
        List<Judgement> all = new ArrayList<>();
        for (Place place : facts.places()) {
            String seen = String.format(
                    Locale.ROOT,
                    "%s (%s) has %.0f MiB free of %.0f",
                    place.what(),
                    place.path(),
                    place.usable() / MIB,
                    place.total() / MIB);
            if (place.usable() < place.least()) {
                all.add(Judgement.red(seen, "Make room, or vmguard lease gc for leases that nobody uses"));
            } else if (place.usable() < place.wanted()) {
                all.add(Judgement.yellow(seen, "Make room, or vmguard lease gc for leases that nobody uses"));
            } else {
                all.add(Judgement.green(seen));
            }
        }
        return all.isEmpty() ? Judgement.yellow("nothing was looked at", "Ask again as root") : Judgement.all(all);
    }
}
