/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.events;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * The last events, as many as there is room for. Any thread; nobody ever waits for anybody, for the guard writes here too.
 */
public final class EventLog {
    private final AtomicReferenceArray<Event> ring;
    private final AtomicLong last = new AtomicLong();

    /** @param room for so many events; older ones are forgotten */
    public EventLog(int room) {
        this.ring = new AtomicReferenceArray<>(room);
    }

    void add(long time, String level, String code, String message) {
        long seq = last.incrementAndGet();
        ring.set((int) (seq % ring.length()), new Event(Event.FORMAT, seq, time, level, code, message));
    }

    /** Those after {@code seq} that are still there, in their order, and none that a later call would have to put before them. */
    public List<Event> after(long seq) {
        long next = Math.max(seq, last.get() - ring.length()) + 1;
        List<Event> found = new ArrayList<>();
        for (int i = 0; i < ring.length(); i++) {
            Event event = ring.get(i);
            if (event != null && event.seq() >= next) {
                found.add(event);
            }
        }
        found.sort(Comparator.comparingLong(Event::seq));
        int whole = 0;
        // The writer of one that is missing has its number, and not yet its place.
        while (whole < found.size() && found.get(whole).seq() == next + whole) {
            whole++;
        }
        return found.subList(0, whole);
    }
}
