/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeProcess;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.agent.watchdog.Watchdog.Answer;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** The watchdog is armed before the first lease is used, and disarmed when the last user is proved gone; never else. */
class DomainGuardWatchdogTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2");
    private static final TestDomain DEMO2 = TestDomain.of("demo2", "/images/two.qcow2");
    private static final Duration A_WHILE = Duration.ofSeconds(40);

    private final GuardBench bench = GuardBench.enforcing();

    @Test
    void aHostWithoutLeasesNeverArms() {
        bench.pass(A_WHILE);
        assertThat(bench.ask(TestDomain.of("diskless"))).isEqualTo(new StartAnswer.Granted(""));
        assertThat(bench.watchdog.armed()).isFalse();
    }

    @Test
    void aStartIsGrantedOnlyOnceTheWatchdogIsArmed() {
        bench.watchdog.holdBack();
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.pass(Duration.ofSeconds(3));
        assertThat(bench.lockspace.held()).containsExactlyInAnyOrderElementsOf(DEMO1.resources());
        assertThat(answer).isNotDone();

        bench.watchdog.answerAll();
        bench.settle();
        assertThat(answer).isCompletedWithValue(new StartAnswer.Granted(""));
        assertThat(bench.watchdog.armed()).isTrue();
    }

    @Test
    void aWatchdogThatCannotBeArmedButMustBeRefusesTheStart() {
        bench.watchdog.answer(new Answer.Refused("/dev/watchdog0 cannot be opened: it is in use by another program"));
        assertThat(bench.ask(DEMO1))
                .isEqualTo(
                        new StartAnswer.CannotTell("vmguard: demo1: the watchdog that is configured cannot be armed: "
                                + "/dev/watchdog0 cannot be opened: it is in use by another program. Not started. "
                                + "See: vmguard status"));
        assertThat(bench.lockspace.held()).as("what was taken for it").isEmpty();

        bench.watchdog.answer(new Answer.Armed());
        assertThat(bench.ask(DEMO1)).isEqualTo(new StartAnswer.Granted(""));
    }

    @Test
    void aWatchdogThatNeedNotBeThereHoldsUpNothing() {
        bench.watchdog.answer(new Answer.Unguarded("there is none"));
        assertThat(bench.ask(DEMO1)).isEqualTo(new StartAnswer.Granted(""));
    }

    @Test
    void aWatchdogThatDoesNotAnswerRefusesTheStartInTime() {
        bench.watchdog.holdBack();
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.pass(GuardBench.ANSWER_LIMIT);
        assertThat(answer.getNow(new StartAnswer.Granted("")).message())
                .contains("cannot be armed: it does not answer");
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void anAgentThatIsAboutToEndStartsNothingAndLeavesTheWatchdogAlone() {
        bench.run(DEMO1);
        CompletableFuture<GuardView> shut = bench.guard.shut();
        bench.settle();
        assertThat(shut.join().domains()).extracting(DomainView::name).containsExactly("demo1");
        assertThat(bench.ask(DEMO2).message()).contains("demo2: the lease agent is stopping");

        bench.watchdog.disarm(); // as the one who ends it does
        bench.pass(A_WHILE);
        assertThat(bench.watchdog.armed()).isFalse();

        bench.guard.reopen();
        bench.settle();
        assertThat(bench.watchdog.armed()).as("it goes on after all").isTrue();
        assertThat(bench.ask(DEMO2)).isEqualTo(new StartAnswer.Granted(""));
    }

    @Test
    void aStartThatIsOnItsWayWhenTheAgentIsAboutToEndIsRefusedAndGivesItsLeasesBack() {
        bench.watchdog.holdBack();
        CompletableFuture<StartAnswer> answer = bench.prepare(DEMO1);
        bench.guard.shut();
        bench.settle();
        assertThat(answer.getNow(new StartAnswer.Granted("")).message()).contains("the lease agent is stopping");
        assertThat(bench.lockspace.held()).isEmpty();
    }

    @Test
    void itIsDisarmedWhenTheLastUserIsProvedGoneAndNotBefore() {
        FakeProcess one = bench.run(DEMO1);
        FakeProcess two = bench.run(DEMO2);
        bench.inactive(DEMO1);
        one.end();
        bench.pass(A_WHILE);
        assertThat(bench.watchdog.armed()).isTrue();

        bench.releaseHook(DEMO2);
        bench.pass(A_WHILE);
        assertThat(bench.watchdog.armed()).as("a hook is no proof").isTrue();

        bench.inactive(DEMO2);
        two.end();
        bench.settle();
        assertThat(bench.watchdog.armed()).isFalse();
    }

    @Test
    void aStartThatIsRefusedLeavesItDisarmed() {
        bench.lockspace.answer(DEMO1.resources().get(0), FakeLockspace.heldByNodeB("other"));
        assertThat(bench.ask(DEMO1)).isInstanceOf(StartAnswer.Refused.class);
        bench.settle();
        assertThat(bench.watchdog.armed()).isFalse();
    }

    @Test
    void afterALossItIsDisarmedOnlyWhenEveryUserIsGone() {
        FakeProcess process = bench.run(DEMO1);
        process.stick();
        bench.lockspace.lose();
        bench.pass(A_WHILE);
        assertThat(bench.watchdog.disarmedCalls()).as("QEMU is still there").isEqualTo(1);
        assertThat(bench.watchdog.armed()).isTrue();

        bench.inactive(DEMO1);
        process.end();
        bench.settle();
        assertThat(bench.watchdog.armed()).isFalse();
    }

    @Test
    void anAgentThatIsNotAMemberYetLeavesWhatItsPredecessorHasArmed() {
        bench.run(DEMO1);
        GuardBench next = bench.afterCrash();
        next.pass(A_WHILE);
        assertThat(next.watchdog.disarmedCalls()).isZero();
    }

    @Test
    void anAgentThatContinuesWithLeasesArmsAgain() {
        FakeProcess process = bench.run(DEMO1);
        GuardBench next = bench.afterCrash();
        next.lockspace.resume();
        next.settle();
        next.pass(Duration.ofSeconds(2));
        assertThat(next.watchdog.armed()).isTrue();
        assertThat(next.watchdog.disarmedCalls()).isZero();

        next.inactive(DEMO1);
        process.end();
        next.pass(Duration.ofSeconds(2));
        assertThat(next.watchdog.disarmedCalls()).isEqualTo(1);
    }
}
