/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.fence;

import java.time.Duration;
import java.util.Optional;

/**
 * What must happen to the users of leases, and by when: a pure rule from the age of the last successful renewal and what has happened.
 *
 * <p>Nothing in it assumes that it was asked in time. Somebody who slept through a deadline is told what is overdue, not what he would
 * have been told then.
 */
public final class FencePolicy {

    /** How bad it is. */
    public enum Stage {
        /** Leases are in time. */
        IN_TIME,
        /** They are, but renewals are missing. */
        WARNING,
        /** They are lost; there is time for an orderly end. */
        ORDERLY,
        /** They are lost, and whoever still runs is killed. */
        KILL
    }

    /**
     * @param stage now
     * @param left until the next stage begins; zero in the last one
     */
    public record Verdict(Stage stage, Duration left) {}

    /** What a domain wants to happen to it when its lease is lost. */
    public enum Wish {
        /** It ends. Also of a domain that is started again later. */
        POWEROFF,
        /** It is stopped where it is, if that can be proved in time. */
        PAUSE,
        /** It goes on, unprotected. */
        IGNORE
    }

    /** What is known of the attempts to stop one user so far. */
    public enum Progress {
        /** Nothing was tried, or nothing has come of it yet. */
        NONE,
        /** It is proved that it can write no more until we let it. */
        PAUSE_PROVED,
        /** It will not be paused any more. */
        PAUSE_FAILED,
        /** An orderly end will not come. */
        ORDERLY_FAILED
    }

    /** What is to be done about one user now. */
    public enum Deed {
        /** Nothing. */
        NOTHING,
        /** Have it paused, and prove it. */
        PAUSE,
        /** Leave it as it is: paused for certain. */
        KEEP_PAUSED,
        /** End it through the hypervisor. */
        DESTROY,
        /** SIGKILL, again and again until it is gone. */
        KILL
    }

    private FencePolicy() {}

    /**
     * Where a membership stands.
     *
     * @param sinceRenewal since the start of its last successful renewal, on a clock that counts suspend
     * @param sinceLoss since it was lost by an event, or since its loss was noticed; empty if neither has happened
     */
    public static Verdict judge(FenceTimes times, Duration sinceRenewal, Optional<Duration> sinceLoss) {
        Duration untilLost = times.leasesLost().minus(sinceRenewal);
        if (sinceLoss.isEmpty() && isPositive(untilLost)) {
            Duration untilWarning = times.warned().minus(sinceRenewal);
            return isPositive(untilWarning)
                    ? new Verdict(Stage.IN_TIME, untilWarning)
                    : new Verdict(Stage.WARNING, untilLost);
        }
        // Noticed late, there is less time for an orderly end, or none; lost early by an event, there is no more than
        // usual.
        Duration byAge = times.killed().minus(sinceRenewal);
        Duration byEvent = times.destroyLimit().minus(sinceLoss.orElse(Duration.ZERO));
        Duration left = byAge.compareTo(byEvent) < 0 ? byAge : byEvent;
        return isPositive(left) ? new Verdict(Stage.ORDERLY, left) : new Verdict(Stage.KILL, Duration.ZERO);
    }

    /** What is to be done about one user of leases of a membership that stands like that. */
    public static Deed deed(FenceTimes times, Verdict verdict, Wish wish, Progress progress) {
        boolean lost = verdict.stage() == Stage.ORDERLY || verdict.stage() == Stage.KILL;
        if (!lost || wish == Wish.IGNORE) {
            return Deed.NOTHING;
        }
        if (progress == Progress.PAUSE_PROVED) {
            return Deed.KEEP_PAUSED;
        }
        if (verdict.stage() == Stage.KILL || progress == Progress.ORDERLY_FAILED) {
            return Deed.KILL;
        }
        // The second half of the budget is for ending what would not be paused in the first.
        boolean timeToPause = verdict.left().compareTo(times.destroyLimit().dividedBy(2)) > 0;
        return wish == Wish.PAUSE && progress != Progress.PAUSE_FAILED && timeToPause ? Deed.PAUSE : Deed.DESTROY;
    }

    private static boolean isPositive(Duration duration) {
        return !duration.isNegative() && !duration.isZero();
    }
}
