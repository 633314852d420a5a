/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** What one direct read or write of a sector takes, against the time that the protocol allows for it. */
final class LatencyCheck implements Check<LatencyCheck.Facts> {
    /** So many times the slowest of a few seconds leave room for what those seconds did not show. */
    private static final int ROOM = 10;

    private static final int LONGEST_SECONDS = 30;

    /**
     * @param sectorBytes what was written or read at once
     * @param writes whether a file beside the leases was written and read; else the device was only read
     * @param millis each of them, in any order
     * @param failure why direct I/O is not possible; empty if it is
     */
    record Facts(int sectorBytes, boolean writes, List<Double> millis, String failure, Duration ioTimeout) {}

    @Override
    public String name() {
        return "lease_io";
    }

    @Override
    public String why() {
        return "a renewal that takes longer than io_timeout counts as failed; after 8 x io_timeout of failures domains are stopped";
    }

    @Override
    public Judgement judge(Facts facts) {
        if (!facts.failure().isEmpty()) {
            return Judgement.red(
                    "direct I/O of " + facts.sectorBytes() + " bytes is not possible: " + facts.failure(),
                    "Leases cannot be kept here: choose another lease_dir, or with 4096-byte sectors vmguard lease init --sector 4096");
        }
        if (facts.millis().isEmpty()) {
            return Judgement.yellow("nothing was measured", "Ask again");
        }
        List<Double> sorted = facts.millis().stream().sorted().toList();
        double max = sorted.get(sorted.size() - 1);
        double p99 = quantile(sorted, 0.99);
        long suggested = suggestedSeconds(max);
        String seen = String.format(
                Locale.ROOT,
                "%d direct %s of %d bytes: p50 %.1f ms, p99 %.1f ms, max %.1f ms; io_timeout is %d s, %s",
                sorted.size(),
                facts.writes() ? "writes and reads" : "reads (a device is not written to)",
                facts.sectorBytes(),
                quantile(sorted, 0.5),
                p99,
                max,
                facts.ioTimeout().toSeconds(),
                suggested > LONGEST_SECONDS ? "and no value would do" : "from " + suggested + " s on would do");
        if (max >= facts.ioTimeout().toMillis()) {
            return Judgement.red(
                    seen,
                    "Faster or less loaded storage, or io_timeout: " + Math.min(suggested, LONGEST_SECONDS)
                            + "s on all hosts");
        }
        if (suggested > facts.ioTimeout().toSeconds()) {
            return Judgement.yellow(
                    seen,
                    "Look at the storage under load, or set io_timeout: " + Math.min(suggested, LONGEST_SECONDS)
                            + "s on all hosts");
        }
        return Judgement.green(seen);
    }

    static long suggestedSeconds(double maxMillis) {
        return Math.max(1, (long) Math.ceil(maxMillis * ROOM / 1000));
    }

    /** Nearest rank. */
    static double quantile(List<Double> sorted, double share) {
        int rank = (int) Math.ceil(share * sorted.size());
        return sorted.get(Math.max(0, Math.min(sorted.size(), rank) - 1));
    }
}
