/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.step;

import java.time.Duration;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * What a protocol machine wants next, with its own continuation.
 *
 * <p>A machine is a chain of these: it never blocks, never starts a thread, and reads time only from the clock it was given. Who
 * drives it does one step at a time and calls the continuation exactly once with the outcome. On a real machine a thread does that;
 * in a simulation a scheduler.
 *
 * @param <R> what the machine results in
 */
public sealed interface Step<R> {

    /** Which area an offset belongs to. */
    enum Area {
        LOCKSPACE,
        RESOURCE
    }

    /** Read whole sectors. */
    record Read<R>(Area area, long offsetBytes, int lengthBytes, Duration limit, Function<IoOutcome, Step<R>> then)
            implements Step<R> {}

    /** Write one whole sector, durable when it is done. */
    record Write<R>(Area area, long offsetBytes, byte[] sector, Duration limit, Function<IoOutcome, Step<R>> then)
            implements Step<R> {}

    /** Let time pass. */
    record Pause<R>(Duration length, Supplier<Step<R>> then) implements Step<R> {}

    /** The machine has ended. */
    record End<R>(R result) implements Step<R> {}

    /** The machine that goes on with another when it has ended. */
    default <S> Step<S> andThen(Function<R, Step<S>> next) {
        if (this instanceof End<R> end) {
            return next.apply(end.result());
        } else if (this instanceof Read<R> read) {
            return new Read<>(
                    read.area(),
                    read.offsetBytes(),
                    read.lengthBytes(),
                    read.limit(),
                    outcome -> read.then().apply(outcome).andThen(next));
        } else if (this instanceof Write<R> write) {
            return new Write<>(
                    write.area(),
                    write.offsetBytes(),
                    write.sector(),
                    write.limit(),
                    outcome -> write.then().apply(outcome).andThen(next));
        }
        Pause<R> pause = (Pause<R>) this;
        return new Pause<>(pause.length(), () -> pause.then().get().andThen(next));
    }

    static <R> Step<R> end(R result) {
        return new End<>(result);
    }
}
