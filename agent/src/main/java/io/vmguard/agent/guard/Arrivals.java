/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.migration.TargetSide;
import io.vmguard.agent.migration.TargetSide.Facts;
import io.vmguard.agent.migration.TargetSide.Leases;
import io.vmguard.agent.migration.TargetSide.Qemu;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
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

/** Domains that come from other hosts: prepares for the leases that their hosts hold, and receives them. */
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
    private static final Duration CONFIRM_PATIENCE = Duration.ofSeconds(1);

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final Consumer<Run> prepared;
    private final BiConsumer<Run, StartAnswer> refused;
    private final Consumer<Run> doom;
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
        this.doom = doom;
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
        if (isOver(run, incoming)) {
            return;
        }
        Optional<TransferWord> offer = result instanceof TransferResult.Seen seen
                ? seen.offer().filter(word -> word.from().equals(incoming.giver))
                : Optional.empty();
        // Whoever is not seen alive may have been silent for long, and others may be about to take what it holds.
        boolean alive = isAlive(incoming.giver);
        if (offer.isEmpty() || !alive) {
            if (state.clock.bootNanos() >= untilNanos) {
                refuse(
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
        if (isOver(run, incoming)) {
            transfer.decline(resource);
            return;
        }
        if (!(result instanceof ReceiveResult.Prepared)) {
            if (incoming.granted) {
                incoming.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
                return; // stays refused: claimed again
            }
            String why = result instanceof ReceiveResult.CannotTell cannot
                    ? cannot.why()
                    : result instanceof ReceiveResult.NotOurs notOurs ? notOurs.why() : result.toString();
            refuse(run, new StartAnswer.CannotTell(Sentences.cannotTell(run.label(resource), why)));
            return;
        }
        incoming.refused.remove(resource);
        if (incoming.underWay.isEmpty()) {
            tell(run, incoming, incoming.granted ? TransferWord.State.RUNNING : TransferWord.State.PREPARED);
        }
    }

    private void tell(Run run, Incoming incoming, TransferWord.State word) {
        if (incoming.tellUnderWay || incoming.attempt.isEmpty()) {
            return;
        }
        incoming.tellUnderWay = true;
        transfer.tell(incoming.channel, incoming.attempt.getAsLong(), word)
                .thenAccept(result -> state.loop.tell(() -> onTold(run, incoming, word, result)));
    }

    private void onTold(Run run, Incoming incoming, TransferWord.State word, TransferResult result) {
        incoming.tellUnderWay = false;
        if (isOver(run, incoming)) {
            return;
        }
        boolean told = result instanceof TransferResult.Seen;
        if (word == TransferWord.State.RUNNING) {
            incoming.toldRunning |= told;
        }
        if (incoming.granted) {
            return;
        }
        boolean offered = result instanceof TransferResult.Seen seen
                && seen.offer()
                        .filter(offer -> offer.attempt() == incoming.attempt.getAsLong())
                        .isPresent();
        if (!offered) {
            refuse(run, new StartAnswer.CannotTell(Sentences.notOffered(run.name)));
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

    private void refuse(Run run, StartAnswer no) {
        refused.accept(run, no);
    }

    private boolean isOver(Run run, Incoming incoming) {
        return run.ended || run.incoming != incoming || state.runs.get(run.uuid) != run;
    }

    // ---- after a restart of the agent

    /** What an earlier agent of this host had prepared for: its domain may be there, and run. */
    void adopt() {
        for (Map.Entry<LeaseName, LeaseUse> entry : transfer.receiving().entrySet()) {
            LeaseName resource = entry.getKey();
            LeaseUse use = entry.getValue();
            Optional<UUID> uuid = use.users().stream().findFirst().flatMap(GuardState::uuid);
            if (uuid.isEmpty() || use.giver().isEmpty()) {
                transfer.decline(resource);
                continue;
            }
            Run run = state.runOf(uuid.get(), use.users().get(0).domainName());
            run.claim(resource, use.mode(), use.users().get(0));
            Incoming incoming = run.incoming;
            if (incoming == null) {
                incoming = new Incoming(run.channel(), use.giver().get(), OptionalLong.empty());
                incoming.granted = true;
                run.incoming = incoming;
                LOG.info(
                        "VG-232 {} was on its way from host id {} when an earlier agent ended",
                        run,
                        incoming.giver.hostId());
                findAttempt(run, incoming);
            }
            incoming.receiving.add(resource);
        }
    }

    private void findAttempt(Run run, Incoming incoming) {
        transfer.look(incoming.channel)
                .thenAccept(result -> state.loop.tell(() -> {
                    if (result instanceof TransferResult.Seen seen) {
                        seen.giver()
                                .filter(word -> word.from().equals(incoming.giver))
                                .ifPresent(word -> incoming.attempt = OptionalLong.of(word.attempt()));
                    } else if (!isOver(run, incoming)) {
                        incoming.lookAgain = true;
                    }
                }));
    }

    // ---- until the leases are here

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
        if (incoming.lookAgain) {
            incoming.lookAgain = false;
            findAttempt(run, incoming);
        }
        if (!incoming.granted) {
            Long untilNanos = waiting.get(run);
            if (untilNanos != null && nowNanos >= incoming.nextTryNanos) {
                waiting.remove(run);
                awaitOffer(run, incoming, untilNanos);
            }
            return;
        }
        Facts facts = new Facts(qemu(run, incoming, status), leases(incoming), isSilent(incoming.giver));
        switch (TargetSide.next(facts)) {
            case WAIT -> {}
            case CONFIRM -> confirm(run, incoming, nowNanos);
            case CLAIM -> claim(run, incoming, nowNanos);
            case STOP -> {
                LOG.error(
                        "VG-234 {} came from host id {}, which has gone silent before it gave the leases; stopped",
                        run,
                        incoming.giver.hostId());
                doom.accept(run);
            }
            case DECLINE -> throw new IllegalStateException("a run whose QEMU is gone has ended");
            case CLOSE -> {
                run.incoming = null;
                LOG.info("VG-235 {} has come from host id {}: holds {}", run, incoming.giver.hostId(), run.labels());
            }
        }
    }

    private static Qemu qemu(Run run, Incoming incoming, @Nullable DomainStatus status) {
        if (run.process == null) {
            return Qemu.NONE;
        }
        boolean runs = incoming.resumed
                || (status != null
                        && (status.state().equals("running") || status.job().isEmpty()));
        return runs ? Qemu.RUNNING : Qemu.INCOMING;
    }

    private static Leases leases(Incoming incoming) {
        return incoming.receiving.isEmpty()
                ? Leases.OURS
                : incoming.refused.isEmpty() ? Leases.RECEIVING : Leases.REFUSED;
    }

    private boolean isSilent(Owner giver) {
        return status(giver)
                .map(status -> status == HostStatus.FAIL || status == HostStatus.DEAD)
                .orElse(true);
    }

    private boolean isAlive(Owner giver) {
        return status(giver).filter(HostStatus.LIVE::equals).isPresent();
    }

    private Optional<HostStatus> status(Owner host) {
        return state.lockspace.view().hosts().stream()
                .filter(seen -> seen.owner().equals(host))
                .findFirst()
                .map(HostView::status);
    }

    private void confirm(Run run, Incoming incoming, long nowNanos) {
        if (nowNanos < incoming.nextTryNanos) {
            return;
        }
        if (!incoming.toldRunning) {
            tell(run, incoming, TransferWord.State.RUNNING);
        }
        for (LeaseName resource : List.copyOf(incoming.receiving)) {
            if (incoming.underWay.add(resource)) {
                transfer.confirmReceived(resource, CONFIRM_PATIENCE)
                        .thenAccept(result -> state.loop.tell(() -> onConfirmed(run, incoming, resource, result)));
            }
        }
    }

    private void onConfirmed(Run run, Incoming incoming, LeaseName resource, ReceiveResult result) {
        incoming.underWay.remove(resource);
        if (isOver(run, incoming)) {
            if (result instanceof ReceiveResult.Confirmed) {
                state.lockspace.release(resource); // it was this host's before it could be declined
            }
            return;
        }
        if (result instanceof ReceiveResult.Confirmed confirmed) {
            held(run, incoming, resource, confirmed.lease().lver());
        } else if (result instanceof ReceiveResult.NotOurs notOurs) {
            LOG.warn("VG-236 {}: {} is not given: {}", run, run.label(resource), notOurs.why());
            incoming.refused.add(resource);
        } else {
            incoming.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
        }
    }

    private static void held(Run run, Incoming incoming, LeaseName resource, long lver) {
        run.held.put(resource, true);
        run.lvers.put(resource, lver);
        incoming.receiving.remove(resource);
        incoming.refused.remove(resource);
    }

    /** The giver has let it go otherwise, or this host has forgotten that it waits. */
    private void claim(Run run, Incoming incoming, long nowNanos) {
        if (nowNanos < incoming.nextTryNanos) {
            return;
        }
        for (LeaseName resource : List.copyOf(incoming.refused)) {
            if (incoming.underWay.add(resource)) {
                state.lockspace
                        .acquire(
                                resource,
                                Objects.requireNonNull(run.wanted.get(resource)).note(),
                                LeaseMode.EXCLUSIVE,
                                Duration.ZERO)
                        .thenAccept(result -> state.loop.tell(() -> onClaimed(run, incoming, resource, result)));
            }
        }
    }

    private void onClaimed(Run run, Incoming incoming, LeaseName resource, AcquireResult result) {
        incoming.underWay.remove(resource);
        if (isOver(run, incoming)) {
            if (result instanceof AcquireResult.Acquired) {
                state.lockspace.release(resource);
            }
        } else if (result instanceof AcquireResult.Acquired acquired) {
            held(run, incoming, resource, acquired.lease().lver());
        } else if (result instanceof AcquireResult.HeldBy held && held.owner().equals(incoming.giver)) {
            incoming.underWay.add(resource);
            prepare(run, incoming, resource);
        } else if (result instanceof AcquireResult.HeldBy held) {
            LOG.error(
                    "VG-237 {} runs, and {} has gone to host id {}",
                    run,
                    run.label(resource),
                    held.owner().hostId());
            doom.accept(run);
        } else {
            incoming.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
        }
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
