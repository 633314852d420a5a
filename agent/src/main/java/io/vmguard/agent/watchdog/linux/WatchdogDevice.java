/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import io.vmguard.agent.watchdog.DescriptorStore;
import io.vmguard.agent.watchdog.ResetTimer;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.time.LeaseClock;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A watchdog device of the kernel. It runs from the moment it is opened, so it is opened only when it is to be armed.
 *
 * <p>Its timeout is that of the leases, W: fed for the last time before their deadline, it fires W after the deadline at the latest.
 * The kernel feeds it once more when its last holder dies, so from then on its timeout becomes shorter as time passes.
 */
public final class WatchdogDevice implements ResetTimer {
    private static final int CLOSED = -1;
    private static final int UNKNOWN = 0;
    private static final Duration LONGEST_INTERVAL = Duration.ofSeconds(5);
    /** From one shortening of the timeout to the next a second passes, in which a close feeds it. */
    private static final int STEP_SECONDS = 1;
    /** From the last word of this process to the close of its copies, the service manager's included. */
    private static final int EXIT_SECONDS = 5;

    private final Driver driver;
    private final String name;
    private final Limits limits;
    private final LeaseClock clock;
    private final DescriptorStore store;
    private final boolean inherited;
    private int fd = CLOSED;
    /** With which it is fed. */
    private int timeoutSeconds;
    /** Which it has, as far as we know; an earlier agent may have set another one. */
    private int setSeconds = UNKNOWN;

    private boolean pings = true;
    private boolean settable;
    private boolean refusesShorter;
    /** By when it has to fire, since it is not fed any more. */
    private OptionalLong firesByNanos = OptionalLong.empty();

    /**
     * Between which bounds the timeout of a device must be.
     *
     * @param longest W, whole seconds: more, and the machine might write after others have taken its leases
     * @param shortest less, and a pause of this process could reset it, or domains could not be stopped before
     */
    public record Limits(Duration longest, Duration shortest) {}

    WatchdogDevice(Driver driver, Path path, Limits limits, LeaseClock clock, DescriptorStore store) {
        this.driver = driver;
        this.name = path.toString();
        this.limits = limits;
        this.clock = clock;
        this.store = store;
        OptionalInt left = store.inherited(storeName());
        this.inherited = left.isPresent();
        this.fd = left.orElse(CLOSED);
        this.timeoutSeconds = (int) limits.longest().toSeconds();
    }

    /** The device at this path. */
    public static WatchdogDevice at(Path path, Limits limits, LeaseClock clock, DescriptorStore store) {
        return new WatchdogDevice(new LinuxDriver(path), path, limits, clock, store);
    }

    private String storeName() {
        return "vmguard" + name.replaceAll("[^a-zA-Z0-9]", "_");
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean inherited() {
        return inherited;
    }

    @Override
    public Optional<String> problem() {
        if (fd == CLOSED && !driver.exists()) {
            return Optional.of(name + ": there is no such file");
        }
        if (driver.attribute("nowayout").filter("1"::equals).isPresent()) {
            return Optional.of(
                    name + " cannot be disarmed once it is armed (nowayout), so this host would be reset without any "
                            + "lease when the agent stops; load its driver with nowayout=0");
        }
        return Optional.empty();
    }

    @Override
    public Result arm(Renewal renewal) {
        Optional<String> problem = problem();
        if (problem.isPresent()) {
            return new Result.Failed(problem.get());
        }
        boolean opened = fd == CLOSED;
        if (opened) {
            int result = driver.open();
            if (result < 0) {
                return failed("cannot be opened", result);
            }
            fd = result;
        }
        Optional<String> unfit = prepare();
        if (unfit.isPresent()) {
            if (opened) {
                stopAndClose();
            }
            return new Result.Failed(unfit.get());
        }
        Result fed = ping();
        if (fed instanceof Result.Failed && opened) {
            stopAndClose();
        } else if (opened) {
            store.keep(storeName(), fd);
        }
        return fed;
    }

    /** @return why it does not do */
    private Optional<String> prepare() {
        int options = driver.options(fd);
        if (options < 0) {
            return Optional.of(name + " is not a watchdog: " + Libc.text(-options));
        }
        if ((options & Driver.WDIOF_MAGICCLOSE) == 0) {
            return Optional.of(
                    name + " is disarmed whenever it is closed, also by the death of the agent (no magic close)");
        }
        pings = (options & Driver.WDIOF_KEEPALIVEPING) != 0;
        int wanted = (int) limits.longest().toSeconds();
        settable = (options & Driver.WDIOF_SETTIMEOUT) != 0;
        if (settable) {
            driver.setTimeout(fd, wanted); // what came of it is asked for
        }
        int timeout = driver.timeout(fd);
        if (timeout <= 0) {
            return Optional.of(name + " does not say when it fires: " + Libc.text(-timeout));
        }
        if (timeout > wanted || timeout < limits.shortest().toSeconds()) {
            return Optional.of(name + " fires " + timeout + " s after it was fed last"
                    + (settable ? ", although it was set to " + wanted + " s" : ", and that cannot be set")
                    + "; it must be from " + limits.shortest().toSeconds() + " s to watchdog_timeout, " + wanted
                    + " s");
        }
        timeoutSeconds = timeout;
        setSeconds = timeout;
        refusesShorter = false;
        firesByNanos = OptionalLong.empty();
        return Optional.empty();
    }

    @Override
    public Result feed(Renewal renewal) {
        if (fd == CLOSED) {
            return new Result.Failed(name + " is closed");
        }
        Optional<String> unfit = restore();
        return unfit.isPresent() ? new Result.Failed(unfit.get()) : ping();
    }

    /** An earlier agent may have given it more time than it may have from now on; or it was about to fire. */
    private Optional<String> restore() {
        return setSeconds != timeoutSeconds || firesByNanos.isPresent() ? prepare() : Optional.empty();
    }

    private Result ping() {
        int result = pings ? driver.keepAlive(fd) : driver.writeByte(fd);
        if (result < 0) {
            return failed("cannot be fed", result);
        }
        return new Result.Done();
    }

    @Override
    public Duration interval() {
        Duration quarter = timeout().dividedBy(4);
        return quarter.compareTo(LONGEST_INTERVAL) < 0 ? quarter : LONGEST_INTERVAL;
    }

    @Override
    public Duration timeout() {
        return Duration.ofSeconds(timeoutSeconds);
    }

    @Override
    public Result letExpire(Renewal last) {
        if (fd == CLOSED) {
            return new Result.Done();
        }
        long nowNanos = clock.bootNanos();
        if (firesByNanos.isEmpty()) {
            firesByNanos = OptionalLong.of(
                    Math.min(latest(last), nowNanos + limits.longest().toNanos()));
        }
        return shorten(secondsUntil(firesByNanos.getAsLong()) - STEP_SECONDS);
    }

    @Override
    public Result leaveArmed(Renewal last) {
        int seconds = secondsUntil(firesByNanos.orElse(latest(last))) - EXIT_SECONDS;
        if (fd == CLOSED || !settable || firesByNanos.isPresent() || seconds <= timeoutSeconds) {
            return fd == CLOSED ? new Result.Done() : shorten(seconds);
        }
        int set = driver.setTimeout(fd, seconds);
        if (set > seconds) {
            set = driver.setTimeout(fd, timeoutSeconds);
        }
        if (set < 0) {
            return ping(); // it cannot be so long; then it is as long as ever
        }
        setSeconds = set;
        return new Result.Done();
    }

    private long latest(Renewal last) {
        return last.deadlineBootNanos() + limits.longest().toNanos();
    }

    private int secondsUntil(long nanos) {
        return (int) Duration.ofNanos(nanos - clock.bootNanos()).toSeconds();
    }

    /**
     * Takes so much of its time that it fires in so many seconds at the latest, also if it is closed at once. Nothing is done over and
     * over that feeds it and changes nothing.
     */
    private Result shorten(int seconds) {
        int wanted = Math.max(1, seconds);
        boolean shortEnough = setSeconds != UNKNOWN && setSeconds <= wanted;
        if (shortEnough || refusesShorter) {
            return new Result.Done();
        }
        int set = settable || setSeconds == UNKNOWN ? driver.setTimeout(fd, wanted) : -Libc.EOPNOTSUPP;
        for (int less = wanted - 1; set > wanted && less > 0; less--) {
            set = driver.setTimeout(fd, less); // it rounds up
        }
        refusesShorter = set < 0 || set > wanted;
        setSeconds = set > 0 ? set : setSeconds;
        if (set < 0) {
            return failed(
                    "cannot be told to fire in " + wanted + " s, so it may fire too late if this agent dies", set);
        }
        return new Result.Done();
    }

    @Override
    public Result disarm() {
        if (fd == CLOSED) {
            return new Result.Done();
        }
        int result = stop();
        if (result < 0) {
            restore();
            ping();
            return failed("does not stop", result);
        }
        // The service manager's copy must go first: the device listens to the last close only.
        store.forget(storeName());
        close();
        return new Result.Done();
    }

    private void stopAndClose() {
        stop();
        close();
    }

    /** @return negative if it goes on */
    private int stop() {
        int disabled = driver.disable(fd);
        int said = driver.writeMagic(fd);
        boolean unknownCall = disabled == -Libc.ENOTTY || disabled == -Libc.EOPNOTSUPP;
        return unknownCall ? said : disabled;
    }

    private void close() {
        driver.close(fd);
        fd = CLOSED;
        setSeconds = UNKNOWN;
    }

    private Result failed(String what, int result) {
        return new Result.Failed(name + " " + what + ": " + Libc.text(-result));
    }
}
