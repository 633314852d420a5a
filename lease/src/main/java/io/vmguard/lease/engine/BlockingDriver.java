/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.device.LeaseFile;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Runs a protocol machine to its end on the calling thread, with real files and real time. */
final class BlockingDriver {
    /** A pause was cut short because the engine is closing; the machine was given up between two I/Os. */
    static final class Closing extends Exception {
        private static final long serialVersionUID = 1L;

        Closing() {
            super("closing", null, false, false);
        }
    }

    private final CountDownLatch closing;

    /** @param closing counted down when machines that only pause shall end */
    BlockingDriver(CountDownLatch closing) {
        this.closing = closing;
    }

    /** @param resource a file that this machine never touches may be the lockspace's again */
    <R> R run(Step<R> first, LeaseFile lockspace, LeaseFile resource) throws Closing {
        Step<R> step = first;
        while (true) {
            if (step instanceof Step.End<R> end) {
                return end.result();
            } else if (step instanceof Step.Read<R> read) {
                LeaseFile file = read.area() == Step.Area.LOCKSPACE ? lockspace : resource;
                step = read.then().apply(file.read(read.offsetBytes(), read.lengthBytes(), read.limit()));
            } else if (step instanceof Step.Write<R> write) {
                LeaseFile file = write.area() == Step.Area.LOCKSPACE ? lockspace : resource;
                step = write.then().apply(file.write(write.offsetBytes(), write.sector(), write.limit()));
            } else if (step instanceof Step.Pause<R> pause) {
                pause(pause.length());
                step = pause.then().get();
            }
        }
    }

    void pause(Duration length) throws Closing {
        try {
            if (closing.await(length.toNanos(), TimeUnit.NANOSECONDS)) {
                throw new Closing();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Closing();
        }
    }
}
