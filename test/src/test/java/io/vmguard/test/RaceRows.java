/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** Rows E12 and S10, and what {@link LongRaceIT} runs: two hosts of ours and two stock ones. */
final class RaceRows {
    /** What a loser may be told: held, just taken by another, another's ballot finished, and a release not over. */
    private static final List<Integer> EXCLUSIVE_ANSWERS = List.of(0, -243, -244, -245, -11);

    /** With shared requests, another: too many of them in one's way. */
    static final List<Integer> ANSWERS = List.of(0, -243, -244, -245, -246, -11);

    /** Sanlock's "the storage was too slow": no answer of the protocol, and no fault of it where I/O may take 1 s at the most. */
    private static final int IO_TIMEOUT = -202;

    private static final double MOST_IO_TIMEOUTS = 0.02;

    private static final Duration LIMIT = Duration.ofMinutes(6);

    static final List<MatrixRow> ROWS = List.of(
            MatrixRow.slow("E12", "two of ours and two stock hosts race", RaceRows::exclusive),
            MatrixRow.slow("S10", "two of ours and two stock hosts race in both modes", RaceRows::mixed));

    private RaceRows() {}

    private static void exclusive(Site site) throws IOException {
        site.saw("%s", race(site, 0, 500, EXCLUSIVE_ANSWERS));
    }

    private static void mixed(Site site) throws IOException {
        site.saw("%s", race(site, 60, 500, ANSWERS));
    }

    static Race.Result race(Site site, int percentShared, int acquires, List<Integer> answers) throws IOException {
        SanlockHost one = site.stockMember();
        SanlockHost two = site.stock("two");
        two.join(Site.STOCK_ID + 1);
        OurHost a = site.us();
        OurHost b = site.us();
        for (SanlockHost stock : List.of(one, two)) {
            // A stock host takes nobody's shared mark seriously before it has seen him.
            int other = stock == one ? Site.STOCK_ID + 1 : Site.STOCK_ID;
            for (long id : List.of(a.owner().hostId(), b.owner().hostId(), (long) other)) {
                Site.awaitStatus(stock, (int) id, "LIVE");
            }
        }
        Race.Result result = new Race(site, percentShared)
                .run(List.of(a.racer(Site.R1), b.racer(Site.R1)), List.of(one, two), acquires, acquires / 20, LIMIT);
        assertThat(result.violations()).isEmpty();
        assertThat(answers)
                .containsAll(result.answers().stream()
                        .filter(code -> code != IO_TIMEOUT)
                        .toList());
        assertThat(result.count(IO_TIMEOUT)).isLessThanOrEqualTo((int) (MOST_IO_TIMEOUTS * result.attempts()));
        assertThat(result.granted()).as("everybody had a turn").hasSize(4);
        return result;
    }
}
