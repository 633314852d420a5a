/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Domains that come from other hosts: waits for the offer of the leases that their hosts hold, and prepares for them, so that the start
 * can be granted. What comes then is {@link Reception}.
 */
final class Arrivals {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** From libvirt's {@code migrate} hook to its {@code prepare} of the same domain it takes some 30 ms. */
    private static final long EXPECTED_NANOS = Duration.ofSeconds(60).toNanos();

    /** The other host's agent sees the migration in libvirt's status file, and offers the leases then. */
    private static final long OFFER_NANOS = Duration.ofSeconds(5).toNanos();

    /**
     * An agent that has just begun to look has seen its peers once each, and cannot tell whether they live. It may take two of a peer's
     * renewals until it can; libvirt's hook waits for 35 s.
     */
    private static final long SEEN_ALIVE_NANOS = Duration.ofSeconds(25).toNanos();

    private static final long TRY_AGAIN_NANOS = Duration.ofMillis(100).toNanos();

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final Consumer<Run> prepared;
    private final BiConsumer<Run, StartAnswer> refused;
    private final Reception reception;
    private final Map<UUID, Long> expectedUntilNanos = new HashMap<>();
    /** Starts for which there is no offer yet, and until when one is waited for. */
    private final Map<Run, Long> waiting = new HashMap<>();

    /**
     * @param prepared called when all leases that a run cannot acquire are prepared for
     * @param refused called with the reason if they cannot be
     * @param doom stops a run that must not go on
     */
    Arrivals(
            GuardState state,
            LeaseTransfer transfer,
            Consumer<Run> prepared,
            BiConsumer<Run, StartAnswer> refused,
            Consumer<Run> doom) {
        this.state = state;
        this.transfer = transfer;
        this.prepared = prepared;
        this.refused = refused;
        this.reception = new Reception(state, transfer, doom);
    }

    // ---- before the start is granted

    /** libvirt is about to start this domain for an incoming migration. */
    void expect(UUID uuid) {
        long nowNanos = state.clock.bootNanos();
        expectedUntilNanos.values().removeIf(until -> until < nowNanos);
        expectedUntilNanos.put(uuid, nowNanos + EXPECTED_NANOS);
    }

    /** Whether a start that begins now is that. True once. */
    boolean isExpected(UUID uuid) {
        Long until = expectedUntilNanos.remove(uuid);
        return until != null && state.clock.bootNanos() <= until;
    }

    /**
     * Prepares for what this run could not acquire, if one other host holds all of it for this very domain and says that it migrates it.
     *
     * @return false if that cannot be: refused for the reasons that are known already
     */
    boolean prepare(Run run) {
        LeaseName channel = run.channel();
        Set<Owner> givers = new HashSet<>();
        for (AcquireResult result : run.refused.values()) {
            if (!(result instanceof AcquireResult.HeldBy held) || held.shared() || !isFor(run, held)) {
                return false;
            }
            givers.add(held.owner());
        }
        boolean exclusive = run.refused.keySet().stream()
                .allMatch(resource ->
                        Objects.requireNonNull(run.wanted.get(resource)).mode() == LeaseMode.EXCLUSIVE);
        if (givers.size() != 1 || !exclusive || !run.refused.containsKey(channel)) {
            return false;
        }
        Incoming incoming = new Incoming(channel, givers.iterator().next(), OptionalLong.empty());
        run.incoming = incoming;
        long patienceNanos = isAlive(incoming.giver) ? OFFER_NANOS : SEEN_ALIVE_NANOS;
        awaitOffer(run, incoming, state.clock.bootNanos() + patienceNanos);
        return true;
    }

    private boolean isFor(Run run, AcquireResult.HeldBy held) {
        boolean here = state.lockspace.view().owner().map(held.owner()::equals).orElse(true);
        return !here
                && (held.status() == HostStatus.LIVE || held.status() == HostStatus.UNKNOWN)
                && held.note().flatMap(GuardState::uuid).map(run.uuid::equals).orElse(false);
    }

    private void awaitOffer(Run run, Incoming incoming, long untilNanos) {
        transfer.look(incoming.channel)
                .thenAccept(result -> state.loop.tell(() -> onOffer(run, incoming, result, untilNanos)));
    }

    private void onOffer(Run run, Incoming incoming, TransferResult result, long untilNanos) {
        if (incoming.isOver(run, state)) {
            return;
        }
        Optional<TransferWord> offer = result instanceof TransferResult.Seen seen
                ? seen.offer().filter(word -> word.from().equals(incoming.giver))
                : Optional.empty();
        // Whoever is not seen alive may have been silent for long, and others may be about to take what it holds.
        boolean alive = isAlive(incoming.giver);
        if (offer.isEmpty() || !alive) {
            if (state.clock.bootNanos() >= untilNanos) {
                refused.accept(
                        run,
                        new StartAnswer.Refused(
                                alive ? Sentences.notOffered(run.name) : Sentences.giverNotSeenAlive(run.name)));
                return;
            }
            incoming.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
            waiting.put(run, untilNanos);
            return;
        }
        incoming.attempt = OptionalLong.of(offer.get().attempt());
        for (LeaseName resource : List.copyOf(run.refused.keySet())) {
            incoming.receiving.add(resource);
            incoming.underWay.add(resource);
        }
        for (LeaseName resource : List.copyOf(incoming.receiving)) {
            prepare(run, incoming, resource);
        }
    }

    private void prepare(Run run, Incoming incoming, LeaseName resource) {
        transfer.prepareToReceive(
                        resource,
                        Objects.requireNonNull(run.wanted.get(resource)).note(),
                        incoming.giver)
                .thenAccept(result -> state.loop.tell(() -> onPrepared(run, incoming, resource, result)));
    }

    private void onPrepared(Run run, Incoming incoming, LeaseName resource, ReceiveResult result) {
        incoming.underWay.remove(resource);
        if (incoming.isOver(run, state)) {
            transfer.decline(resource);
            return;
        }
        if (!(result instanceof ReceiveResult.Prepared)) {
            String why = result instanceof ReceiveResult.CannotTell cannot
                    ? cannot.why()
                    : result instanceof ReceiveResult.NotOurs notOurs ? notOurs.why() : result.toString();
            refused.accept(run, new StartAnswer.CannotTell(Sentences.cannotTell(run.label(resource), why)));
            return;
        }
        if (incoming.underWay.isEmpty()) {
            transfer.tell(incoming.channel, incoming.attempt.getAsLong(), TransferWord.State.PREPARED)
                    .thenAccept(told -> state.loop.tell(() -> onTold(run, incoming, told)));
        }
    }

    private void onTold(Run run, Incoming incoming, TransferResult result) {
        if (incoming.isOver(run, state)) {
            return;
        }
        boolean offered = result instanceof TransferResult.Seen seen
                && seen.offer()
                        .filter(offer -> offer.attempt() == incoming.attempt.getAsLong())
                        .isPresent();
        if (!offered) {
            refused.accept(run, new StartAnswer.CannotTell(Sentences.notOffered(run.name)));
            return;
        }
        incoming.granted = true;
        run.refused.clear();
        LOG.info(
                "VG-233 {} comes from host id {}: prepared for {} leases",
                run,
                incoming.giver.hostId(),
                incoming.receiving.size());
        prepared.accept(run);
    }

    // ---- when the start has been granted

    /** What an earlier agent of this host had prepared for. */
    void adopt() {
        reception.adopt();
    }

    /** The hypervisor says that it runs. */
    void resumed(Run run) {
        if (run.incoming != null) {
            run.incoming.resumed = true;
        }
    }

    /** Does what is due. */
    void act(Run run, @Nullable DomainStatus status, long nowNanos) {
        Incoming incoming = run.incoming;
        if (incoming == null || run.doomed || run.halted) {
            return;
        }
        if (incoming.granted) {
            reception.act(run, incoming, status, nowNanos);
            return;
        }
        Long untilNanos = waiting.get(run);
        if (untilNanos != null && nowNanos >= incoming.nextTryNanos) {
            waiting.remove(run);
            awaitOffer(run, incoming, untilNanos);
        }
    }

    private boolean isAlive(Owner giver) {
        return state.status(giver).filter(HostStatus.LIVE::equals).isPresent();
    }

    /** The run has ended, or was never granted: nothing of it is to be given to this host any more. */
    void ended(Run run) {
        waiting.remove(run);
        Incoming incoming = run.incoming;
        if (incoming == null) {
            return;
        }
        run.incoming = null;
        incoming.receiving.forEach(transfer::decline);
        incoming.attempt.ifPresent(attempt -> transfer.tell(incoming.channel, attempt, TransferWord.State.ENDED));
    }
}
