/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.migration;

/**
 * The host that a domain migrates away from.
 *
 * <p>The leases go when the guest can not run here any more unless the hypervisor resumes it: all of it has been transferred. Whether it
 * runs there then is not known here yet, and a hypervisor that loses the other one resumes it at once. So it is stopped by SIGSTOP before
 * anything is given, and goes on only with the leases back, or to be ended by the hypervisor. Of one whose answers the other side needs only
 * the virtual processors are held; all of it is stopped when it is resumed, or when the other side has said nothing for long.
 */
public final class SourceSide {

    /** What its QEMU can do. */
    public enum Qemu {
        /** The guest may run, or be resumed by anybody: also while it is paused by a user. */
        ACTIVE,
        /** Its guest has been transferred and stands still; the hypervisor alone could resume it. */
        SWITCHED,
        /** We have stopped it by SIGSTOP. */
        STOPPED,
        /** It is proved gone. */
        GONE
    }

    /** Whether its virtual processors are held, while the rest of it goes on. */
    public enum Guest {
        FREE,
        /** It was asked for. */
        BEING_HELD,
        HELD,
        /** It cannot be done. */
        UNHOLDABLE
    }

    /** Where the exclusive leases of the domain are. */
    public enum Leases {
        /** All here, never given. */
        OURS,
        /** Under way, or the outcome of a step is not known. */
        GIVING,
        /** Some or all are given. */
        GIVEN,
        /** All here again: the other side has let go of them. */
        RETURNED
    }

    /** The other side's last word in this attempt. */
    public enum Word {
        /** It has said nothing: perhaps nobody guards it. */
        NONE,
        PREPARED,
        RUNNING,
        /** It has not got the guest and will not; or its host is dead. */
        ENDED,
        /** It cannot be read now. */
        UNKNOWN
    }

    /**
     * What is known.
     *
     * @param job the hypervisor says that the migration is under way
     * @param spent the hypervisor will not resume it any more: the rest of the memory is fetched from here (post-copy), or it is about to
     *     end it, as is usual
     * @param answers the other side's QEMU may need answers from this one before its guest can write
     * @param guest whether only the hypervisor's word is between it and running
     * @param late the guest has been still for longer than an ordinary switch-over takes
     * @param overdue it has been still for so long that nobody will come any more
     */
    public record Facts(
            Qemu qemu,
            Leases leases,
            Word word,
            boolean job,
            boolean spent,
            boolean answers,
            Guest guest,
            boolean late,
            boolean overdue) {

        private boolean held() {
            return guest == Guest.HELD || guest == Guest.BEING_HELD;
        }
    }

    /** What is to be done next. Each can be done again. */
    public enum Step {
        /** Nothing; look again. */
        WAIT,
        /** Give the leases that are here to the other side. */
        HAND_OVER,
        /** Stop its virtual processors. */
        HOLD,
        /** SIGSTOP. */
        HALT,
        /** Ask for the leases back. */
        TAKE_BACK,
        /** SIGCONT, and its virtual processors let go: it is ours as before. */
        PROCEED,
        /** The same, so that the hypervisor can end it, which is what it is about to do. */
        LET_END,
        /** The other side runs: see to it that this one ends, soon, or at the end of post-copy. */
        END,
        /** SIGKILL now. */
        KILL,
        /** The migration has come to nothing: everything is as it was before. */
        CLOSE,
        /** Nobody uses what is left here: give it back. */
        RELEASE
    }

    private SourceSide() {}

    /** What is to be done. */
    public static Step next(Facts facts) {
        if (facts.qemu() == Qemu.GONE) {
            return gone(facts);
        }
        boolean kept = facts.qemu() == Qemu.STOPPED || (facts.qemu() == Qemu.SWITCHED && facts.held());
        if (kept && facts.spent()) {
            return Step.LET_END;
        }
        return switch (facts.leases()) {
            case OURS -> ours(facts);
            case GIVING -> giving(facts);
            case GIVEN -> given(facts);
            case RETURNED -> returned(facts);
        };
    }

    /** Sent, and nothing but us can keep the hypervisor from resuming it: that comes first, and then the other step. */
    private static Step still(Facts facts, Step then) {
        if (facts.spent()) {
            return then;
        }
        boolean decided = facts.word() == Word.RUNNING || facts.word() == Word.ENDED;
        if (!facts.answers() || (facts.late() && !decided)) {
            return Step.HALT;
        }
        return switch (facts.guest()) {
            case FREE -> Step.HOLD;
            case BEING_HELD -> facts.late() ? then : Step.WAIT;
            case HELD, UNHOLDABLE -> then;
        };
    }

    /** It holds the leases. */
    private static Step ours(Facts facts) {
        return switch (facts.qemu()) {
            // Here and there at once: that one goes on, for it has the newer memory.
            case ACTIVE ->
                facts.word() == Word.RUNNING
                        ? Step.KILL
                        : facts.held() ? Step.HALT : facts.job() ? Step.WAIT : Step.CLOSE;
            case SWITCHED ->
                switch (facts.word()) {
                    case PREPARED, RUNNING -> still(facts, Step.HAND_OVER);
                    case UNKNOWN -> still(facts, Step.WAIT);
                    case NONE, ENDED -> facts.held() ? Step.PROCEED : facts.job() ? Step.WAIT : Step.CLOSE;
                };
            case STOPPED ->
                switch (facts.word()) {
                    case RUNNING -> facts.late() ? Step.KILL : Step.HAND_OVER;
                    case PREPARED -> facts.overdue() ? Step.KILL : Step.HAND_OVER;
                    case UNKNOWN -> facts.overdue() ? Step.KILL : Step.WAIT;
                    case NONE, ENDED -> Step.PROCEED;
                };
            case GONE -> Step.RELEASE;
        };
    }

    private static Step giving(Facts facts) {
        boolean runsThere = facts.word() == Word.RUNNING;
        return switch (facts.qemu()) {
            case ACTIVE -> runsThere ? Step.KILL : Step.HALT;
            case SWITCHED -> still(facts, Step.WAIT);
            case STOPPED -> runsThere && facts.late() ? Step.KILL : Step.WAIT;
            case GONE -> Step.WAIT;
        };
    }

    /** It owns nothing: it must not run, whatever the hypervisor does. */
    private static Step given(Facts facts) {
        boolean runsThere = facts.word() == Word.RUNNING;
        return switch (facts.qemu()) {
            case ACTIVE -> runsThere ? Step.KILL : Step.HALT;
            case SWITCHED ->
                still(facts, runsThere ? Step.END : facts.word() == Word.ENDED ? Step.TAKE_BACK : Step.WAIT);
            case STOPPED ->
                switch (facts.word()) {
                    case RUNNING -> Step.END;
                    case ENDED -> Step.TAKE_BACK;
                    case NONE, PREPARED -> facts.late() || !facts.job() ? Step.TAKE_BACK : Step.WAIT;
                    case UNKNOWN -> Step.WAIT;
                };
            case GONE -> Step.RELEASE;
        };
    }

    /** That the leases came back proves that nothing runs there, whatever the last word was. */
    private static Step returned(Facts facts) {
        return switch (facts.qemu()) {
            case STOPPED -> Step.PROCEED;
            case ACTIVE, SWITCHED -> facts.held() ? Step.PROCEED : facts.job() ? Step.WAIT : Step.CLOSE;
            case GONE -> Step.RELEASE;
        };
    }

    private static Step gone(Facts facts) {
        boolean wanted = facts.word() == Word.PREPARED || facts.word() == Word.RUNNING;
        return switch (facts.leases()) {
            case OURS -> wanted && !facts.late() ? Step.HAND_OVER : Step.RELEASE;
            case GIVING -> Step.WAIT;
            case GIVEN, RETURNED -> Step.RELEASE;
        };
    }
}
