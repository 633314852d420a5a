/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import io.vmguard.agent.watchdog.ResetTimer.Result;
import io.vmguard.agent.watchdog.WatchdogView.State;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the machine from being reset for exactly as long as its leases are in time.
 *
 * <pre>
 *             arm: the first usable timer           deadline - 2 s, or lost
 *  DISARMED ------------------------------> ARMED ---------------------------> EXPIRING --> reset
 *     ^  ^                                  |   ^                                |   |
 *     |  +---- disarm: no lease is held ----+   +---- a renewal after all -------+   |
 *     +------------- disarm: every user of a lost lease is proved gone --------------+
 * </pre>
 *
 * <p>One thread owns the timer, and steps through a queue; callers only leave messages. What hangs here, hangs here alone, and is the
 * end of feeding. A timer that an earlier agent left armed is taken over as it is: it is fed once leases are known to be in time,
 * disarmed once none is known to be held, and until then nothing.
 */
public final class LeaseWatchdog implements Watchdog, AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(LeaseWatchdog.class);

    /** How long before the deadline feeding ends, so that what is fed last is not late. */
    private static final Duration MARGIN = Duration.ofSeconds(2);

    private static final Duration RETRY = Duration.ofSeconds(10);
    private static final long TICK_MILLIS = 250;
    /** While nothing is armed or to be armed. */
    private static final long IDLE_MILLIS = 1000;

    private static final long CLOSE_MILLIS = 3000;

    /**
     * What it is told.
     *
     * @param required a start is refused if nothing can be armed
     * @param timeout W: from the deadline of the leases to the reset, at the latest
     * @param consequence what comes of it if nothing can be armed, for people; a sentence without a full stop
     */
    public record Settings(boolean required, Duration timeout, String consequence) {}

    private final Settings settings;
    private final List<ResetTimer> timers;
    private final LeaseClock clock;
    private final LastWords lastWords;
    private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
    private final Thread thread = new Thread(this::loop, "vmguard-watchdog");
    private volatile boolean closing;

    // Of the watchdog's thread.
    private @Nullable ResetTimer armed;
    private @Nullable Renewal last;
    private @Nullable Renewal fedWith;
    private final List<ResetTimer> abandoned = new ArrayList<>();
    private boolean wanted;
    private boolean failing;
    private boolean expiring;
    private boolean disarming;
    private long lastFedNanos;
    private long nextTryNanos;
    private long lostNanos = Long.MIN_VALUE;
    private String detail = "";

    private volatile Snapshot snapshot;

    private record Snapshot(String kind, State state, Optional<Duration> timeout, long lastFedNanos, String detail) {}

    /**
     * Nothing runs before {@link #start}.
     *
     * @param timers tried in this order when it is to be armed; empty if the machine is not to be reset
     */
    public LeaseWatchdog(Settings settings, List<ResetTimer> timers, LeaseClock clock, LastWords lastWords) {
        this.settings = settings;
        this.timers = List.copyOf(timers);
        this.clock = clock;
        this.lastWords = lastWords;
        this.thread.setDaemon(true);
        this.armed = timers.stream().filter(ResetTimer::inherited).findFirst().orElse(null);
        this.snapshot = snapshot();
    }

    /** Starts its thread. */
    public void start() {
        ResetTimer inherited = armed;
        if (inherited != null) {
            LOG.info("VG-610 {} is armed already, left so by an earlier agent: continuing", inherited.name());
        } else {
            inbox.add(this::look);
        }
        thread.start();
    }

    // ---- what others say, on their threads

    @Override
    public CompletableFuture<Answer> arm() {
        CompletableFuture<Answer> answer = new CompletableFuture<>();
        inbox.add(() -> answer.complete(onArm()));
        return answer;
    }

    @Override
    public void disarm() {
        inbox.add(this::onDisarm);
    }

    /**
     * The same on request, though users of leases run on. Any thread.
     *
     * @return completes with the reason if it cannot be had at once; it is tried again then
     */
    public CompletableFuture<Optional<String>> standDown() {
        CompletableFuture<Optional<String>> answer = new CompletableFuture<>();
        inbox.add(() -> {
            onDisarm();
            answer.complete(armed == null ? Optional.empty() : Optional.of(detail));
        });
        return answer;
    }

    /** A renewal reached the disk. Any thread. */
    public void renewed(Renewal renewal) {
        inbox.add(() -> {
            if (!inTime(clock.bootNanos())) {
                nextTryNanos = clock.bootNanos(); // what could not be armed for want of a renewal can be now
            }
            last = renewal;
        });
    }

    /** Every lease is lost. Any thread. */
    public void lost(String why) {
        long nowNanos = clock.bootNanos();
        inbox.add(() -> {
            // A renewal of this membership may still be on its way here.
            lostNanos = nowNanos;
            expire(why);
        });
    }

    @Override
    public WatchdogView view() {
        Snapshot now = snapshot;
        Optional<Duration> fed = now.lastFedNanos == 0
                ? Optional.empty()
                : Optional.of(Duration.ofNanos(clock.bootNanos() - now.lastFedNanos));
        return new WatchdogView(now.kind, now.state, now.timeout, fed, now.detail);
    }

    /**
     * Ends. With leases held a timer stays armed: whoever continues this membership continues it as well, and otherwise the machine is
     * reset. Waits a little.
     */
    @Override
    public void close() {
        inbox.add(() -> closing = true);
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    // ---- the watchdog's thread

    private void loop() {
        while (!closing) {
            try {
                Runnable message = inbox.poll(idle() ? IDLE_MILLIS : TICK_MILLIS, TimeUnit.MILLISECONDS);
                if (message != null) {
                    message.run();
                }
                tick();
            } catch (InterruptedException e) {
                break;
            } catch (RuntimeException e) {
                LOG.error("VG-907 internal error in the watchdog; it goes on", e);
            }
        }
        leave();
    }

    private boolean idle() {
        return armed == null && (!wanted || timers.isEmpty());
    }

    /** Handles everything that is in the queue, on the calling thread. For tests, which do not start the thread. */
    void drain() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            message.run();
            tick();
        }
        tick();
    }

    private void tick() {
        long nowNanos = clock.bootNanos();
        ResetTimer timer = armed;
        if (timer == null) {
            if (wanted && !timers.isEmpty() && nowNanos >= nextTryNanos) {
                onArm();
            }
        } else if (disarming) {
            if (nowNanos >= nextTryNanos) {
                tryDisarm(timer);
            }
        } else if (inTime(nowNanos)) {
            if (!failing) {
                feedWhenDue(timer, nowNanos);
            } else if (nowNanos >= nextTryNanos) {
                armAgain(timer);
            }
        } else if (last != null) {
            expire("its leases were not renewed in time");
        }
        snapshot = snapshot();
    }

    /** Says early what would be said at the first start. */
    private void look() {
        List<String> problems =
                timers.stream().flatMap(timer -> timer.problem().stream()).toList();
        if (!timers.isEmpty() && problems.size() == timers.size() && armed == null) {
            detail = String.join("; ", problems);
            LOG.warn("VG-604 no watchdog can be used now: {}. {}", detail, settings.consequence());
        }
    }

    private boolean inTime(long nowNanos) {
        Renewal renewal = last;
        return renewal != null
                && renewal.startedBootNanos() > lostNanos
                && nowNanos < renewal.deadlineBootNanos() - MARGIN.toNanos();
    }

    private Answer onArm() {
        boolean triedJustNow = wanted && !settings.required() && clock.bootNanos() < nextTryNanos;
        wanted = true;
        if (armed != null && !disarming && !failing) {
            return new Answer.Armed();
        }
        if (timers.isEmpty()) {
            return new Answer.Unguarded("there is no watchdog");
        }
        if (triedJustNow || failing) {
            return unarmed(detail);
        }
        nextTryNanos = clock.bootNanos() + RETRY.toNanos();
        Renewal renewal = last;
        String problem = "the leases of this host are not in time";
        if (renewal != null && inTime(clock.bootNanos())) {
            problem = armFirstUsable(renewal);
        }
        if (problem.isEmpty()) {
            return new Answer.Armed();
        }
        if (!problem.equals(detail)) {
            detail = problem;
            LOG.warn("VG-605 no watchdog could be armed: {}. {}", problem, settings.consequence());
        }
        return unarmed(problem);
    }

    private Answer unarmed(String problem) {
        return settings.required() ? new Answer.Refused(problem) : new Answer.Unguarded(problem);
    }

    /** What was armed could not be fed: it may be possible again, or another one may be fed before that one fires. */
    private void armAgain(ResetTimer before) {
        nextTryNanos = clock.bootNanos() + Duration.ofSeconds(1).toNanos();
        String problem = armFirstUsable(Objects.requireNonNull(last));
        if (!problem.isEmpty()) {
            detail = problem;
            return;
        }
        failing = false;
        if (armed != before) {
            abandoned.add(before);
        }
        lastWords.say("vmguard: the watchdog of this machine is fed again, by way of " + timerName());
    }

    private String timerName() {
        ResetTimer timer = armed;
        return timer == null ? "none" : timer.name();
    }

    /** @return why none could be armed; empty if one is */
    private String armFirstUsable(Renewal renewal) {
        StringBuilder problems = new StringBuilder();
        for (ResetTimer timer : timers) {
            if (timer.arm(renewal) instanceof Result.Failed failed) {
                problems.append(problems.isEmpty() ? "" : "; ").append(failed.why());
                continue;
            }
            armed = timer;
            disarming = false;
            expiring = false;
            fed(renewal);
            LOG.info(
                    "VG-611 watchdog {} is armed: this machine is reset {} s after its leases are lost unless their users are gone",
                    timer.name(),
                    settings.timeout().toSeconds());
            return "";
        }
        return problems.toString();
    }

    private void fed(Renewal renewal) {
        lastFedNanos = clock.bootNanos();
        fedWith = renewal;
        detail = "";
    }

    private void feedWhenDue(ResetTimer timer, long nowNanos) {
        Renewal renewal = last;
        if (renewal == null
                || (renewal.equals(fedWith)
                        && nowNanos - lastFedNanos < timer.interval().toNanos())) {
            return;
        }
        if (timer.feed(renewal) instanceof Result.Failed failed) {
            failing = true;
            detail = failed.why();
            nextTryNanos = nowNanos;
            impending("its watchdog cannot be fed: " + failed.why());
            return;
        }
        if (expiring) {
            expiring = false;
            lastWords.say("vmguard: the reset of this machine is called off: its leases were renewed after all");
        }
        fed(renewal);
        if (clock.bootNanos() >= renewal.deadlineBootNanos()) {
            // This thread was held up between the decision and the deed.
            expire("its leases were not renewed in time");
        }
    }

    private void expire(String why) {
        ResetTimer timer = armed;
        Renewal renewal = last;
        if (timer == null || renewal == null || disarming) {
            return;
        }
        if (!expiring) {
            expiring = true;
            impending(why);
        }
        if (timer.letExpire(renewal) instanceof Result.Failed failed
                && !failed.why().equals(detail)) {
            detail = failed.why();
            LOG.error("VG-612 {} could not be told: {}", timer.name(), failed.why());
        }
    }

    private void impending(String why) {
        Renewal renewal = last;
        long left = renewal == null
                ? settings.timeout().toNanos()
                : renewal.deadlineBootNanos() + settings.timeout().toNanos() - clock.bootNanos();
        lastWords.say("vmguard: THIS MACHINE WILL BE RESET by its watchdog within "
                + Math.max(0, Duration.ofNanos(left).toSeconds())
                + " s, unless every domain with a lease is gone before: "
                + why);
    }

    private void onDisarm() {
        wanted = false;
        ResetTimer timer = armed;
        if (timer != null) {
            tryDisarm(timer);
        }
    }

    private void tryDisarm(ResetTimer timer) {
        if (timer.disarm() instanceof Result.Failed failed) {
            nextTryNanos = clock.bootNanos() + timer.interval().toNanos();
            if (!disarming) {
                disarming = true;
                detail = "cannot be disarmed: " + failed.why();
                LOG.error("VG-613 {} cannot be disarmed, it is fed instead: {}", timer.name(), failed.why());
            }
            return;
        }
        if (expiring) {
            lastWords.say("vmguard: the reset of this machine is called off: every domain with a lost lease is gone");
        }
        for (ResetTimer before : abandoned) {
            if (before.disarm() instanceof Result.Failed failed) {
                LOG.error("VG-613 {} cannot be disarmed: {}", before.name(), failed.why());
            }
        }
        abandoned.clear();
        LOG.info("VG-614 watchdog {} is disarmed: no lease is held", timer.name());
        armed = null;
        failing = false;
        disarming = false;
        expiring = false;
        lastFedNanos = 0;
        fedWith = null;
        detail = "";
    }

    private void leave() {
        Runnable message;
        while ((message = inbox.poll()) != null) {
            message.run(); // also those who wait for an answer get one
        }
        ResetTimer timer = armed;
        Renewal renewal = last;
        if (timer == null || disarming || renewal == null) {
            return;
        }
        if (timer.leaveArmed(renewal) instanceof Result.Failed failed) {
            LOG.error("VG-612 {} could not be told how long to wait: {}", timer.name(), failed.why());
        }
        LOG.warn(
                "VG-615 watchdog {} stays armed, for leases are held: unless an agent continues, this machine is reset within {} s",
                timer.name(),
                Math.max(
                        0,
                        Duration.ofNanos(renewal.deadlineBootNanos() - clock.bootNanos())
                                .plus(settings.timeout())
                                .toSeconds()));
    }

    private Snapshot snapshot() {
        ResetTimer timer = armed;
        if (timers.isEmpty()) {
            return new Snapshot("none", State.NONE, Optional.empty(), 0, "");
        }
        if (timer == null) {
            String names = timers.stream().map(ResetTimer::name).collect(Collectors.joining(", "));
            State state = wanted ? State.FAILED : State.DISARMED;
            return new Snapshot(names, state, Optional.empty(), 0, detail);
        }
        return new Snapshot(
                timer.name(),
                failing ? State.FAILED : expiring ? State.EXPIRING : State.ARMED,
                Optional.of(timer.timeout()),
                lastFedNanos,
                detail);
    }
}
