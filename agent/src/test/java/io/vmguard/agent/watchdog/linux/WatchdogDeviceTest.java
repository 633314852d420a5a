/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.watchdog.DescriptorStore;
import io.vmguard.agent.watchdog.ResetTimer.Result;
import io.vmguard.lease.Renewal;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** What a device must be, and what is done to it; on a driver that behaves as the kernel's core does. */
class WatchdogDeviceTest {
    private static final Path PATH = Path.of("/dev/watchdog0");
    private static final WatchdogDevice.Limits LIMITS =
            new WatchdogDevice.Limits(Duration.ofSeconds(60), Duration.ofSeconds(10));
    private static final Duration STEP = Duration.ofMillis(250);
    private static final int ALL = Driver.WDIOF_SETTIMEOUT | Driver.WDIOF_MAGICCLOSE | Driver.WDIOF_KEEPALIVEPING;

    private final FakeClock clock = new FakeClock();
    private final FakeDriver driver = new FakeDriver(clock);
    private final FakeStore store = new FakeStore();
    private final WatchdogDevice device = new WatchdogDevice(driver, PATH, LIMITS, clock, store);

    private Renewal renewal() {
        long now = clock.bootNanos();
        return new Renewal(now, now + Duration.ofSeconds(80).toNanos(), 1, Duration.ZERO);
    }

    private static String why(Result result) {
        return result instanceof Result.Failed failed ? failed.why() : "(done)";
    }

    @Test
    void itIsNotOpenedBeforeItIsArmedForThatWouldStartIt() {
        assertThat(device.problem()).isEmpty();
        assertThat(driver.calls).isEmpty();
    }

    @Test
    void armedItHasTheTimeoutOfTheLeasesAndItsFileIsKept() {
        driver.timeout = 15;
        assertThat(device.arm(renewal())).isEqualTo(new Result.Done());
        assertThat(driver.timeout).isEqualTo(60);
        assertThat(device.timeout()).isEqualTo(Duration.ofSeconds(60));
        assertThat(device.interval()).isEqualTo(Duration.ofSeconds(5));
        assertThat(store.kept).containsEntry("vmguard_dev_watchdog0", FakeDriver.FD);
    }

    @Test
    void disarmedItIsStoppedAndTheCopyOfTheServiceManagerGoesFirst() {
        device.arm(renewal());
        driver.calls.clear();
        assertThat(device.disarm()).isEqualTo(new Result.Done());
        assertThat(driver.calls).containsExactly("disable", "magic", "close");
        assertThat(driver.running).isFalse();
        assertThat(store.kept).isEmpty();
        assertThat(device.disarm()).as("again").isEqualTo(new Result.Done());
    }

    @Test
    void aDriverWithoutTheCallToStopItIsStoppedByTheMagicClose() {
        driver.disableResult = -Libc.ENOTTY;
        device.arm(renewal());
        assertThat(device.disarm()).isEqualTo(new Result.Done());
        assertThat(driver.running).isFalse();
    }

    @Test
    void oneThatDoesNotStopIsKeptAlive() {
        device.arm(renewal());
        driver.disableResult = -Libc.EBUSY;
        driver.calls.clear();
        assertThat(why(device.disarm())).startsWith("/dev/watchdog0 does not stop");
        assertThat(driver.calls).endsWith("keepalive").doesNotContain("close");
        driver.disableResult = 0;
        assertThat(device.disarm()).isEqualTo(new Result.Done());
    }

    @Test
    void absentBusyForbiddenOrNoneAtAllAreRefusedByName() {
        driver.exists = false;
        assertThat(why(device.arm(renewal()))).isEqualTo("/dev/watchdog0: there is no such file");
        driver.exists = true;
        driver.openResult = -Libc.EBUSY;
        assertThat(why(device.arm(renewal())))
                .isEqualTo("/dev/watchdog0 cannot be opened: it is in use by another program");
        driver.openResult = -Libc.EACCES;
        assertThat(why(device.arm(renewal()))).contains("permission denied");
        driver.openResult = FakeDriver.FD;
        driver.options = -Libc.ENOTTY;
        assertThat(why(device.arm(renewal()))).contains("is not a watchdog");
        assertThat(driver.running).isFalse();
        assertThat(store.kept).isEmpty();
    }

    @Test
    void oneThatCannotBeDisarmedIsNotOpened() {
        driver.attributes.put("nowayout", "1");
        assertThat(why(device.arm(renewal()))).contains("nowayout", "load its driver with nowayout=0");
        assertThat(driver.calls).isEmpty();
    }

    @Test
    void aFixedTimeoutThatFitsIsTaken() {
        driver.options = ALL & ~Driver.WDIOF_SETTIMEOUT;
        driver.timeout = 30;
        assertThat(device.arm(renewal())).isEqualTo(new Result.Done());
        assertThat(device.timeout()).isEqualTo(Duration.ofSeconds(30));
    }

    @Test
    void aFixedTimeoutThatDoesNotFitIsRefusedAndTheDeviceStoppedAgain() {
        driver.options = ALL & ~Driver.WDIOF_SETTIMEOUT;
        for (int timeout : List.of(61, 300, 9, 1)) {
            driver.timeout = timeout;
            assertThat(why(device.arm(renewal())))
                    .isEqualTo("/dev/watchdog0 fires " + timeout
                            + " s after it was fed last, and that cannot be set; it must be "
                            + "from 10 s to watchdog_timeout, 60 s");
            assertThat(driver.running).isFalse();
        }
    }

    @Test
    void aTimeoutThatTheDriverRoundsUpIsRefused() {
        driver.granularity = 64;
        assertThat(why(device.arm(renewal()))).contains("fires 64 s", "although it was set to 60 s");
        assertThat(driver.running).isFalse();
    }

    @Test
    void oneThatTheDeathOfTheAgentWouldDisarmIsRefused() {
        driver.options = Driver.WDIOF_SETTIMEOUT | Driver.WDIOF_KEEPALIVEPING;
        assertThat(why(device.arm(renewal()))).contains("no magic close");
        assertThat(driver.running).isFalse();
    }

    @Test
    void oneWithoutACallForItIsFedByWriting() {
        driver.options = ALL & ~Driver.WDIOF_KEEPALIVEPING;
        device.arm(renewal());
        driver.calls.clear();
        device.feed(renewal());
        assertThat(driver.calls).containsExactly("write");
    }

    @Test
    void whatWasFedTooLateFiresSooner() {
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(100));
        device.feed(renewal);
        device.letExpire(renewal);
        assertThat(driver.timeout).isBetween(38, 40);
    }

    /** Steps of the watchdog's thread from now on, without a word that leases are in time. */
    private void expire(Renewal renewal, Duration time) {
        for (long left = time.toMillis(); left > 0 && !driver.fired(); left -= STEP.toMillis()) {
            assertThat(device.letExpire(renewal)).isEqualTo(new Result.Done());
            clock.advance(STEP);
        }
    }

    @Test
    void fedNoMoreItFiresByTheTimeThatOthersWaitForAndHardlySooner() {
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(55));
        device.feed(renewal);
        clock.advance(Duration.ofSeconds(23));
        expire(renewal, Duration.ofMinutes(5));
        assertThat(clock.bootNanos() - renewal.startedBootNanos())
                .isBetween(
                        Duration.ofSeconds(80 + 60 - 5).toNanos(),
                        Duration.ofSeconds(80 + 60).toNanos());
    }

    @Test
    void theDeathOfTheAgentAfterTheLossGivesTheMachineNoMoreTime() {
        for (int granularity : List.of(1, 4)) {
            for (int second = 0; second < 60; second++) {
                FakeClock clock = this.clock;
                FakeDriver each = new FakeDriver(clock);
                each.granularity = granularity;
                WatchdogDevice device = new WatchdogDevice(each, PATH, LIMITS, clock, new FakeStore());
                Renewal renewal = renewal();
                device.arm(renewal);
                clock.advance(Duration.ofSeconds(70));
                device.feed(renewal);
                clock.advance(Duration.ofSeconds(8));
                for (int step = 0; step < second * 4 && !each.fired(); step++) {
                    device.letExpire(renewal);
                    clock.advance(STEP);
                }
                each.close(FakeDriver.FD);
                assertThat(each.firesNanos - renewal.deadlineBootNanos())
                        .as("closed %s s after the last feeding, in steps of %s s", second, granularity)
                        .isLessThanOrEqualTo(
                                Duration.ofSeconds(60 + granularity - 1).toNanos());
            }
        }
    }

    @Test
    void oneWhoseTimeoutCannotBeMadeShorterFiresAllTheSameAndSaysWhatThatMeans() {
        driver.options = ALL & ~Driver.WDIOF_SETTIMEOUT;
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(50));
        device.feed(renewal);
        clock.advance(Duration.ofSeconds(30));
        assertThat(why(device.letExpire(renewal))).contains("it may fire too late if this agent dies");
        expire(renewal, Duration.ofMinutes(5));
        assertThat(clock.bootNanos() - renewal.startedBootNanos())
                .isLessThanOrEqualTo(Duration.ofSeconds(50 + 60 + 1).toNanos());
    }

    @Test
    void oneThatCannotBeAsShortAsItShouldFiresAllTheSame() {
        driver.granularity = 20;
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(70));
        device.feed(renewal);
        clock.advance(Duration.ofSeconds(8));
        expire(renewal, Duration.ofMinutes(5));
        assertThat(clock.bootNanos() - renewal.startedBootNanos())
                .isLessThanOrEqualTo(Duration.ofSeconds(80 + 60).toNanos());
    }

    @Test
    void fedAfterAllItHasItsFullTimeoutAgain() {
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(50));
        device.feed(renewal);
        expire(renewal, Duration.ofSeconds(50));
        assertThat(driver.timeout).isLessThan(12);
        assertThat(device.feed(renewal())).isEqualTo(new Result.Done());
        assertThat(driver.timeout).isEqualTo(60);
        driver.calls.clear();
        device.feed(renewal());
        assertThat(driver.calls).as("from then on as ever").containsExactly("keepalive");
    }

    @Test
    void oneThatDoesNotStopWhileItExpiresIsKeptAliveWithItsFullTimeout() {
        Renewal renewal = renewal();
        device.arm(renewal);
        expire(renewal, Duration.ofSeconds(50));
        driver.disableResult = -Libc.EBUSY;
        device.disarm();
        assertThat(driver.timeout).isEqualTo(60);
    }

    @Test
    void anAgentThatStopsWithLeasesMayTakeSecondsToEndAndItStillFiresInTime() {
        for (int second : List.of(0, 10, 60, 70, 77, 90, 120)) {
            FakeDriver each = new FakeDriver(clock);
            WatchdogDevice device = new WatchdogDevice(each, PATH, LIMITS, clock, new FakeStore());
            Renewal renewal = renewal();
            device.arm(renewal);
            for (int at = 0; at < second; at++) {
                clock.advance(Duration.ofSeconds(1));
                Result ignored = at < 78 ? device.feed(renewal) : device.letExpire(renewal);
            }
            assertThat(device.leaveArmed(renewal)).isEqualTo(new Result.Done());
            clock.advance(Duration.ofSeconds(4));
            each.close(FakeDriver.FD);
            assertThat(each.firesNanos - renewal.deadlineBootNanos())
                    .as("stopped after %s s", second)
                    .isBetween(
                            Duration.ofSeconds(60 - 8).toNanos(),
                            Duration.ofSeconds(60).toNanos());
        }
    }

    @Test
    void theNextAgentGetsAllTheTimeThatIsLeftAndSetsTheTimeoutBack() {
        Renewal renewal = renewal();
        device.arm(renewal);
        clock.advance(Duration.ofSeconds(10));
        assertThat(device.leaveArmed(renewal)).isEqualTo(new Result.Done());
        assertThat(driver.timeout).isBetween(123, 125);

        WatchdogDevice next = new WatchdogDevice(driver, PATH, LIMITS, clock, store);
        assertThat(next.inherited()).isTrue();
        assertThat(next.feed(renewal())).isEqualTo(new Result.Done());
        assertThat(driver.timeout).isEqualTo(60);
    }

    @Test
    void aDeviceThatCannotGiveThatMuchKeepsItsTimeout() {
        driver.longest = 70;
        Renewal renewal = renewal();
        device.arm(renewal);
        driver.calls.clear();
        assertThat(device.leaveArmed(renewal)).isEqualTo(new Result.Done());
        assertThat(driver.timeout).isEqualTo(60);
        assertThat(driver.calls).endsWith("keepalive");
    }

    /** Keeps files as systemd does. */
    private static final class FakeStore implements DescriptorStore {
        final Map<String, Integer> kept = new HashMap<>();

        @Override
        public OptionalInt inherited(String name) {
            Integer fd = kept.get(name);
            return fd == null ? OptionalInt.empty() : OptionalInt.of(fd);
        }

        @Override
        public void keep(String name, int fd) {
            kept.put(name, fd);
        }

        @Override
        public void forget(String name) {
            kept.remove(name);
        }
    }

    /** One device. */
    private static final class FakeDriver implements Driver {
        static final int FD = 40;
        final List<String> calls = new ArrayList<>();
        final Map<String, String> attributes = new HashMap<>();
        boolean exists = true;
        int openResult = FD;
        int options = ALL;
        int timeout = 60;
        int granularity = 1;
        int longest = 65535;
        int disableResult;
        boolean running;
        long firesNanos = Long.MAX_VALUE;
        private boolean magic;
        private final FakeClock clock;

        FakeDriver(FakeClock clock) {
            this.clock = clock;
        }

        private void ping() {
            if (running && !fired()) {
                firesNanos = clock.bootNanos() + Duration.ofSeconds(timeout).toNanos();
            }
        }

        boolean fired() {
            return running && clock.bootNanos() >= firesNanos;
        }

        @Override
        public Optional<String> attribute(String name) {
            return Optional.ofNullable(attributes.get(name));
        }

        @Override
        public boolean exists() {
            return exists;
        }

        @Override
        public int open() {
            calls.add("open");
            running |= openResult >= 0;
            ping();
            return openResult;
        }

        @Override
        public int options(int fd) {
            return options;
        }

        @Override
        public int setTimeout(int fd, int seconds) {
            calls.add("settimeout " + seconds);
            if ((options & WDIOF_SETTIMEOUT) == 0) {
                return -Libc.EOPNOTSUPP;
            }
            if (seconds > longest) {
                return -22;
            }
            timeout = (seconds + granularity - 1) / granularity * granularity;
            ping();
            return timeout;
        }

        @Override
        public int timeout(int fd) {
            return timeout;
        }

        @Override
        public int keepAlive(int fd) {
            calls.add("keepalive");
            ping();
            return 0;
        }

        @Override
        public int writeByte(int fd) {
            calls.add("write");
            ping();
            return 1;
        }

        @Override
        public int disable(int fd) {
            calls.add("disable");
            running &= disableResult < 0;
            return disableResult;
        }

        @Override
        public int writeMagic(int fd) {
            calls.add("magic");
            magic = true;
            return 1;
        }

        @Override
        public void close(int fd) {
            calls.add("close");
            running &= !magic;
            ping(); // the last one, if it goes on
        }
    }
}
