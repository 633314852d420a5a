/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.systemd;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Tells systemd that the service is alive ({@code WatchdogSec} of its unit, {@code man 3 sd_watchdog_enabled}) for as long as what it
 * is there for makes progress. Otherwise systemd ends and restarts it: a stopped or stuck agent is replaced by one that continues.
 */
public final class KeepAlive implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(KeepAlive.class);
    private static final String VARIABLE = "WATCHDOG_USEC";
    /** So often within the time that systemd waits. */
    private static final int PER_LIMIT = 4;

    private final ReadinessSocket socket;
    private final Duration limit;
    private final Supplier<Optional<String>> stuck;
    private final CountDownLatch closing = new CountDownLatch(1);
    private boolean saidStuck;

    /**
     * @param environment the process's environment; without word of a limit in it nothing is said
     * @param stuck why there is no progress; empty if there is. Must not block
     */
    public KeepAlive(ReadinessSocket socket, Map<String, String> environment, Supplier<Optional<String>> stuck) {
        this.socket = socket;
        this.limit = limit(environment.getOrDefault(VARIABLE, ""));
        this.stuck = stuck;
    }

    private static Duration limit(String micros) {
        return micros.matches("[0-9]{1,15}") ? Duration.ofNanos(1000 * Long.parseLong(micros)) : Duration.ZERO;
    }

    /** Begins, if systemd wants to be told. */
    public void start() {
        if (limit.isZero()) {
            return;
        }
        Thread thread = new Thread(this::run, "vmguard-keepalive");
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try {
            do {
                step();
            } while (!closing.await(limit.toMillis() / PER_LIMIT, TimeUnit.MILLISECONDS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void step() {
        Optional<String> why = stuck.get();
        if (why.isEmpty()) {
            socket.alive();
        } else if (!saidStuck) {
            LOG.fatal("VG-106 {}: systemd restarts the agent within {} s", why.get(), limit.toSeconds());
        }
        saidStuck = why.isPresent();
    }

    @Override
    public void close() {
        closing.countDown();
    }
}
