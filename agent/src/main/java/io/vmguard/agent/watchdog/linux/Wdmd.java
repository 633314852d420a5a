/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import io.vmguard.agent.watchdog.DescriptorStore;
import io.vmguard.agent.watchdog.ResetTimer;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * wdmd, sanlock's daemon that keeps the watchdog device for several users. It is told until when our leases are good; from ten seconds
 * before that moment on, at its next look, it leaves the device alone, which fires 60 s later.
 *
 * <p>It forgives no connection that is closed while leases are held, so ours outlives this process, see {@link DescriptorStore}.
 */
public final class Wdmd implements ResetTimer {
    /** Where it listens. */
    public static final Path SOCKET = Path.of("/run/wdmd/wdmd.sock");

    private static final String NAME = "wdmd";
    private static final String STORE_NAME = "vmguard_wdmd";
    private static final int FIRE_SECONDS = 60;
    /** How long before the given moment it takes a client for dead. */
    private static final int EARLY_SECONDS = 10;

    private static final int ANSWER_MILLIS = 2000;
    private static final Duration CHECK_INTERVAL = Duration.ofSeconds(5);

    private final Path socket;
    private final String client;
    private final Timeouts timeouts;
    private final LeaseClock clock;
    private final DescriptorStore store;
    private final Libc libc = Libc.load();
    private final boolean inherited;
    private @Nullable WdmdConnection connection;
    private @Nullable Renewal told;
    private long toldExpire = Long.MAX_VALUE;

    /** @param client as which it shows us, at most 127 bytes */
    public Wdmd(Path socket, String client, Timeouts timeouts, LeaseClock clock, DescriptorStore store) {
        this.socket = socket;
        this.client = client;
        this.timeouts = timeouts;
        this.clock = clock;
        this.store = store;
        OptionalInt left = store.inherited(STORE_NAME);
        this.inherited = left.isPresent();
        this.connection = left.isPresent() ? WdmdConnection.inherited(libc, left.getAsInt()) : null;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean inherited() {
        return inherited;
    }

    /** Why it cannot be used with such delays: between two renewals it must not take us for dead. */
    public static Optional<String> problem(Timeouts timeouts) {
        Duration given = timeouts.renewalFailed().minus(shortfall(timeouts)).minusSeconds(EARLY_SECONDS);
        Duration needed = timeouts.renewalInterval().plus(timeouts.ioTimeout());
        return given.compareTo(needed) > 0
                ? Optional.empty()
                : Optional.of("wdmd gives up " + given.toSeconds() + " s after a renewal with io_timeout "
                        + timeouts.ioTimeoutSeconds() + " s and watchdog_timeout "
                        + timeouts.watchdog().toSeconds() + " s, and renewals need more than " + needed.toSeconds()
                        + " s; io_timeout must be longer than "
                        + (FIRE_SECONDS + EARLY_SECONDS - timeouts.watchdog().toSeconds()) / 5.0 + " s");
    }

    /** By how much its device fires too late for these timeouts. */
    private static Duration shortfall(Timeouts timeouts) {
        return Duration.ofSeconds(FIRE_SECONDS).minus(timeouts.watchdog());
    }

    @Override
    public Optional<String> problem() {
        Optional<String> delays = problem(timeouts);
        if (delays.isPresent() || connection != null) {
            return delays;
        }
        try {
            WdmdConnection probe = WdmdConnection.connect(libc, socket);
            try {
                return status(probe).isPresent() ? Optional.empty() : Optional.of("wdmd does not answer");
            } finally {
                probe.close();
            }
        } catch (IOException e) {
            return Optional.of("wdmd: " + e.getMessage());
        }
    }

    private static Optional<WdmdMessage> status(WdmdConnection to) throws IOException {
        to.send(WdmdMessage.of(WdmdMessage.STATUS));
        return to.receive(ANSWER_MILLIS);
    }

    @Override
    public Result arm(Renewal renewal) {
        Optional<String> delays = problem(timeouts);
        if (delays.isPresent()) {
            return new Result.Failed(delays.get());
        }
        dropBroken();
        boolean fresh = connection == null;
        try {
            WdmdConnection to = fresh ? WdmdConnection.connect(libc, socket) : connection;
            if (to == null) {
                throw new IllegalStateException("no connection");
            }
            try {
                Optional<String> unfit = fresh ? introduce(to) : Optional.empty();
                if (unfit.isEmpty()) {
                    unfit = supervise(to, renewal);
                }
                if (unfit.isEmpty()) {
                    if (fresh) {
                        store.keep(STORE_NAME, to.fd());
                    }
                    connection = to;
                    return new Result.Done();
                }
                if (fresh) {
                    unsupervise(to);
                    to.close();
                }
                return new Result.Failed(unfit.get());
            } catch (IOException e) {
                if (fresh) {
                    to.close();
                }
                throw e;
            }
        } catch (IOException e) {
            return new Result.Failed("wdmd: " + e.getMessage());
        }
    }

    /** Without supervision: whatever is wrong, the connection can be closed. */
    private Optional<String> introduce(WdmdConnection to) throws IOException {
        to.send(WdmdMessage.register(client));
        to.send(WdmdMessage.of(WdmdMessage.REFCOUNT_SET));
        Optional<WdmdMessage> first = status(to);
        if (first.isEmpty()) {
            return Optional.of("wdmd does not answer");
        }
        Optional<String> unfit = unfit(first.get());
        if (unfit.isEmpty()) {
            return unfit;
        }
        // Newer ones open the device on request only. Older ones do not answer.
        to.send(WdmdMessage.openWatchdog(FIRE_SECONDS));
        Optional<WdmdMessage> opened = to.receive(ANSWER_MILLIS);
        if (opened.isEmpty()) {
            return unfit;
        }
        if (opened.get().fireTimeout() != FIRE_SECONDS) {
            return Optional.of("wdmd could not open a watchdog device that fires after " + FIRE_SECONDS + " s");
        }
        Optional<WdmdMessage> second = status(to);
        return second.isEmpty() ? Optional.of("wdmd does not answer") : unfit(second.get());
    }

    private Optional<String> unfit(WdmdMessage status) {
        if (status.fireTimeout() != FIRE_SECONDS) {
            return Optional.of("wdmd's device fires after " + status.fireTimeout() + " s, not " + FIRE_SECONDS + " s");
        }
        long ago = clock.monotonicSeconds() - status.lastKeepalive();
        if (ago < -1 || ago >= FIRE_SECONDS) {
            return Optional.of(
                    "wdmd has fed its device " + ago
                            + " s ago by our clock: it does not feed it, or counts time from another moment (a time namespace)");
        }
        return Optional.empty();
    }

    private Optional<String> supervise(WdmdConnection to, Renewal renewal) throws IOException {
        if (expire(renewal) - clock.monotonicSeconds() <= EARLY_SECONDS) {
            return Optional.of("too little time is left until the next renewal is due for wdmd");
        }
        tell(to, renewal);
        // What has no answer of its own is done when the next question is answered.
        return status(to).isPresent() ? Optional.empty() : Optional.of("wdmd does not answer");
    }

    private void tell(WdmdConnection to, Renewal renewal) throws IOException {
        long expire = expire(renewal);
        to.send(WdmdMessage.testLive(clock.monotonicSeconds(), expire));
        told = renewal;
        toldExpire = expire;
    }

    /** The moment to be told, in seconds of CLOCK_MONOTONIC, as of now: while the machine is suspended that clock stands still. */
    private long expire(Renewal renewal) {
        long leftNanos = renewal.deadlineBootNanos()
                - clock.bootNanos()
                - shortfall(timeouts).toNanos();
        return Math.max(1, Duration.ofNanos(clock.monotonicNanos() + leftNanos).toSeconds());
    }

    @Override
    public Result feed(Renewal renewal) {
        WdmdConnection to = connection;
        if (to == null) {
            return new Result.Failed("wdmd: not connected");
        }
        try {
            to.check();
            if (!renewal.equals(told)) {
                tell(to, renewal);
            }
            return new Result.Done();
        } catch (IOException e) {
            return new Result.Failed("wdmd: " + e.getMessage());
        }
    }

    @Override
    public Duration interval() {
        return CHECK_INTERVAL;
    }

    @Override
    public Duration timeout() {
        return Duration.ofSeconds(FIRE_SECONDS);
    }

    @Override
    public Result letExpire(Renewal last) {
        WdmdConnection to = connection;
        if (to == null || expire(last) >= toldExpire - 1) {
            return new Result.Done();
        }
        try {
            tell(to, last);
            return new Result.Done();
        } catch (IOException e) {
            return new Result.Failed("wdmd: " + e.getMessage());
        }
    }

    @Override
    public Result leaveArmed(Renewal last) {
        return new Result.Done(); // it has all the time that the renewal gives
    }

    @Override
    public Result disarm() {
        dropBroken();
        WdmdConnection to = connection;
        if (to == null) {
            return new Result.Done();
        }
        try {
            unsupervise(to);
            if (status(to).isEmpty()) {
                return new Result.Failed("wdmd does not answer");
            }
        } catch (IOException e) {
            return new Result.Failed("wdmd: " + e.getMessage());
        }
        drop(to);
        return new Result.Done();
    }

    private static void unsupervise(WdmdConnection to) throws IOException {
        to.send(WdmdMessage.testLive(0, 0));
        to.send(WdmdMessage.of(WdmdMessage.REFCOUNT_CLEAR));
    }

    /** If the other side has gone there is nothing left to be said. */
    private void dropBroken() {
        WdmdConnection to = connection;
        try {
            if (to != null) {
                to.check();
            }
        } catch (IOException e) {
            drop(to);
        }
    }

    private void drop(WdmdConnection to) {
        store.forget(STORE_NAME);
        to.close();
        connection = null;
        told = null;
        toldExpire = Long.MAX_VALUE;
    }
}
