/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.migration;

/**
 * The host that a domain migrates to, from the moment at which its start was granted: its leases are prepared for, and come when the
 * giver hands them over.
 */
public final class TargetSide {

    /** What its QEMU can do. */
    public enum Qemu {
        /** Granted, but none is seen yet. */
        NONE,
        /** It is there and receives memory, or will not any more; its guest does not run. */
        INCOMING,
        /** The guest runs, or the migration is over here so that anybody may let it run. */
        RUNNING,
        /** Proved gone, or proved that there will be none. */
        GONE
    }

    /** Where the leases are that it has prepared for. */
    public enum Leases {
        /** Not known to be here. */
        RECEIVING,
        /** Confirmed, all of them. */
        OURS,
        /** One of them will not come. */
        REFUSED
    }

    /**
     * What is known.
     *
     * @param giverSilent the giver's host has not renewed for so long that its leases have run out: before others may take them, whoever
     *     counts on them must have stopped
     */
    public record Facts(Qemu qemu, Leases leases, boolean giverSilent) {}

    /** What is to be done next. Each can be done again. */
    public enum Step {
        /** Nothing; look again. */
        WAIT,
        /** Say that it runs, and find out whether the leases are here. */
        CONFIRM,
        /** Take the leases that will not be given like any other. */
        CLAIM,
        /** Stop it: it runs without leases, and soon somebody else may have them. */
        STOP,
        /** Let go of everything, and say so. */
        DECLINE,
        /** The migration is over: from here on it is a run like any other. */
        CLOSE
    }

    private TargetSide() {}

    /** What is to be done. */
    public static Step next(Facts facts) {
        return switch (facts.qemu()) {
            case NONE, INCOMING -> Step.WAIT;
            case RUNNING ->
                switch (facts.leases()) {
                    case OURS -> Step.CLOSE;
                    case RECEIVING -> facts.giverSilent() ? Step.STOP : Step.CONFIRM;
                    case REFUSED -> facts.giverSilent() ? Step.STOP : Step.CLAIM;
                };
            case GONE -> facts.leases() == Leases.OURS ? Step.CLOSE : Step.DECLINE;
        };
    }
}
