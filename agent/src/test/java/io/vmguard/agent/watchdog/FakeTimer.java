/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import io.vmguard.agent.testing.FakeClock;
import io.vmguard.lease.Renewal;
import java.time.Duration;
import java.util.Optional;

/** A device with a timeout, on the test's clock: it knows when it would have fired. */
final class FakeTimer implements ResetTimer {
    private final String name;
    private final Duration timeout;
    private final FakeClock clock;
    private final boolean inherited;
    private String broken = "";
    private boolean armed;
    private long firesNanos = Long.MAX_VALUE;
    private int feedings;
    private int expirings;
    private Runnable beforeFeeding = () -> {};

    FakeTimer(String name, Duration timeout, FakeClock clock, boolean inherited) {
        this.name = name;
        this.timeout = timeout;
        this.clock = clock;
        this.inherited = inherited;
        this.armed = inherited;
        if (inherited) {
            firesNanos = clock.bootNanos() + timeout.toNanos();
        }
    }

    /** Every call fails with this from now on; with an empty text none does. */
    void breakDown(String why) {
        broken = why;
    }

    /** What happens on the thread between its decision to feed and the feeding. */
    void beforeFeeding(Runnable pause) {
        beforeFeeding = pause;
    }

    boolean armed() {
        return armed;
    }

    /** Whether the machine would have been reset. */
    boolean fired() {
        return armed && clock.bootNanos() >= firesNanos;
    }

    int feedings() {
        return feedings;
    }

    /** How often it was told that it is not fed any more. */
    int expirings() {
        return expirings;
    }

    private Result result() {
        return broken.isEmpty() ? new Result.Done() : new Result.Failed(broken);
    }

    private Result fire(Duration after) {
        if (broken.isEmpty()) {
            firesNanos = clock.bootNanos() + after.toNanos();
        }
        return result();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Optional<String> problem() {
        return broken.isEmpty() ? Optional.empty() : Optional.of(broken);
    }

    @Override
    public boolean inherited() {
        return inherited;
    }

    @Override
    public Result arm(Renewal renewal) {
        armed |= broken.isEmpty();
        return fire(timeout);
    }

    @Override
    public Result feed(Renewal renewal) {
        beforeFeeding.run();
        feedings++;
        return fire(timeout);
    }

    @Override
    public Duration interval() {
        return timeout.dividedBy(4);
    }

    @Override
    public Duration timeout() {
        return timeout;
    }

    @Override
    public Result letExpire(Renewal last) {
        expirings++;
        long latestNanos = last.deadlineBootNanos() + timeout.toNanos();
        firesNanos = Math.min(firesNanos, Math.max(clock.bootNanos(), latestNanos));
        return result();
    }

    @Override
    public Result leaveArmed(Renewal last) {
        return fire(
                Duration.ofNanos(last.deadlineBootNanos() - clock.bootNanos()).plus(timeout));
    }

    @Override
    public Result disarm() {
        armed &= !broken.isEmpty();
        return result();
    }
}
