/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.watchdog;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.watchdog.Watchdog.Answer;
import io.vmguard.agent.watchdog.WatchdogView.State;
import io.vmguard.lease.Renewal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/**
 * When the machine is reset and when not, stepped by hand. T is 10 s, so leases last 80 s from the start of a renewal; W is 60 s, so the
 * reset comes 140 s after it at the latest.
 */
class LeaseWatchdogTest {
    private static final Duration LEASE = Duration.ofSeconds(80);
    private static final Duration W = Duration.ofSeconds(60);
    private static final Duration STEP = Duration.ofMillis(250);
    private static final Duration RENEWAL_INTERVAL = Duration.ofSeconds(20);

    private final FakeClock clock = new FakeClock();
    private final FakeTimer wdmd = new FakeTimer("wdmd", W, clock, false);
    private final FakeTimer device = new FakeTimer("/dev/watchdog0", W, clock, false);
    private final List<String> lastWords = new ArrayList<>();
    private LeaseWatchdog watchdog = watchdog(true, wdmd);

    private LeaseWatchdog watchdog(boolean required, FakeTimer... timers) {
        return new LeaseWatchdog(
                new LeaseWatchdog.Settings(required, W, "nothing is promised"), List.of(timers), clock, lastWords::add);
    }

    private Renewal renew() {
        long now = clock.bootNanos();
        Renewal renewal = new Renewal(now, now + LEASE.toNanos(), clock.monotonicSeconds(), Duration.ZERO);
        watchdog.renewed(renewal);
        watchdog.drain();
        return renewal;
    }

    private Answer arm() {
        CompletableFuture<Answer> answer = watchdog.arm();
        watchdog.drain();
        return answer.getNow(new Answer.Refused("(no answer)"));
    }

    private void disarm() {
        watchdog.disarm();
        watchdog.drain();
    }

    private void pass(Duration duration) {
        for (long left = duration.toMillis(); left > 0; left -= STEP.toMillis()) {
            clock.advance(STEP);
            watchdog.drain();
        }
    }

    /** A healthy host for so long. */
    private void passRenewing(Duration duration) {
        for (long left = duration.toMillis(); left > 0; left -= RENEWAL_INTERVAL.toMillis()) {
            renew();
            pass(RENEWAL_INTERVAL);
            assertThat(wdmd.fired() || device.fired()).isFalse();
        }
    }

    private Duration since(Renewal renewal) {
        return Duration.ofNanos(clock.bootNanos() - renewal.startedBootNanos());
    }

    @Test
    void aHostWithoutLeasesIsNeverArmed() {
        passRenewing(Duration.ofMinutes(5));
        assertThat(wdmd.armed()).isFalse();
        watchdog.lost("storage does not answer");
        pass(Duration.ofMinutes(10));
        assertThat(wdmd.armed()).isFalse();
        assertThat(lastWords).isEmpty();
        assertThat(watchdog.view().state()).isEqualTo(State.DISARMED);
    }

    @Test
    void whileLeasesAreRenewedTheMachineGoesOn() {
        renew();
        assertThat(arm()).isEqualTo(new Answer.Armed());
        passRenewing(Duration.ofMinutes(30));
        assertThat(wdmd.armed()).isTrue();
        assertThat(watchdog.view().state()).isEqualTo(State.ARMED);
        assertThat(lastWords).isEmpty();
    }

    @Test
    void onRequestItIsDisarmedThoughLeasesAreHeldAndStaysSo() {
        renew();
        arm();
        CompletableFuture<Optional<String>> down = watchdog.standDown();
        passRenewing(Duration.ofMinutes(1));
        assertThat(down).isCompletedWithValue(Optional.empty());
        assertThat(wdmd.armed()).isFalse();
        pass(Duration.ofMinutes(10));
        assertThat(wdmd.fired()).isFalse();
    }

    @Test
    void withoutRenewalsTheMachineIsResetByTheTimeThatOthersWaitFor() {
        Renewal last = renew();
        arm();
        while (!wdmd.fired()) {
            pass(STEP);
        }
        assertThat(since(last)).isGreaterThan(LEASE).isLessThanOrEqualTo(LEASE.plus(W));
    }

    @Test
    void untilTheResetTheTimerIsToldOverAndOverThatItIsNotFedAnyMore() {
        renew();
        arm();
        pass(Duration.ofSeconds(79));
        int before = wdmd.expirings();
        assertThat(before).isPositive();
        pass(Duration.ofSeconds(30));
        assertThat(wdmd.expirings()).isGreaterThanOrEqualTo(before + 30);
        disarm();
        int after = wdmd.expirings();
        pass(Duration.ofSeconds(5));
        assertThat(wdmd.expirings()).as("disarmed").isEqualTo(after);
        assertThat(lastWords).hasSize(2).first().asString().contains("WILL BE RESET");
    }

    @Test
    void theReasonIsLeftBeforeTheReset() {
        renew();
        arm();
        pass(Duration.ofSeconds(79));
        assertThat(lastWords)
                .singleElement()
                .asString()
                .contains("THIS MACHINE WILL BE RESET", "within 6", "its leases were not renewed in time");
        assertThat(watchdog.view().state()).isEqualTo(State.EXPIRING);
    }

    @Test
    void afterALossItIsFedNoMoreWhateverTimeWasLeft() {
        renew();
        arm();
        watchdog.lost("somebody writes our record");
        watchdog.drain();
        int feedings = wdmd.feedings();
        pass(Duration.ofSeconds(61));
        assertThat(wdmd.feedings()).isEqualTo(feedings);
        assertThat(wdmd.fired()).isTrue();
        assertThat(lastWords).singleElement().asString().contains("somebody writes our record");
    }

    @Test
    void aRenewalThatWasOnItsWayWhenTheLossCameFeedsNothing() {
        Renewal first = renew();
        arm();
        clock.advance(Duration.ofSeconds(20));
        Renewal late = new Renewal(
                first.startedBootNanos() + 1, first.deadlineBootNanos() + 1, clock.monotonicSeconds(), Duration.ZERO);
        watchdog.lost("another host took our host id");
        watchdog.renewed(late);
        int feedings = wdmd.feedings();
        pass(Duration.ofSeconds(61));
        assertThat(wdmd.feedings()).isEqualTo(feedings);
        assertThat(wdmd.fired()).isTrue();
    }

    @Test
    void usersThatAreGoneInTimeCallTheResetOff() {
        renew();
        arm();
        pass(Duration.ofSeconds(100));
        disarm();
        assertThat(wdmd.armed()).isFalse();
        assertThat(lastWords).hasSize(2).last().asString().contains("called off");
        renew(); // of a new membership
        assertThat(arm()).isEqualTo(new Answer.Armed());
        passRenewing(Duration.ofMinutes(5));
    }

    @Test
    void aRenewalAtTheLastMomentIsEnough() {
        renew();
        arm();
        pass(Duration.ofMillis(79_500));
        renew();
        assertThat(lastWords).hasSize(2).last().asString().contains("renewed after all");
        passRenewing(Duration.ofMinutes(5));
    }

    @Test
    void aThreadThatWasHeldUpBeforeItFedTakesThatBack() {
        Renewal last = renew();
        arm();
        wdmd.beforeFeeding(() -> clock.advance(Duration.ofSeconds(100)));
        pass(Duration.ofSeconds(20));
        wdmd.beforeFeeding(() -> {});
        pass(Duration.ofMillis(250));
        while (!wdmd.fired()) {
            pass(STEP);
        }
        assertThat(since(last)).isLessThanOrEqualTo(LEASE.plus(W).plus(STEP));
    }

    @Test
    void withoutARenewalNothingIsArmed() {
        assertThat(arm()).isInstanceOf(Answer.Refused.class);
        assertThat(wdmd.armed()).isFalse();
    }

    @Test
    void whatWantedForARenewalIsArmedWithTheFirstOne() {
        arm();
        pass(Duration.ofSeconds(3));
        renew();
        assertThat(wdmd.armed()).isTrue();
        assertThat(watchdog.view().state()).isEqualTo(State.ARMED);
    }

    @Test
    void theFirstOneThatCanBeArmedIsTaken() {
        watchdog = watchdog(false, wdmd, device);
        wdmd.breakDown("wdmd: nobody listens");
        renew();
        assertThat(arm()).isEqualTo(new Answer.Armed());
        assertThat(device.armed()).isTrue();
        assertThat(watchdog.view().kind()).isEqualTo("/dev/watchdog0");
    }

    @Test
    void whereNoneIsRequiredAStartGoesOnWithoutAndItIsTriedAgain() {
        watchdog = watchdog(false, wdmd, device);
        wdmd.breakDown("wdmd: nobody listens");
        device.breakDown("/dev/watchdog0: there is no such file");
        renew();
        Answer.Unguarded none = new Answer.Unguarded("wdmd: nobody listens; /dev/watchdog0: there is no such file");
        assertThat(arm()).isEqualTo(none);
        assertThat(arm()).as("at once, too").isEqualTo(none);
        assertThat(watchdog.view().state()).isEqualTo(State.FAILED);
        assertThat(watchdog.view().detail()).isEqualTo(none.why());

        device.breakDown("");
        pass(Duration.ofSeconds(11));
        assertThat(device.armed()).isTrue();
    }

    @Test
    void whereOneIsRequiredAStartIsRefusedWithoutIt() {
        wdmd.breakDown("wdmd: nobody listens");
        renew();
        assertThat(arm()).isEqualTo(new Answer.Refused("wdmd: nobody listens"));
        wdmd.breakDown("");
        assertThat(arm()).as("not remembered against it").isInstanceOf(Answer.class);
    }

    @Test
    void oneThatCanBeFedNoMoreIsReplacedBeforeItFires() {
        watchdog = watchdog(false, wdmd, device);
        renew();
        arm();
        passRenewing(Duration.ofMinutes(1));
        wdmd.breakDown("wdmd: the other side has gone");
        pass(Duration.ofSeconds(20));
        assertThat(lastWords.get(0)).contains("WILL BE RESET", "cannot be fed: wdmd: the other side has gone");
        assertThat(device.armed()).isTrue();
        wdmd.breakDown("");
        disarm();
        assertThat(wdmd.armed()).as("the one before").isFalse();
        assertThat(device.armed()).isFalse();
    }

    @Test
    void oneThatCannotBeDisarmedIsTriedAgainUntilItCan() {
        renew();
        arm();
        wdmd.breakDown("/dev/watchdog0 does not stop: it is in use by another program");
        disarm();
        assertThat(watchdog.view().detail()).startsWith("cannot be disarmed");
        wdmd.breakDown("");
        pass(Duration.ofSeconds(30));
        assertThat(wdmd.armed()).isFalse();
    }

    @Test
    void whatAnEarlierAgentLeftArmedIsFedOnceLeasesAreKnownToBeInTime() {
        FakeTimer left = new FakeTimer("wdmd", W, clock, true);
        watchdog = watchdog(true, left);
        pass(Duration.ofSeconds(5));
        assertThat(left.feedings()).isZero();
        renew();
        assertThat(left.feedings()).isEqualTo(1);
        assertThat(arm()).isEqualTo(new Answer.Armed());
    }

    @Test
    void whatAnEarlierAgentLeftArmedFiresIfNobodyKnowsOfItsLeases() {
        FakeTimer left = new FakeTimer("wdmd", W, clock, true);
        watchdog = watchdog(true, left);
        pass(Duration.ofSeconds(61));
        assertThat(left.fired()).isTrue();
    }

    @Test
    void whatAnEarlierAgentLeftArmedIsDisarmedWhenNoLeaseIsHeld() {
        FakeTimer left = new FakeTimer("wdmd", W, clock, true);
        watchdog = watchdog(true, left);
        disarm();
        assertThat(left.armed()).isFalse();
    }

    @Test
    void anAgentThatStopsWithLeasesLeavesItArmedWithAllTheTimeThatTheyHave() {
        Renewal last = renew();
        arm();
        pass(Duration.ofSeconds(10));
        watchdog.start();
        watchdog.close();
        assertThat(wdmd.armed()).isTrue();
        clock.advance(Duration.ofSeconds(120));
        assertThat(wdmd.fired()).isFalse();
        clock.advance(Duration.ofSeconds(10));
        assertThat(wdmd.fired()).isTrue();
        assertThat(since(last)).isLessThanOrEqualTo(LEASE.plus(W).plusSeconds(1));
    }

    @Test
    void anAgentThatStopsWithoutLeasesLeavesNothingArmed() {
        renew();
        arm();
        watchdog.start();
        watchdog.disarm();
        watchdog.close();
        assertThat(wdmd.armed()).isFalse();
    }

    @Test
    void withoutAnyThereIsNothingToBeSaid() {
        watchdog = watchdog(false);
        renew();
        assertThat(arm()).isInstanceOf(Answer.Unguarded.class);
        assertThat(watchdog.view().state()).isEqualTo(State.NONE);
    }
}
