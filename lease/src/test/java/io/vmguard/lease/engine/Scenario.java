/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.Timeouts;
import java.time.Duration;
import java.util.SplittableRandom;

/**
 * What one schedule is made of. Every seed draws another mixture: a schedule with every fault at once seldom gets far enough for a
 * rare one to matter.
 *
 * @param hosts vmguard hosts
 * @param stockHosts hosts that follow sanlock's rules
 * @param oneIdTwice the first two vmguard hosts are configured with the same host id
 * @param length how long faults happen and hosts work, before everything heals
 * @param sharedShare how many of the acquires are for shared mode
 */
record Scenario(
        int hosts,
        int stockHosts,
        int resources,
        Timeouts timeouts,
        boolean oneIdTwice,
        boolean forcedIds,
        double sharedShare,
        double handOverShare,
        Duration think,
        Duration length,
        Faults faults) {

    /**
     * How often what goes wrong.
     *
     * @param slowIo share of I/Os that take from a moment to half a minute per second of T
     * @param failedIo share of I/Os that are reported as failed; half of them were carried out
     * @param crash mean time between crashes of one machine, zero for never; likewise the others
     * @param kill of the agent's process alone: users live on, a successor starts
     * @param freeze of the agent or the whole machine, with clocks that go on
     * @param suspend of the machine: the monotonic clock stands still meanwhile
     * @param lateWritesOfTheDead what was on its way when a machine died may land any time later
     * @param tornAreas lease areas are made in two parts by somebody who may die in between
     */
    record Faults(
            double slowIo,
            double failedIo,
            Duration crash,
            Duration kill,
            Duration freeze,
            Duration suspend,
            boolean lateWritesOfTheDead,
            boolean tornAreas) {
        static final Faults NONE =
                new Faults(0, 0, Duration.ZERO, Duration.ZERO, Duration.ZERO, Duration.ZERO, false, false);
    }

    /** Lengths of a dead host's time that a schedule lasts. */
    private static final int LIVES = 8;

    /** Every so many schedules have stock hosts. */
    private static final int STOCK_EVERY = 4;

    /** Seeds from here on are for {@link #dense} schedules. */
    static final long DENSE = 1L << 40;

    static Scenario of(long seed) {
        return seed < DENSE ? wide(seed) : dense(seed);
    }

    /** Few hosts, one resource, many hand-overs and many slow and failed I/Os: what meets is what is on its way at the same time. */
    private static Scenario dense(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1);
        int stock = seed % STOCK_EVERY == 0 ? 1 : 0;
        int hosts = stock > 0 ? 2 : random.nextInt(3, 5);
        Timeouts timeouts = stock > 0
                ? Timeouts.ofSeconds(1)
                : new Timeouts(Duration.ofSeconds(1), Duration.ofSeconds(random.nextInt(2) == 0 ? 60 : 10));
        Duration life = timeouts.hostDead();
        Faults faults = new Faults(
                random.nextDouble() * 0.06,
                random.nextDouble() * 0.06,
                random.nextInt(3) == 0 ? life.multipliedBy(3) : Duration.ZERO,
                random.nextInt(3) == 0 ? life.multipliedBy(3) : Duration.ZERO,
                Duration.ZERO,
                Duration.ZERO,
                true,
                false);
        return new Scenario(
                hosts,
                stock,
                1,
                timeouts,
                false,
                false,
                oneOf(random, 0, 0, 0.3),
                random.nextDouble() * 0.9,
                Duration.ofMillis(random.nextInt(200, 1500)),
                Duration.ofMinutes(3),
                faults);
    }

    private static Scenario wide(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9E3779B97F4A7C15L + 1);
        // By the seed, so that all others stay what they were.
        int stock = seed % STOCK_EVERY == 0 ? random.nextInt(1, 3) : 0;
        int hosts = stock > 0 ? random.nextInt(1, 3) : random.nextInt(2, 5);
        boolean twice = hosts > 2 && random.nextInt(8) == 0;
        // A stock host on the disk means the stock watchdog for all.
        Timeouts timeouts = stock > 0
                ? Timeouts.ofSeconds(random.nextInt(1, 3))
                : new Timeouts(
                        Duration.ofSeconds(random.nextInt(1, 4)),
                        Duration.ofSeconds(random.nextInt(10) == 0 ? 60 : 10));
        Duration life = timeouts.hostDead();
        Faults faults = new Faults(
                oneOf(random, 0, 0.003, 0.02),
                oneOf(random, 0, 0.003, 0.02),
                every(random, life),
                every(random, life),
                every(random, life),
                every(random, life.multipliedBy(2)),
                random.nextBoolean(),
                random.nextInt(4) == 0);
        return new Scenario(
                hosts,
                stock,
                random.nextInt(1, 3),
                timeouts,
                twice,
                twice || random.nextInt(4) == 0,
                oneOf(random, 0, 0.3, 0.7),
                oneOf(random, 0, 0.2, 0.5),
                // Long enough for few operations in a long life, short enough for races.
                life.dividedBy(random.nextInt(8, 60)),
                life.multipliedBy(LIVES),
                faults);
    }

    private static double oneOf(SplittableRandom random, double... values) {
        return values[random.nextInt(values.length)];
    }

    private static Duration every(SplittableRandom random, Duration life) {
        return switch (random.nextInt(4)) {
            case 0 -> Duration.ZERO;
            case 1 -> life.multipliedBy(8);
            case 2 -> life.multipliedBy(3);
            default -> life;
        };
    }

    /** The longest that one I/O can take. */
    Duration longestIo() {
        return timeouts.ioTimeout().multipliedBy(30);
    }

    /** The longest that a machine stays down, frozen or asleep. */
    Duration longestOutage() {
        return timeouts.hostDead().multipliedBy(2);
    }
}
