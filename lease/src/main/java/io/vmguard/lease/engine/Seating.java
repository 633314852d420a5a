/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadFactory;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Takes the right to be the agent here, at the start or as soon as it can be had, and what the predecessors have left with it. */
final class Seating {
    /** For what is asked of this machine and costs next to nothing. */
    static final Duration ASK_AGAIN = Duration.ofMillis(200);

    private final EngineSettings settings;
    private final LockHolder.Looks looks;
    private final Joiner joiner;
    private final LeaseClock clock;
    private final BlockingDriver driver;
    private final LockspaceListener listener;
    private final ThreadFactory threads;

    private volatile @Nullable Seat seat;
    private volatile Inheritance inheritance = Inheritance.none();

    /** @param threads for the one that waits for a predecessor to be gone */
    Seating(
            EngineSettings settings,
            LockHolder.Looks looks,
            Joiner joiner,
            LeaseClock clock,
            BlockingDriver driver,
            LockspaceListener listener,
            ThreadFactory threads) {
        this.settings = settings;
        this.looks = looks;
        this.joiner = joiner;
        this.clock = clock;
        this.driver = driver;
        this.listener = listener;
        this.threads = threads;
    }

    /** Null until it is taken. */
    @Nullable
    Seat seat() {
        return seat;
    }

    /** What an earlier agent of this boot has left, as long as somebody has to answer for it. */
    Inheritance inheritance() {
        return inheritance;
    }

    /** Its users are gone: there is nothing left to answer for. */
    void inheritanceGone() {
        inheritance = Inheritance.none();
    }

    /** Asks once. Takes over what the predecessors have left, if it is given. */
    Seat.Answer ask() throws IOException {
        Seat.Answer answer = Seat.ask(
                settings.runtimeDir(), settings.lockspace(), settings.identity().bootId(), looks);
        if (answer instanceof Seat.Answer.Taken taken) {
            try {
                inherit(taken.seat());
                seat = taken.seat();
            } finally {
                if (seat == null) {
                    taken.seat().close();
                }
            }
        }
        return answer;
    }

    private void inherit(Seat taken) throws IOException {
        Optional<LocalRecord> before = joiner.before();
        Optional<IoJournal.Renewal> renewal =
                before.flatMap(record -> taken.predecessor().lastRenewal(record.owner()));
        // This process may end before it has renewed itself.
        renewal.ifPresent(taken.journal()::renewed);
        inheritance = Inheritance.of(before, renewal, settings.timeouts(), clock.bootNanos());
    }

    /** @param detail hears why there is none yet */
    Seat await(Consumer<String> detail) throws BlockingDriver.Closing {
        String said = "";
        boolean first = true;
        Seat taken = seat;
        while (taken == null) {
            String why = whyNoSeat();
            if (!why.isEmpty()) {
                detail.accept(why);
                // Right after a kill it takes some milliseconds until it is seen: nothing to tell people.
                if (!first && !said.equals(why)) {
                    listener.joinFailed(LeaseFault.NO_MEMBERSHIP, why);
                    said = why;
                }
                first = false;
                driver.pause(ASK_AGAIN);
            }
            taken = seat;
        }
        awaitPredecessorGone(taken.predecessor());
        return taken;
    }

    /** Asks once more. Empty if it was given. */
    private String whyNoSeat() {
        try {
            Seat.Answer answer = ask();
            if (answer instanceof Seat.Answer.Refused refused) {
                return refused.why();
            }
            return answer instanceof Seat.Answer.NotYet notYet ? notYet.why() : "";
        } catch (IOException | IllegalStateException e) {
            return "the runtime directory cannot be used: " + e.getMessage();
        }
    }

    /** On a thread of its own, and only if there is somebody to wait for. */
    private void awaitPredecessorGone(Predecessor predecessor) {
        if (predecessor.gone().isDone()) {
            return;
        }
        threads.newThread(() -> {
                    try {
                        while (!predecessor.gone().isDone()) {
                            driver.pause(ASK_AGAIN);
                            predecessor.look();
                        }
                    } catch (BlockingDriver.Closing e) {
                        // Whoever comes next waits for it.
                    }
                })
                .start();
    }

    /** For I/O, which nobody may do without a seat. */
    IoJournal journal() {
        Seat taken = seat;
        if (taken == null) {
            throw new IllegalStateException("no I/O without the right to it");
        }
        return taken.journal();
    }
}
