/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Says what a command waits for, if it takes longer than people expect: reading may hang for as long as the storage does. A class of its own
 * and no lambda, which would cost each command more than all the rest of it.
 */
final class Patience extends Thread {
    private final CountDownLatch over = new CountDownLatch(1);
    private final Duration limit;
    private final PrintWriter err;
    private final String sentence;

    private Patience(Duration limit, PrintWriter err, String sentence) {
        super("vmguard-patience");
        this.limit = limit;
        this.err = err;
        this.sentence = sentence;
    }

    /** @param sentence printed on a line of its own, once, unless it is over within the limit */
    static Patience begin(Duration limit, PrintWriter err, String sentence) {
        Patience patience = new Patience(limit, err, sentence);
        patience.setDaemon(true);
        patience.start();
        return patience;
    }

    @Override
    public void run() {
        try {
            if (!over.await(limit.toMillis(), TimeUnit.MILLISECONDS)) {
                err.println(sentence);
                err.flush();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Nothing is said any more. */
    void over() {
        over.countDown();
    }
}
