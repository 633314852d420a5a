/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.watchdog.DescriptorStore;
import io.vmguard.agent.watchdog.ResetTimer.Result;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.testing.Await;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is said to wdmd and what is made of its answers; on a real socket, with one that only speaks the protocol. */
@Timeout(60)
class WdmdTest {
    private static final Duration SOON = Duration.ofSeconds(10);

    @TempDir
    private Path dir;

    private final FakeClock clock = new FakeClock();
    private final Store store = new Store();
    private FakeWdmd daemon;
    private Wdmd wdmd;

    @BeforeEach
    void start() throws IOException {
        daemon = new FakeWdmd(dir.resolve("wdmd.sock"), clock);
        wdmd = wdmd(Timeouts.ofSeconds(10));
    }

    @AfterEach
    void everyMessageWasWhole() throws IOException {
        daemon.close();
        assertThat(daemon.faults).isEmpty();
    }

    private Wdmd wdmd(Timeouts timeouts) {
        return new Wdmd(dir.resolve("wdmd.sock"), "vmguard_LS", timeouts, clock, store);
    }

    private Renewal renewal() {
        long now = clock.bootNanos();
        return new Renewal(now, now + Duration.ofSeconds(80).toNanos(), 4711, Duration.ZERO);
    }

    private static String why(Result result) {
        return result instanceof Result.Failed failed ? failed.why() : "(done)";
    }

    @Test
    void armingRegistersChecksAndTellsUntilWhenLeasesAreGood() {
        assertThat(wdmd.arm(renewal())).isEqualTo(new Result.Done());
        assertThat(daemon.commands())
                .containsExactly(
                        WdmdMessage.REGISTER,
                        WdmdMessage.REFCOUNT_SET,
                        WdmdMessage.STATUS,
                        WdmdMessage.TEST_LIVE,
                        WdmdMessage.STATUS);
        assertThat(daemon.messages.get(0).name()).isEqualTo("vmguard_LS");
        assertThat(daemon.lastTestLive().expire() - clock.monotonicSeconds()).isBetween(78L, 80L);
        assertThat(store.kept).isPresent();
    }

    @Test
    void eachRenewalIsToldOnceAndMovesTheMoment() {
        wdmd.arm(renewal());
        int before = daemon.messages.size();
        clock.advance(Duration.ofSeconds(20));
        Renewal next = renewal();
        wdmd.feed(next);
        wdmd.feed(next);
        Await.until("the message", SOON, () -> daemon.messages.size() > before);
        assertThat(wdmd.disarm()).isEqualTo(new Result.Done()); // answered, so all before it has arrived
        assertThat(daemon.messages.subList(before, before + 2))
                .extracting(WdmdMessage::command, message -> message.expire() > 0)
                .containsExactly(
                        org.assertj.core.groups.Tuple.tuple(WdmdMessage.TEST_LIVE, true),
                        org.assertj.core.groups.Tuple.tuple(WdmdMessage.TEST_LIVE, false));
    }

    @Test
    void itsDeviceFiresNoLaterThanAShorterWatchdogTimeoutAllows() {
        Wdmd shorter = wdmd(new Timeouts(Duration.ofSeconds(10), Duration.ofSeconds(30)));
        assertThat(shorter.arm(renewal())).isEqualTo(new Result.Done());
        // 60 s after that moment at the latest: 80 + 30 - 60.
        assertThat(daemon.lastTestLive().expire() - clock.monotonicSeconds()).isBetween(48L, 50L);
    }

    @Test
    void disarmingEndsTheSupervisionBeforeItCloses() {
        wdmd.arm(renewal());
        assertThat(wdmd.disarm()).isEqualTo(new Result.Done());
        assertThat(daemon.lastTestLive().expire()).isZero();
        assertThat(daemon.commands()).endsWith(WdmdMessage.TEST_LIVE, WdmdMessage.REFCOUNT_CLEAR, WdmdMessage.STATUS);
        Await.until("the end of the connection", SOON, () -> daemon.closedClients == 1);
        assertThat(store.kept).isEmpty();
    }

    @Test
    void theNextAgentContinuesOnTheSameConnection() {
        wdmd.arm(renewal());
        Wdmd next = wdmd(Timeouts.ofSeconds(10));
        assertThat(next.inherited()).isTrue();
        clock.advance(Duration.ofSeconds(20));
        assertThat(next.feed(renewal())).isEqualTo(new Result.Done());
        assertThat(next.disarm()).isEqualTo(new Result.Done());
        assertThat(daemon.lastTestLive().expire()).isZero();
        assertThat(daemon.commands()).containsOnlyOnce(WdmdMessage.REGISTER);
    }

    @Test
    void aMachineThatWasSuspendedIsGivenNoMoreTime() {
        Renewal renewal = renewal();
        wdmd.arm(renewal);
        long told = daemon.lastTestLive().expire();
        // While it was suspended the clock of the leases went on and wdmd's did not.
        Renewal asOfNow = new Renewal(
                renewal.startedBootNanos(),
                renewal.deadlineBootNanos() - Duration.ofSeconds(70).toNanos(),
                renewal.timestampSeconds(),
                renewal.took());
        wdmd.letExpire(asOfNow);
        Await.until("the new moment", SOON, () -> daemon.lastTestLive().expire() != told);
        assertThat(daemon.lastTestLive().expire()).isBetween(told - 71, told - 69);
    }

    @Test
    void withoutASuspensionItNeedsNotBeToldOfALoss() {
        Renewal renewal = renewal();
        wdmd.arm(renewal);
        int before = daemon.messages.size();
        clock.advance(Duration.ofSeconds(79));
        assertThat(wdmd.letExpire(renewal)).isEqualTo(new Result.Done());
        wdmd.disarm();
        assertThat(daemon.messages.get(before).expire())
                .as("the first word after it")
                .isZero();
    }

    @Test
    void anAbsentOneIsRefusedByName() throws IOException {
        daemon.close();
        assertThat(why(wdmd.arm(renewal()))).endsWith("wdmd.sock: nobody listens");
        assertThat(wdmd.problem()).hasValueSatisfying(why -> assertThat(why).contains("nobody listens"));
        Wdmd nowhere = new Wdmd(dir.resolve("none"), "x", Timeouts.ofSeconds(10), clock, store);
        assertThat(why(nowhere.arm(renewal()))).endsWith("there is no such file");
    }

    @Test
    void oneThatDoesNotAnswerIsRefusedInTimeAndSupervisesNothing() {
        daemon.silent = true;
        assertThat(why(wdmd.arm(renewal()))).isEqualTo("wdmd does not answer");
        Await.until("the end of the connection", SOON, () -> daemon.closedClients == 1);
        assertThat(daemon.lastTestLive().expire()).isZero();
        assertThat(store.kept).isEmpty();
    }

    @Test
    void oneOfTheNewerKindIsAskedToOpenItsDevice() {
        daemon.newer = true;
        assertThat(wdmd.arm(renewal())).isEqualTo(new Result.Done());
        assertThat(daemon.messages)
                .filteredOn(message -> message.command() == WdmdMessage.OPEN_WATCHDOG)
                .singleElement()
                .extracting(WdmdMessage::fireTimeout)
                .isEqualTo(60);
    }

    @Test
    void oneOfTheNewerKindThatCannotIsRefused() {
        daemon.newer = true;
        daemon.fireTimeout = 30;
        assertThat(why(wdmd.arm(renewal()))).contains("could not open a watchdog device that fires after 60 s");
    }

    @Test
    void anotherFireTimeoutIsRefused() {
        daemon.fireTimeout = 30;
        assertThat(why(wdmd.arm(renewal()))).isEqualTo("wdmd's device fires after 30 s, not 60 s");
        Await.until("the end of the connection", SOON, () -> daemon.closedClients == 1);
        assertThat(daemon.lastTestLive().expire()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"60", "4000", "-5", "-100000"})
    void aClockOfAnotherTimeNamespaceOrADeviceThatIsNotFedIsRefused(long keepaliveAgo) {
        daemon.keepaliveAgo = keepaliveAgo;
        assertThat(why(wdmd.arm(renewal()))).contains("a time namespace");
    }

    @Test
    void oneThatDiesIsNoticedAndForgotten() throws IOException {
        wdmd.arm(renewal());
        daemon.close();
        assertThat(why(wdmd.feed(renewal()))).startsWith("wdmd: ");
        assertThat(wdmd.disarm()).isEqualTo(new Result.Done());
        assertThat(store.kept).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "10, 60, true",
        "3, 60, true",
        "2, 60, false",
        "1, 60, false",
        "10, 21, true",
        "10, 20, false",
        "1, 10, false"
    })
    void betweenTwoRenewalsItMustNotTakeUsForDead(int ioTimeout, int watchdog, boolean fits) {
        Timeouts timeouts = new Timeouts(Duration.ofSeconds(ioTimeout), Duration.ofSeconds(watchdog));
        assertThat(Wdmd.problem(timeouts).isEmpty()).isEqualTo(fits);
        assertThat(wdmd(timeouts).arm(renewal()) instanceof Result.Done).isEqualTo(fits);
    }

    @Test
    void oneThatReadsNothingIsAFailureAndNotAWait() {
        wdmd.arm(renewal());
        daemon.stopReading();
        Result result = new Result.Done();
        // The queue of a Unix socket takes some hundreds of messages.
        for (int i = 0; i < 10_000 && result instanceof Result.Done; i++) {
            result = wdmd.feed(renewal());
        }
        assertThat(why(result)).isEqualTo("wdmd: it does not read");
        daemon.readOn();
    }

    /** Keeps one file as systemd does: without a copy, since the test's process goes on. */
    private static final class Store implements DescriptorStore {
        OptionalInt kept = OptionalInt.empty();

        @Override
        public OptionalInt inherited(String name) {
            return kept;
        }

        @Override
        public void keep(String name, int fd) {
            kept = OptionalInt.of(fd);
        }

        @Override
        public void forget(String name) {
            kept = OptionalInt.empty();
        }
    }
}
