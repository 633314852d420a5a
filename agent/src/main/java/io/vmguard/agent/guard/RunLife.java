/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * The life of a run: what it can be in, what can happen to it, and what comes of each. Pure, and the only place that says so; the same table
 * is in ARCHITECTURE.md. What its leases do while it runs is {@link Following}'s.
 */
final class RunLife {

    /** What a run can be in. */
    enum State {
        /** Its start waits for the answer. */
        ACQUIRING,
        /** It may have a QEMU: its start was granted, or it was found active. No process is in hand. */
        GRANTED,
        /** Its QEMU is in hand. */
        RUNNING,
        /** It is being stopped; no process is in hand, and one may come yet. */
        DOOMED,
        /** It is being stopped; its QEMU is in hand. */
        DYING,
        /** It has lost its leases, and its QEMU is proved to write no more until it is let go on. */
        HALTED,
        /** It is over: no QEMU of it is or comes. */
        ENDED
    }

    /** What can happen to it. Hooks, events and lists of libvirt's are hints to look for one of these. */
    enum Event {
        /** The answer to its start is yes. */
        GRANT,
        /** The answer is no, or nobody waits for it any more. */
        REFUSE,
        /** A process with its UUID was found. */
        FIND,
        /** Its leases are lost, or it must not go on for another reason. */
        DOOM,
        /** Its QEMU was found stopped by an earlier agent, or stopped by this one with proof. */
        HALT,
        /** It has its leases again, and nobody had them meanwhile. */
        RESUME,
        /** It must die at once. */
        KILL,
        /** It is proved that no QEMU of it is or comes. */
        END
    }

    private static final Map<State, Map<Event, State>> NEXT = new EnumMap<>(State.class);

    static {
        row(State.ACQUIRING, Event.GRANT, State.GRANTED, Event.REFUSE, State.ENDED);
        row(
                State.GRANTED,
                Event.FIND,
                State.RUNNING,
                Event.DOOM,
                State.DOOMED,
                Event.KILL,
                State.DOOMED,
                Event.END,
                State.ENDED);
        row(
                State.RUNNING,
                Event.DOOM,
                State.DYING,
                Event.HALT,
                State.HALTED,
                Event.KILL,
                State.DYING,
                Event.END,
                State.ENDED);
        row(
                State.DOOMED,
                Event.FIND,
                State.DYING,
                Event.DOOM,
                State.DOOMED,
                Event.KILL,
                State.DOOMED,
                Event.END,
                State.ENDED);
        row(
                State.DYING,
                Event.DOOM,
                State.DYING,
                Event.HALT,
                State.HALTED,
                Event.KILL,
                State.DYING,
                Event.END,
                State.ENDED);
        row(
                State.HALTED,
                Event.DOOM,
                State.DYING,
                Event.HALT,
                State.HALTED,
                Event.RESUME,
                State.RUNNING,
                Event.KILL,
                State.DYING,
                Event.END,
                State.ENDED);
        row(State.ENDED, Event.END, State.ENDED);
    }

    private RunLife() {}

    private static void row(State from, Object... eventsAndStates) {
        Map<Event, State> row = new EnumMap<>(Event.class);
        for (int i = 0; i < eventsAndStates.length; i += 2) {
            row.put((Event) eventsAndStates[i], (State) eventsAndStates[i + 1]);
        }
        NEXT.put(from, row);
    }

    /** @return empty if that cannot happen to a run in this state: somebody has a bug, and nothing changes */
    static Optional<State> next(State state, Event event) {
        return Optional.ofNullable(NEXT.getOrDefault(state, Map.of()).get(event));
    }
}
