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

/**
 * A watchdog device of the kernel. It runs from the moment it is opened, so it is opened only when it is to be armed.
 *
 * <p>Its timeout is that of the leases, W: fed for the last time before their deadline, it fires W after the deadline at the latest.
 */
public final class WatchdogDevice implements ResetTimer {
    private static final int CLOSED = -1;
    private static final Duration LONGEST_INTERVAL = Duration.ofSeconds(5);

    private final Driver driver;
    private final String name;
    private final Limits limits;
    private final LeaseClock clock;
    private final DescriptorStore store;
    private final boolean inherited;
    private int fd = CLOSED;
    private int timeoutSeconds;
    private boolean pings = true;
    private long fedNanos;

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
        boolean settable = (options & Driver.WDIOF_SETTIMEOUT) != 0;
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
        return Optional.empty();
    }

    @Override
    public Result feed(Renewal renewal) {
        if (fd == CLOSED) {
            return new Result.Failed(name + " is closed");
        }
        if (fedNanos == 0) {
            // Left by an earlier agent, who may have given it more time than it may have from now on.
            Optional<String> unfit = prepare();
            if (unfit.isPresent()) {
                return new Result.Failed(unfit.get());
            }
        }
        return ping();
    }

    private Result ping() {
        int result = pings ? driver.keepAlive(fd) : driver.writeByte(fd);
        if (result < 0) {
            return failed("cannot be fed", result);
        }
        fedNanos = clock.bootNanos();
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
        long latestNanos = latest(last);
        if (fd == CLOSED || fedNanos + timeout().toNanos() <= latestNanos) {
            return new Result.Done();
        }
        // It was fed too late, because this thread was held up on its way; a shorter timeout takes that back.
        int seconds = (int)
                Math.max(1, Duration.ofNanos(latestNanos - clock.bootNanos()).toSeconds());
        int set = driver.setTimeout(fd, seconds);
        return set < 0 ? failed("cannot be told to fire in " + seconds + " s", set) : new Result.Done();
    }

    private long latest(Renewal last) {
        return last.deadlineBootNanos() + limits.longest().toNanos();
    }

    @Override
    public Result leaveArmed(Renewal last) {
        int seconds = (int) Duration.ofNanos(latest(last) - clock.bootNanos()).toSeconds() - 1;
        if (fd == CLOSED || seconds <= timeoutSeconds) {
            return new Result.Done();
        }
        int set = driver.setTimeout(fd, seconds);
        if (set > seconds) {
            driver.setTimeout(fd, timeoutSeconds);
        }
        return set < 0 ? ping() : new Result.Done(); // it cannot be so long; then it is as long as ever
    }

    @Override
    public Result disarm() {
        if (fd == CLOSED) {
            return new Result.Done();
        }
        int result = stop();
        if (result < 0) {
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
        fedNanos = 0;
    }

    private Result failed(String what, int result) {
        return new Result.Failed(name + " " + what + ": " + Libc.text(-result));
    }
}
