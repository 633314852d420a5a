/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.stop;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.stop.AgentStop.Choice;
import io.vmguard.agent.stop.StopAnswer.Outcome;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Timeouts;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Which choice ends the agent when, what is done for it, in which order, and what is said. T is 10 s, W is 60 s. */
class AgentStopTest {
    private final Agent agent = new Agent();
    private final AgentStop stop = new AgentStop(agent, Duration.ofMillis(300), () -> agent.deeds.add("end"));

    /** Notes what is done to it, and has what it is given. */
    private static final class Agent implements RunningAgent {
        private final List<String> deeds = new ArrayList<>();
        private List<DomainView> domains = List.of();
        private List<DomainView> startedMeanwhile = List.of();
        private LockspaceView.State state = LockspaceView.State.MEMBER;
        private List<LeaseName> undetermined = List.of();
        private int looksUntilGivenBack;
        private Optional<String> armed = Optional.empty();
        private boolean noRoom;

        @Override
        public List<DomainView> domains() {
            return domains;
        }

        @Override
        public CompletableFuture<List<DomainView>> shut() {
            deeds.add("shut");
            List<DomainView> all = new ArrayList<>(domains);
            all.addAll(startedMeanwhile);
            return CompletableFuture.completedFuture(all);
        }

        @Override
        public void reopen() {
            deeds.add("reopen");
        }

        @Override
        public LockspaceView lockspace() {
            List<LeaseName> left = looksUntilGivenBack-- > 0 ? List.of(new LeaseName("slow")) : undetermined;
            Map<LeaseName, LeaseUse> held = Map.of();
            return new LockspaceView(
                    new LeaseName("LS"),
                    "/leases",
                    state,
                    Optional.empty(),
                    "node-a",
                    Timeouts.ofSeconds(10),
                    Optional.empty(),
                    Optional.empty(),
                    "the storage does not answer",
                    List.of(),
                    held,
                    left);
        }

        @Override
        public CompletableFuture<Optional<String>> disarm() {
            deeds.add("disarm");
            return CompletableFuture.completedFuture(armed);
        }

        @Override
        public void keepUsers() throws IOException {
            if (noRoom) {
                throw new IOException("No space left on device");
            }
            deeds.add("keepUsers");
        }

        @Override
        public void standDown() {
            deeds.add("standDown");
        }
    }

    private static DomainView domain(String name, String state) {
        return new DomainView(name, "u-" + name, state, Optional.of(7), 1, List.of(), "poweroff", List.of());
    }

    private StopAnswer ask(Choice choice) {
        try {
            return stop.stop(choice, "root");
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    // ---- keep

    @Test
    void keepLeavesTheDomainsToThemselvesAndSaysWhatThatMeans() {
        agent.domains = List.of(domain("demo1", "running"), domain("demo2", "paused"));
        StopAnswer answer = ask(Choice.KEEP);
        assertThat(answer.outcome()).isEqualTo(Outcome.STOPPING);
        assertThat(answer.domains()).containsExactly("demo1", "demo2");
        assertThat(answer.message())
                .contains("NOBODY GUARDS these domains from now on: demo1, demo2", "140 s after the last renewal")
                .contains("two writers on one disk", "deadman", "watchdog", "within 80 s", "systemctl start vmguard");
        assertThat(agent.deeds).containsExactly("shut", "disarm", "keepUsers", "standDown");
        stop.end();
        assertThat(agent.deeds).endsWith("end");
    }

    @Test
    void keepOfManyDomainsNamesTen() {
        agent.domains =
                IntStream.range(0, 30).mapToObj(i -> domain("d" + i, "running")).toList();
        StopAnswer answer = ask(Choice.KEEP);
        assertThat(answer.message()).contains("d9 and 20 more").doesNotContain("d10");
        assertThat(answer.domains()).hasSize(30);
    }

    @Test
    void keepIsRefusedWhileTheWatchdogWouldResetTheMachineForWhatRunsOn() {
        agent.domains = List.of(domain("demo1", "running"));
        agent.armed = Optional.of("wdmd does not answer");
        StopAnswer answer = ask(Choice.KEEP);
        assertThat(answer.outcome()).isEqualTo(Outcome.CANNOT_TELL);
        assertThat(answer.message()).contains("wdmd does not answer");
        assertThat(agent.deeds).as("guarded as before").containsExactly("shut", "disarm", "reopen");
    }

    @Test
    void keepIsRefusedIfTheNextAgentWouldStopTheDomains() {
        agent.domains = List.of(domain("demo1", "running"));
        agent.noRoom = true;
        assertThat(ask(Choice.KEEP).message()).contains("No space left on device");
        assertThat(agent.deeds).containsExactly("shut", "disarm", "reopen");
    }

    @Test
    void keepIsRefusedWhileDomainsAreBeingStoppedForALostLease() {
        agent.domains = List.of(domain("demo1", "running"), domain("demo2", "stopping"));
        StopAnswer answer = ask(Choice.KEEP);
        assertThat(answer.outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(answer.domains()).containsExactly("demo2");
        agent.state = LockspaceView.State.LOST;
        assertThat(ask(Choice.KEEP).outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(agent.deeds).doesNotContain("standDown", "keepUsers", "disarm");
    }

    @Test
    void keepNeedsNoMembership() {
        agent.domains = List.of(domain("demo1", "running"));
        agent.state = LockspaceView.State.JOINING;
        assertThat(ask(Choice.KEEP).outcome()).isEqualTo(Outcome.STOPPING);
    }

    // ---- release

    @Test
    void releaseIsRefusedWithTheDomainsThatAreInTheWay() {
        agent.domains = List.of(domain("demo1", "running"));
        StopAnswer answer = ask(Choice.RELEASE);
        assertThat(answer.outcome()).isEqualTo(Outcome.REFUSED);
        assertThat(answer.message()).contains("these domains have leases: demo1", "vmguard stop --keep");
        assertThat(answer.domains()).containsExactly("demo1");
        assertThat(agent.deeds).as("no start was refused for it").doesNotContain("shut");
    }

    @Test
    void releaseIsRefusedIfADomainCameAtTheLastMoment() {
        agent.startedMeanwhile = List.of(domain("demo2", "starting"));
        assertThat(ask(Choice.RELEASE).domains()).containsExactly("demo2");
        assertThat(agent.deeds).containsExactly("shut", "reopen");
    }

    @Test
    void releaseWaitsForLeasesThatAreBeingGivenBack() {
        agent.looksUntilGivenBack = 3;
        StopAnswer answer = ask(Choice.RELEASE);
        assertThat(answer.outcome()).isEqualTo(Outcome.STOPPING);
        assertThat(answer.message()).contains("no lease is held", "leaves the lockspace");
        assertThat(agent.deeds).containsExactly("shut", "disarm");
    }

    @Test
    void releaseIsRefusedWhileALeaseIsNotKnownToBeGivenBack() {
        agent.undetermined = List.of(new LeaseName("R1"));
        StopAnswer answer = ask(Choice.RELEASE);
        assertThat(answer.outcome()).isEqualTo(Outcome.CANNOT_TELL);
        assertThat(answer.message()).contains("R1");
        assertThat(agent.deeds).containsExactly("shut", "reopen");
    }

    @Test
    void releaseByAnAgentThatDoesNotKnowWhatItHoldsIsRefused() {
        agent.state = LockspaceView.State.JOINING;
        assertThat(ask(Choice.RELEASE).message()).contains("not a member", "the storage does not answer");
    }
}
