/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/**
 * A shipping protocol machine run by hand on real files, one I/O at a time: a test stops it between any two, lets another host act, and
 * goes on. For that host it is a process that was paused there.
 *
 * @param <R> what the machine results in
 */
final class ByHand<R> {
    private final LeaseFile lockspace;
    private final LeaseFile resource;
    private Step<R> next;

    ByHand(LeaseFile lockspace, LeaseFile resource, Step<R> first) {
        this.lockspace = lockspace;
        this.resource = resource;
        this.next = first;
    }

    /** Runs until the next step is such a one, which is not done yet. */
    ByHand<R> runUntil(Predicate<Step<R>> reached) {
        while (!reached.test(next)) {
            if (next instanceof Step.End<R> end) {
                throw new AssertionError("it ended before: " + end.result());
            }
            next = carryOut(next);
        }
        return this;
    }

    /** What it wants to do next. */
    Step<R> next() {
        return next;
    }

    /** Carries out the next step. */
    ByHand<R> step() {
        next = carryOut(next);
        return this;
    }

    /** Runs to its end. */
    R finish() {
        while (true) {
            if (next instanceof Step.End<R> end) {
                return end.result();
            }
            next = carryOut(next);
        }
    }

    /** Carries out the write that is next, but tells the machine this. */
    ByHand<R> carryOutAndSay(IoOutcome told) {
        Step.Write<R> write = (Step.Write<R>) next;
        file(write.area()).write(write.offsetBytes(), write.sector(), write.limit());
        next = write.then().apply(told);
        return this;
    }

    /** Does not carry out the write that is next, and tells the machine this. */
    ByHand<R> dropAndSay(IoOutcome told) {
        next = ((Step.Write<R>) next).then().apply(told);
        return this;
    }

    private Step<R> carryOut(Step<R> step) {
        if (step instanceof Step.Read<R> read) {
            return read.then().apply(file(read.area()).read(read.offsetBytes(), read.lengthBytes(), read.limit()));
        }
        if (step instanceof Step.Write<R> write) {
            return write.then().apply(file(write.area()).write(write.offsetBytes(), write.sector(), write.limit()));
        }
        Step.Pause<R> pause = (Step.Pause<R>) step;
        try {
            // The machine's own waits; nothing counts it down.
            boolean ignored = new CountDownLatch(1).await(pause.length().toNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
        return pause.then().get();
    }

    private LeaseFile file(Step.Area area) {
        return area == Step.Area.LOCKSPACE ? lockspace : resource;
    }
}
