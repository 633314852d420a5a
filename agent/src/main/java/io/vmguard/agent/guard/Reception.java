/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.migration.TargetSide;
import io.vmguard.agent.migration.TargetSide.Facts;
import io.vmguard.agent.migration.TargetSide.Leases;
import io.vmguard.agent.migration.TargetSide.Qemu;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * A domain that comes from another host, from the grant of its start until the leases that its host hands over are here: does what {@link
 * TargetSide} says.
 */
final class Reception {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);
    private static final long TRY_AGAIN_NANOS = Duration.ofMillis(100).toNanos();
    private static final Duration CONFIRM_PATIENCE = Duration.ofSeconds(1);

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final Consumer<Run> doom;

    /** @param doom stops a run that must not go on */
    Reception(GuardState state, LeaseTransfer transfer, Consumer<Run> doom) {
        this.state = state;
        this.transfer = transfer;
        this.doom = doom;
    }

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
                    } else if (!incoming.isOver(run, state)) {
                        incoming.lookAgain = true;
                    }
                }));
    }

    /** Does what is due. */
    void act(Run run, Incoming incoming, @Nullable DomainStatus status, long nowNanos) {
        if (incoming.lookAgain) {
            incoming.lookAgain = false;
            findAttempt(run, incoming);
        }
        boolean silent = !state.settings.observe() && isSilent(incoming.giver);
        Facts facts = new Facts(qemu(run, incoming, status), leases(incoming), silent);
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
                        && (status.state().equals("running") || (status.job().isEmpty() && !status.awaitsGuest())));
        return runs ? Qemu.RUNNING : Qemu.INCOMING;
    }

    /** Whether its guest has come, and may run here. */
    static boolean hasGuest(Run run, Incoming incoming, @Nullable DomainStatus status) {
        return qemu(run, incoming, status) == Qemu.RUNNING;
    }

    private static Leases leases(Incoming incoming) {
        return incoming.receiving.isEmpty()
                ? Leases.OURS
                : incoming.refused.isEmpty() ? Leases.RECEIVING : Leases.REFUSED;
    }

    private boolean isSilent(Owner giver) {
        return state.status(giver)
                .map(status -> status == HostStatus.FAIL || status == HostStatus.DEAD)
                .orElse(true);
    }

    private void confirm(Run run, Incoming incoming, long nowNanos) {
        if (nowNanos < incoming.nextTryNanos) {
            return;
        }
        if (!incoming.toldRunning) {
            tellRunning(run, incoming);
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
        if (incoming.isOver(run, state)) {
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

    private void tellRunning(Run run, Incoming incoming) {
        if (incoming.tellUnderWay || incoming.attempt.isEmpty()) {
            return;
        }
        incoming.tellUnderWay = true;
        transfer.tell(incoming.channel, incoming.attempt.getAsLong(), TransferWord.State.RUNNING)
                .thenAccept(result -> state.loop.tell(() -> {
                    incoming.tellUnderWay = false;
                    incoming.toldRunning |= result instanceof TransferResult.Seen && !incoming.isOver(run, state);
                }));
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
        if (incoming.isOver(run, state)) {
            if (result instanceof AcquireResult.Acquired) {
                state.lockspace.release(resource);
            }
        } else if (result instanceof AcquireResult.Acquired acquired) {
            held(run, incoming, resource, acquired.lease().lver());
        } else if (result instanceof AcquireResult.HeldBy held && held.owner().equals(incoming.giver)) {
            incoming.underWay.add(resource);
            prepareAgain(run, incoming, resource);
        } else if (result instanceof AcquireResult.HeldBy held && !state.settings.observe()) {
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

    /** The giver has it all the same: this host has forgotten that it waits. */
    private void prepareAgain(Run run, Incoming incoming, LeaseName resource) {
        transfer.prepareToReceive(
                        resource,
                        Objects.requireNonNull(run.wanted.get(resource)).note(),
                        incoming.giver)
                .thenAccept(result -> state.loop.tell(() -> onPreparedAgain(run, incoming, resource, result)));
    }

    private void onPreparedAgain(Run run, Incoming incoming, LeaseName resource, ReceiveResult result) {
        incoming.underWay.remove(resource);
        if (incoming.isOver(run, state)) {
            transfer.decline(resource);
        } else if (result instanceof ReceiveResult.Prepared) {
            incoming.refused.remove(resource);
            if (incoming.underWay.isEmpty()) {
                tellRunning(run, incoming);
            }
        } else {
            incoming.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS; // stays refused: claimed again
        }
    }
}
