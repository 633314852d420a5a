/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.agent.domain.DiskSource;
import io.vmguard.agent.domain.DomainStatus;
import io.vmguard.agent.guard.Run.Phase;
import io.vmguard.agent.migration.SourceSide;
import io.vmguard.agent.migration.SourceSide.Facts;
import io.vmguard.agent.migration.SourceSide.Guest;
import io.vmguard.agent.migration.SourceSide.Leases;
import io.vmguard.agent.migration.SourceSide.Qemu;
import io.vmguard.agent.migration.SourceSide.Step;
import io.vmguard.agent.migration.SourceSide.Word;
import io.vmguard.agent.process.GuardedProcess;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/** Domains that go to other hosts: offers their leases, hands them over, and sees to it that what is left here does not run again. */
final class Departures {
    private static final Logger LOG = LogManager.getLogger(DomainGuard.class);

    /** How often the other side's word is read while a migration is under way: one small read. */
    private static final long LOOK_NANOS = Duration.ofMillis(50).toNanos();

    private static final long TRY_AGAIN_NANOS = Duration.ofMillis(200).toNanos();
    /**
     * Ten times what a switch-over takes, and much less than libvirt waits before it resumes the guest here (25 s). It is late at once when an
     * earlier agent has given the leases: how long it has stood still is not known.
     */
    private static final long LATE_NANOS = Duration.ofSeconds(3).toNanos();

    private static final long OVERDUE_NANOS = Duration.ofMinutes(2).toNanos();
    /** For libvirt to end the QEMU of a migration that has succeeded. */
    private static final long END_NANOS = Duration.ofSeconds(2).toNanos();

    private final GuardState state;
    private final LeaseTransfer transfer;
    private final Consumer<Run> doom;
    private final Consumer<Run> kill;

    /**
     * @param doom ends a run through the hypervisor, or by SIGKILL
     * @param kill ends a run by SIGKILL at once
     */
    Departures(GuardState state, LeaseTransfer transfer, Consumer<Run> doom, Consumer<Run> kill) {
        this.state = state;
        this.transfer = transfer;
        this.doom = doom;
        this.kill = kill;
    }

    /** The hypervisor says that it runs. */
    void resumed(Run run) {
        Outgoing outgoing = run.outgoing;
        if (outgoing != null && (!outgoing.given.isEmpty() || !outgoing.underWay.isEmpty())) {
            outgoing.resumed = true;
        }
    }

    /** Does what is due. */
    void act(Run run, @Nullable DomainStatus status, long nowNanos) {
        if (run.doomed || run.halted || run.phase != Phase.RUNNING || !state.member()) {
            return;
        }
        if (run.outgoing == null) {
            if (!state.settings.liveMigration()
                    || status == null
                    || !status.migratesOut()
                    || run.incoming != null
                    || run.isUnexplained()
                    || !run.holds(run.channel())) {
                return;
            }
            run.outgoing = new Outgoing(run.channel());
            LOG.info("VG-220 {} is being migrated to another host", run);
        }
        Outgoing outgoing = run.outgoing;
        if (run.foundStopped && outgoing.inherited) {
            outgoing.stopped = true; // by an earlier agent, and to be let go on like by that one
            run.foundStopped = false;
        }
        look(run, outgoing, nowNanos);
        Facts facts = facts(run, outgoing, status, nowNanos);
        if (facts.qemu() == Qemu.SWITCHED && facts.word() == Word.NONE && facts.late() && !outgoing.saidUnguarded) {
            outgoing.saidUnguarded = true;
            LOG.error("VG-221 {}", Sentences.toUnguarded(run.name));
        }
        if (facts.qemu() == Qemu.STOPPED && facts.late() && facts.word() != Word.RUNNING && !outgoing.saidUnknown) {
            outgoing.saidUnknown = true;
            LOG.error("VG-227 {} stands still: whether it runs on host id {} is not known yet", run, hostId(outgoing));
        }
        Step step = state.settings.observe() ? observed(facts) : SourceSide.next(facts);
        if (step == Step.HALT && halt(run, outgoing)) {
            // What is to be given is given at once: the guest may run there already.
            facts = facts(run, outgoing, status, nowNanos);
            step = SourceSide.next(facts);
        }
        switch (step) {
            case WAIT, RELEASE, HALT -> {}
            case HOLD -> hold(run, outgoing);
            case HAND_OVER -> handOver(run, outgoing, nowNanos);
            case TAKE_BACK -> takeBack(run, outgoing, nowNanos);
            case PROCEED -> {
                proceed(run, outgoing);
                LOG.warn("VG-228 {} goes on here: the migration has come to nothing", run);
            }
            case LET_END -> proceed(run, outgoing);
            case END -> end(run, outgoing, status, nowNanos);
            case KILL -> {
                LOG.error("VG-222 {} must not go on here: it runs on host id {}", run, hostId(outgoing));
                kill.accept(run);
            }
            case CLOSE -> close(run, outgoing, facts);
        }
    }

    /** What is to be done where nothing may be stopped: the leases go with the guest, and come back if it does. */
    private static Step observed(Facts facts) {
        Step step = SourceSide.next(new Facts(
                facts.qemu(),
                facts.leases(),
                facts.word(),
                facts.job(),
                true,
                facts.answers(),
                facts.guest(),
                facts.late(),
                facts.overdue()));
        return switch (step) {
            case HALT -> facts.leases() == Leases.GIVEN ? Step.TAKE_BACK : Step.WAIT;
            case END, KILL -> Step.WAIT;
            default -> step;
        };
    }

    private Facts facts(Run run, Outgoing outgoing, @Nullable DomainStatus status, long nowNanos) {
        Qemu qemu = qemu(outgoing, status);
        boolean still = qemu == Qemu.SWITCHED || qemu == Qemu.STOPPED;
        if (!still) {
            outgoing.stillSinceNanos = 0;
        } else if (outgoing.stillSinceNanos == 0) {
            outgoing.stillSinceNanos = nowNanos;
        }
        long stillNanos = still ? nowNanos - outgoing.stillSinceNanos : 0;
        boolean postCopy = status != null && status.isPostCopy();
        return new Facts(
                qemu,
                leases(outgoing),
                isDead(outgoing.receiver) && outgoing.word != Word.RUNNING ? Word.ENDED : outgoing.word,
                status != null && status.migratesOut(),
                postCopy || (status != null && status.isBeingEnded()),
                answers(run, status),
                outgoing.guest,
                !postCopy && (stillNanos > LATE_NANOS || (still && outgoing.inherited)),
                !postCopy && stillNanos > OVERDUE_NANOS);
    }

    /**
     * An RBD image is locked by the client that wrote to it last, which is part of its QEMU, until another one asks for that. If it does
     * not answer, it is taken for dead after 30 s, and for as long the guest on the other host cannot write.
     */
    private static boolean answers(Run run, @Nullable DomainStatus status) {
        return status != null
                && status.domain().disks().stream()
                        .flatMap(disk -> Stream.concat(Stream.of(disk.source()), disk.chain().dataFiles().stream()))
                        .anyMatch(source -> source instanceof DiskSource.Network network
                                ? network.protocol().equals("rbd")
                                : source instanceof DiskSource.Volume && hasRbd(run));
    }

    /** By what its leases are called: of a volume the XML says only in which pool it is. */
    private static boolean hasRbd(Run run) {
        return run.wanted.values().stream()
                .anyMatch(wanted -> wanted.note().disk().contains("(rbd:"));
    }

    private static Qemu qemu(Outgoing outgoing, @Nullable DomainStatus status) {
        if (outgoing.stopped) {
            return Qemu.STOPPED;
        }
        if (status == null || outgoing.resumed || status.state().equals("running")) {
            return Qemu.ACTIVE;
        }
        // Once its leases have gone, a guest that stands still does so because of that, whatever else is said of it.
        boolean gone = !outgoing.given.isEmpty() || !outgoing.underWay.isEmpty();
        return gone || status.switchedOver() ? Qemu.SWITCHED : Qemu.ACTIVE;
    }

    private static Leases leases(Outgoing outgoing) {
        return !outgoing.underWay.isEmpty()
                ? Leases.GIVING
                : !outgoing.given.isEmpty() ? Leases.GIVEN : outgoing.returned ? Leases.RETURNED : Leases.OURS;
    }

    private boolean isDead(@Nullable Owner receiver) {
        return receiver != null
                && state.lockspace.view().hosts().stream()
                        .anyMatch(host -> host.owner().hostId() == receiver.hostId()
                                && (!host.owner().equals(receiver) || host.status() == HostStatus.DEAD));
    }

    static long hostId(Outgoing outgoing) {
        Owner receiver = outgoing.receiver;
        return receiver == null ? 0 : receiver.hostId();
    }

    // ---- words

    private void look(Run run, Outgoing outgoing, long nowNanos) {
        if (outgoing.lookUnderWay || nowNanos < outgoing.nextLookNanos) {
            return;
        }
        outgoing.lookUnderWay = true;
        outgoing.nextLookNanos = nowNanos + LOOK_NANOS;
        transfer.look(outgoing.channel)
                .thenCompose(result ->
                        outgoing.offered ? CompletableFuture.completedFuture(result) : offer(outgoing, result))
                .thenAccept(result -> state.loop.tell(() -> onLook(run, outgoing, result)));
    }

    /** Offers under a new name, or goes on with what an earlier agent of this membership has offered. On a thread of the engine's. */
    private CompletableFuture<TransferResult> offer(Outgoing outgoing, TransferResult result) {
        if (!(result instanceof TransferResult.Seen seen)) {
            return CompletableFuture.completedFuture(result); // whether an earlier agent has offered is not known
        }
        // Of this very hold: an offer of an earlier one may have been taken long ago.
        long attempt = seen.offer()
                .filter(word -> state.isOurs(word.from()))
                .map(TransferWord::attempt)
                .orElseGet(() -> UUID.randomUUID().getLeastSignificantBits());
        return transfer.tell(outgoing.channel, attempt, TransferWord.State.OFFERED);
    }

    private void onLook(Run run, Outgoing outgoing, TransferResult result) {
        outgoing.lookUnderWay = false;
        if (run.outgoing != outgoing) {
            return;
        }
        if (!(result instanceof TransferResult.Seen seen)) {
            outgoing.word = outgoing.offered ? Word.UNKNOWN : outgoing.word;
            return;
        }
        if (!outgoing.offered) {
            Optional<TransferWord> own = seen.offer().filter(word -> state.isOurs(word.from()));
            if (own.isEmpty()) {
                return;
            }
            outgoing.offered = true;
            outgoing.attempt = own.get().attempt();
        }
        Optional<TransferWord> answer = seen.answer(outgoing.attempt);
        outgoing.word = Outgoing.word(seen, answer);
        answer.ifPresent(word -> outgoing.receiver = word.from());
        if (outgoing.word == Word.RUNNING && outgoing.runningSinceNanos == 0) {
            outgoing.runningSinceNanos = state.clock.bootNanos();
        }
    }

    // ---- steps

    private void handOver(Run run, Outgoing outgoing, long nowNanos) {
        Owner receiver = outgoing.receiver;
        if (receiver == null || nowNanos < outgoing.nextTryNanos) {
            return;
        }
        for (LeaseName resource : exclusive(run)) {
            outgoing.underWay.add(resource);
            transfer.handOver(resource, receiver)
                    .thenAccept(result -> state.loop.tell(() -> onHandedOver(run, outgoing, resource, result)));
        }
    }

    /** The leases that go with it. */
    static List<LeaseName> exclusive(Run run) {
        return run.held.keySet().stream()
                .filter(resource -> run.holds(resource)
                        && !run.following.converting.contains(resource)
                        && Objects.requireNonNull(run.wanted.get(resource)).mode() == LeaseMode.EXCLUSIVE)
                .toList();
    }

    private void onHandedOver(Run run, Outgoing outgoing, LeaseName resource, HandOverResult result) {
        if (run.ended || run.outgoing != outgoing) {
            state.lockspace.release(resource); // given or kept: nobody uses it here any more
            return;
        }
        if (result instanceof HandOverResult.CannotTell cannot) {
            // Stays under way: the engine goes on, and until it knows this run must stand still.
            LOG.warn("VG-223 {}: whether {} is given cannot be told yet: {}", run, run.label(resource), cannot.why());
            return;
        }
        outgoing.underWay.remove(resource);
        if (result instanceof HandOverResult.Kept kept) {
            LOG.warn("VG-224 {}: {} is not given yet: {}", run, run.label(resource), kept.why());
            outgoing.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
            return;
        }
        run.held.remove(resource);
        outgoing.given.add(resource);
        if (result instanceof HandOverResult.NotOurs notOurs) {
            LOG.error(
                    "VG-225 {}: {} was not ours any more when it was to be given: {}",
                    run,
                    run.label(resource),
                    notOurs.why());
        } else if (outgoing.underWay.isEmpty()) {
            LOG.info("VG-226 {} goes to host id {}: its leases are given", run, hostId(outgoing));
        }
    }

    /** What is to be given is given when it is held: a millisecond later. */
    private void hold(Run run, Outgoing outgoing) {
        GuardedProcess process = run.process;
        if (process != null) {
            outgoing.guest = Guest.BEING_HELD;
            process.holdGuest(held -> state.loop.tell(() -> onHeld(run, outgoing, held)));
        }
    }

    private static void onHeld(Run run, Outgoing outgoing, boolean held) {
        if (outgoing.guest == Guest.BEING_HELD) {
            outgoing.guest = held ? Guest.HELD : Guest.UNHOLDABLE;
            if (held) {
                LOG.info(
                        "VG-240 {} has been sent to another host: its virtual processors are held here until libvirt ends it",
                        run);
            }
        }
    }

    /** @return whether it can be, and is */
    private static boolean halt(Run run, Outgoing outgoing) {
        GuardedProcess process = run.process;
        if (process == null) {
            return false;
        }
        process.stop();
        outgoing.stopped = true;
        outgoing.resumed = false;
        LOG.info("VG-239 {} has been sent to another host: it is stopped here (SIGSTOP) until libvirt ends it", run);
        return true;
    }

    private void takeBack(Run run, Outgoing outgoing, long nowNanos) {
        if (nowNanos < outgoing.nextTryNanos) {
            return;
        }
        for (LeaseName resource : List.copyOf(outgoing.given)) {
            if (outgoing.underWay.add(resource)) {
                boolean given = !outgoing.inherited || transfer.given().contains(resource);
                CompletableFuture<AcquireResult> asked = given
                        ? transfer.takeBack(resource)
                        : state.lockspace.acquire(
                                resource,
                                Objects.requireNonNull(run.wanted.get(resource)).note(),
                                LeaseMode.EXCLUSIVE,
                                Duration.ZERO);
                asked.thenAccept(result -> state.loop.tell(() -> onTakenBack(run, outgoing, resource, result)));
            }
        }
    }

    private void onTakenBack(Run run, Outgoing outgoing, LeaseName resource, AcquireResult result) {
        if (run.ended || run.outgoing != outgoing) {
            if (result instanceof AcquireResult.Acquired) {
                state.lockspace.release(resource);
            }
            return;
        }
        outgoing.underWay.remove(resource);
        if (result instanceof AcquireResult.Acquired acquired) {
            run.held.put(resource, true);
            run.lvers.put(resource, acquired.lease().lver());
            outgoing.given.remove(resource);
            outgoing.returned |= outgoing.given.isEmpty();
        } else if (result instanceof AcquireResult.HeldBy held
                && isThird(outgoing, held)
                && !state.settings.observe()) {
            LOG.error(
                    "VG-238 {} must not go on here: {} has gone to host id {} while it was on its way",
                    run,
                    run.label(resource),
                    held.owner().hostId());
            kill.accept(run);
        } else {
            outgoing.nextTryNanos = state.clock.bootNanos() + TRY_AGAIN_NANOS;
        }
    }

    /**
     * Neither the host that it was given to nor this one: the disk is not any more what the guest remembers, and will not be when the lease can
     * be had again.
     */
    private boolean isThird(Outgoing outgoing, AcquireResult.HeldBy held) {
        return !held.shared() && !held.owner().equals(outgoing.receiver) && !state.isOurs(held.owner());
    }

    private static void proceed(Run run, Outgoing outgoing) {
        GuardedProcess process = run.process;
        if (process != null) {
            outgoing.letGuestGo(process);
            process.proceed();
            outgoing.stopped = false;
            outgoing.resumed = false;
        }
    }

    private void end(Run run, Outgoing outgoing, @Nullable DomainStatus status, long nowNanos) {
        boolean fetched = status != null && status.isPostCopy() && status.migratesOut();
        if (!fetched && nowNanos - outgoing.runningSinceNanos > END_NANOS) {
            LOG.error(
                    "VG-229 {} runs on host id {}, and libvirt has not ended it here: destroyed",
                    run,
                    hostId(outgoing));
            // One that is stopped can end in order only if it is let go on, and libvirt may have told it to run.
            (outgoing.stopped ? kill : doom).accept(run);
        }
    }

    private void close(Run run, Outgoing outgoing, Facts facts) {
        if (!outgoing.offered && outgoing.lookUnderWay) {
            return;
        }
        outgoing.letGuestGo(run.process);
        run.outgoing = null;
        state.listWanted |= !run.refused.isEmpty(); // what the other side has taken ahead can be had again
        if (outgoing.offered) {
            transfer.tell(outgoing.channel, outgoing.attempt, TransferWord.State.WITHDRAWN);
        }
        LOG.info("VG-230 the migration of {} to another host has ended without it ({})", run, facts.word());
    }
}
