/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SplittableRandom;
import java.util.stream.LongStream;

/**
 * A walk through a model of the world around a real guard: a seed decides each step, and rules must hold at all of them.
 *
 * <p>The same seed gives the same walk; {@code -Dguard.walk.seed=N} has the tests replay one.
 */
abstract class RandomWalk {
    /** A rule was broken. */
    static final class Violation extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Violation(String message) {
            super(message);
        }
    }

    private static final int TRACE_LINES = 400;

    final SplittableRandom random;
    private final long seed;
    /** The latest lines only. */
    private final Deque<String> trace = new ArrayDeque<>();

    RandomWalk(long seed) {
        this.seed = seed;
        random = new SplittableRandom(seed);
    }

    /** Those of so many walks, or the one that is to be replayed. */
    static LongStream seeds(int walks) {
        Long only = Long.getLong("guard.walk.seed");
        return only != null ? LongStream.of(only) : LongStream.range(0, walks);
    }

    /** Takes so many steps. */
    abstract void wander(int steps);

    /** Heals everything, lets all end, and looks at what is left. */
    abstract void comeHome();

    /** Both; fails with seed and trace if a rule is broken. */
    final void walk(int steps) {
        try {
            wander(steps);
            comeHome();
        } catch (Violation e) {
            throw new AssertionError("seed " + seed + ": " + e.getMessage() + "\n" + trace(), e);
        }
    }

    final boolean chance(int percent) {
        return random.nextInt(100) < percent;
    }

    final void say(String line) {
        if (trace.size() == TRACE_LINES) {
            trace.removeFirst();
        }
        trace.addLast(line);
    }

    final String trace() {
        return String.join("\n", trace);
    }
}
