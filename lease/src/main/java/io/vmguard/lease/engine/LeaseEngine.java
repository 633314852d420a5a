/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUpkeep;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.RemoveResult;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** The lease engine on a real machine: what others may ask of {@link MembershipLife} and of the membership that it has now. */
public final class LeaseEngine implements Lockspace, LeaseTransfer, LeaseUpkeep {
    private final EngineSettings settings;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final MembershipLife life;

    private LeaseEngine(EngineSettings settings, LeaseStore store, LeaseClock clock, MembershipLife life) {
        this.settings = settings;
        this.store = store;
        this.clock = clock;
        this.life = life;
    }

    /**
     * Opens an engine on a lease directory or device. Nothing is joined yet.
     *
     * @throws IOException if the local directories cannot be used
     * @throws IllegalStateException if another agent of this machine runs on this lockspace, through the same runtime directory. One
     *     that was killed and hangs in storage I/O does not count: its membership is taken over
     */
    public static LeaseEngine open(
            EngineSettings settings, Path leasePlace, RandomGenerator random, LockspaceListener listener)
            throws IOException {
        LinuxClock clock = new LinuxClock();
        return open(settings, new LeaseLocation(leasePlace, clock, random), clock, random, listener, LockHolder::look);
    }

    /** The same on any store, and with any view of who else is there. */
    static LeaseEngine open(
            EngineSettings settings,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            LockspaceListener listener,
            LockHolder.Looks looks)
            throws IOException {
        Files.createDirectories(settings.runtimeDir());
        Files.createDirectories(settings.stateDir());
        MembershipLife life = new MembershipLife(settings, store, clock, random, listener, looks);
        if (life.askForSeat() instanceof Seat.Answer.Refused refused) {
            throw new IllegalStateException(refused.why());
        }
        return new LeaseEngine(settings, store, clock, life);
    }

    @Override
    public void join() {
        life.begin();
    }

    private @Nullable Resources table() {
        Member current = life.entered();
        return current == null ? null : current.table();
    }

    @Override
    public boolean member() {
        return life.isMember();
    }

    @Override
    public CompletableFuture<AcquireResult> acquire(
            LeaseName resource, LeaseNote user, LeaseMode mode, Duration patience) {
        return asMember(
                member -> member.table().acquire(resource, user, mode, patience),
                why -> new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, why, false));
    }

    @Override
    public CompletableFuture<AcquireResult> convert(LeaseName resource, LeaseNote user, LeaseMode mode) {
        return asMember(
                member -> member.conversions().convert(resource, user, mode),
                why -> new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, why, false));
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource) {
        return asMember(
                member -> member.table().release(resource, null),
                why -> new ReleaseResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource, LeaseNote user) {
        return asMember(
                member -> member.table().release(resource, user),
                why -> new ReleaseResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<Boolean> writeDown(LeaseName resource) {
        return asMember(member -> member.table().writeDown(resource), why -> false);
    }

    @Override
    public CompletableFuture<HandOverResult> handOver(LeaseName resource, Owner receiver) {
        return asMember(
                member -> member.transfers().handOver(resource, receiver),
                why -> new HandOverResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<AcquireResult> takeBack(LeaseName resource) {
        return asMember(
                member -> member.transfers().takeBack(resource),
                why -> new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, why, false));
    }

    @Override
    public CompletableFuture<ReceiveResult> prepareToReceive(LeaseName resource, LeaseNote user, Owner giver) {
        return asMember(
                member -> member.transfers().prepare(resource, user, giver),
                why -> new ReceiveResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<ReceiveResult> confirmReceived(LeaseName resource, Duration patience) {
        return asMember(
                member -> member.transfers().confirm(resource, patience),
                why -> new ReceiveResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<ReleaseResult> decline(LeaseName resource) {
        return asMember(
                member -> member.transfers().decline(resource),
                why -> new ReleaseResult.NotOurs(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<TransferResult> look(LeaseName resource) {
        return asMember(
                member -> member.words().look(resource),
                why -> new TransferResult.CannotTell(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<TransferResult> tell(LeaseName resource, long attempt, TransferWord.State state) {
        return asMember(
                member -> member.words().tell(resource, attempt, state),
                why -> new TransferResult.CannotTell(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<RequestResult> request(LeaseName resource, RequestMode mode) {
        return asMember(
                member -> member.requests().request(resource, mode),
                why -> new RequestResult.Refused(LeaseFault.NO_MEMBERSHIP, why));
    }

    @Override
    public CompletableFuture<RemoveResult> remove(LeaseName resource) {
        return asMember(
                member -> member.requests().remove(resource),
                why -> new RemoveResult.Refused(LeaseFault.NO_MEMBERSHIP, why));
    }

    private <R> CompletableFuture<R> asMember(
            Function<Member, CompletableFuture<R>> operation, Function<String, R> noMember) {
        Member current = life.entered();
        return current == null || !member()
                ? CompletableFuture.completedFuture(noMember.apply(life.detail()))
                : operation.apply(current);
    }

    @Override
    public Map<LeaseName, LeaseUse> receiving() {
        Resources table = table();
        return table == null ? Map.of() : table.receiving();
    }

    @Override
    public Set<LeaseName> given() {
        Resources table = table();
        return table == null ? Set.of() : table.given();
    }

    @Override
    public Set<LeaseName> carriedOver() {
        Resources table = table();
        return table == null ? Set.of() : table.carriedOver();
    }

    @Override
    public void usersGone() {
        life.usersGone();
    }

    @Override
    public LockspaceView view() {
        LockspaceView.State state = life.state();
        Membership current = life.membership();
        Resources table = table();
        Optional<Membership> joined =
                state == LockspaceView.State.MEMBER ? Optional.ofNullable(current) : Optional.empty();
        long nowNanos = clock.bootNanos();
        return new LockspaceView(
                settings.lockspace(),
                store.where(),
                state,
                joined.map(m -> m.owner),
                settings.identity().hostName(settings.timeouts()),
                settings.timeouts(),
                joined.map(m -> Duration.ofNanos(m.ageNanos())),
                joined.map(m -> Duration.ofNanos(m.deadlineNanos() - nowNanos)),
                life.detail(),
                current == null ? List.of() : HostWatch.views(current, nowNanos),
                table == null ? Map.of() : table.held(),
                table == null ? List.of() : table.undetermined());
    }

    /**
     * This process is about to end, and somebody has chosen that the users of its leases run on. A successor that comes when the leases
     * have expired does not stop them then. Without this word they must be proved gone first, as after a crash.
     *
     * @throws IOException with the reason, if the word cannot be left: nothing has changed then
     */
    public void keepUsers() throws IOException {
        life.keepUsers();
    }

    /** Ends. Without a lease in use the membership is given back; otherwise it is left to a successor, or expires. */
    @Override
    public void close() {
        life.close();
    }

    /** Whether it is certain that no other agent of this lockspace acts on this machine. Until then this one does nothing. */
    public boolean isOnlyAgent() {
        return life.isSeated();
    }

    /** The rules that every delay follows from. */
    public Timeouts timeouts() {
        return settings.timeouts();
    }
}
