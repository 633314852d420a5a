/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.stop;

import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.stop.StopAnswer.Outcome;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Timeouts;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * Ends the agent for good, by one of two choices. Everything that may fail comes first: an agent that does not end goes on as before.
 *
 * <p>One at a time; the caller's thread waits for some seconds.
 */
public final class AgentStop {
    private static final Logger LOG = LogManager.getLogger(AgentStop.class);
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(10);
    private static final Duration LOOK_AGAIN = Duration.ofMillis(100);
    private static final int NAMES = 10;

    /** What becomes of the domains. */
    public enum Choice {
        /** They run on, and nobody guards them. */
        KEEP,
        /** They are gone, and nothing is left behind. */
        RELEASE
    }

    private final RunningAgent agent;
    private final Duration releaseLimit;
    private final Runnable end;
    private final CountDownLatch never = new CountDownLatch(1);

    /**
     * @param releaseLimit how long leases that are being given back are waited for
     * @param end ends the process; called once the answer has been passed on
     */
    public AgentStop(RunningAgent agent, Duration releaseLimit, Runnable end) {
        this.agent = agent;
        this.releaseLimit = releaseLimit;
        this.end = end;
    }

    /** The answer has reached whoever asked. */
    public void end() {
        end.run();
    }

    /**
     * Does everything but to end the process.
     *
     * @param operator who asked, for the journal
     */
    public synchronized StopAnswer stop(Choice choice, String operator) throws InterruptedException {
        StopAnswer answer = choice == Choice.KEEP ? keep() : release();
        boolean stopping = answer.outcome() == Outcome.STOPPING;
        LOG.warn(
                "VG-105 stop --{}, asked by {}: {}",
                choice.name().toLowerCase(java.util.Locale.ROOT),
                operator,
                answer.message());
        if (!stopping) {
            agent.reopen();
        }
        return answer;
    }

    // ---- the domains run on

    private StopAnswer keep() throws InterruptedException {
        if (agent.lockspace().state() == LockspaceView.State.LOST) {
            return refused("the leases of this host are lost, and its domains are being stopped for that", List.of());
        }
        Optional<List<DomainView>> shut = answer(agent.shut());
        if (shut.isEmpty()) {
            return cannotTell("the guard does not answer");
        }
        List<DomainView> domains = shut.get();
        List<String> ending = domains.stream()
                .filter(domain -> domain.state().equals("stopping"))
                .map(AgentStop::name)
                .toList();
        if (!ending.isEmpty()) {
            return refused("these domains are being stopped, which must end first: " + names(ending), ending);
        }
        Optional<String> armed = disarm();
        if (armed.isPresent()) {
            return cannotTell("the machine would be reset, for its watchdog cannot be disarmed: " + armed.get());
        }
        try {
            agent.keepUsers();
        } catch (IOException e) {
            return cannotTell("word for the next agent cannot be left: " + e.getMessage());
        }
        agent.standDown();
        List<String> names = domains.stream().map(AgentStop::name).toList();
        return new StopAnswer(Outcome.STOPPING, kept(names, agent.lockspace().timeouts()), names);
    }

    private static String kept(List<String> names, Timeouts timeouts) {
        String closed =
                " As long as libvirt has the hook, no domain starts here until the agent runs again: systemctl start vmguard";
        if (names.isEmpty()) {
            return "the agent stops. No domain with a lease runs here." + closed;
        }
        return "the agent stops. NOBODY GUARDS these domains from now on: " + names(names) + ". "
                + timeouts.hostDead().toSeconds()
                + " s after the last renewal other hosts can take their leases and start them, while they run on here: two writers on"
                + " one disk. Neither the deadman nor a watchdog of this host does anything any more. An agent that is back within "
                + timeouts.renewalFailed().toSeconds()
                + " s goes on with their leases, a later one takes those that are free." + closed;
    }

    // ---- the domains are gone

    private StopAnswer release() throws InterruptedException {
        if (!agent.domains().isEmpty()) {
            return inTheWay(agent.domains());
        }
        if (agent.lockspace().state() != LockspaceView.State.MEMBER) {
            return cannotTell("this host is not a member of its lockspace now, so what it holds is not known: "
                    + agent.lockspace().detail());
        }
        Optional<List<DomainView>> shut = answer(agent.shut());
        if (shut.isEmpty()) {
            return cannotTell("the guard does not answer");
        }
        if (!shut.get().isEmpty()) {
            return inTheWay(shut.get());
        }
        Optional<String> held = awaitNothingHeld();
        if (held.isPresent()) {
            return cannotTell(held.get());
        }
        Optional<String> armed = disarm();
        if (armed.isPresent()) {
            return cannotTell("the machine would be reset, for its watchdog cannot be disarmed: " + armed.get());
        }
        return new StopAnswer(
                Outcome.STOPPING,
                "the agent stops: no lease is held, and it leaves the lockspace. No domain starts here until it runs again: systemctl"
                        + " start vmguard",
                List.of());
    }

    private Optional<String> awaitNothingHeld() throws InterruptedException {
        long looks = releaseLimit.dividedBy(LOOK_AGAIN);
        Optional<String> held = held(agent.lockspace());
        for (long i = 0; held.isPresent() && i < looks; i++) {
            boolean ignored = never.await(LOOK_AGAIN.toMillis(), TimeUnit.MILLISECONDS);
            held = held(agent.lockspace());
        }
        return held;
    }

    private static Optional<String> held(LockspaceView lockspace) {
        if (!lockspace.held().isEmpty()) {
            return Optional.of("leases are held: "
                    + names(lockspace.held().values().stream()
                            .flatMap(use -> use.users().stream())
                            .map(note -> note.domainName() + " " + note.disk())
                            .toList()));
        }
        return lockspace.undetermined().isEmpty()
                ? Optional.empty()
                : Optional.of("leases are not known to be given back, for the storage does not answer: "
                        + names(lockspace.undetermined().stream()
                                .map(LeaseName::value)
                                .toList()));
    }

    private static StopAnswer inTheWay(List<DomainView> domains) {
        List<String> names = domains.stream().map(AgentStop::name).toList();
        return refused(
                "these domains have leases: " + names(names)
                        + ". Stop them, or leave them running without a guard: vmguard stop --keep",
                names);
    }

    // ---- both

    private Optional<String> disarm() throws InterruptedException {
        return answer(agent.disarm()).orElse(Optional.of("it does not answer"));
    }

    private static <R> Optional<R> answer(CompletableFuture<R> future) throws InterruptedException {
        try {
            return Optional.of(future.get(ANSWER_LIMIT.toMillis(), TimeUnit.MILLISECONDS));
        } catch (ExecutionException | TimeoutException e) {
            return Optional.empty();
        }
    }

    private static StopAnswer refused(String why, List<String> domains) {
        return new StopAnswer(Outcome.REFUSED, "the agent goes on: " + why, domains);
    }

    private static StopAnswer cannotTell(String why) {
        return new StopAnswer(Outcome.CANNOT_TELL, "the agent goes on: " + why, List.of());
    }

    private static String name(DomainView domain) {
        return domain.name();
    }

    private static String names(List<String> names) {
        String first = names.stream().limit(NAMES).collect(Collectors.joining(", "));
        return names.size() > NAMES ? first + " and " + (names.size() - NAMES) + " more" : first;
    }
}
