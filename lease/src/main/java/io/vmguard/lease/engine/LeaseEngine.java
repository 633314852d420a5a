/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
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
import io.vmguard.lease.Renewal;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.RequestResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.delta.Callers;
import io.vmguard.lease.delta.DeltaLeave;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.LinuxClock;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.location.LeaseLocation;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The lease engine on a real machine.
 *
 * <pre>
 * thread "membership"   join, renew, leave: blocks in lease I/O and nowhere else
 * thread "deadline"     asks several times a second whether the membership is in time; does no I/O, takes no lock
 * threads "resource"    one operation each; block in lease I/O
 * thread "remember"     writes the last record to the local disk, for the next boot
 * </pre>
 *
 * A stall of storage stops the first and third; the second still says "lost" in time.
 */
public final class LeaseEngine implements Lockspace, LeaseTransfer, LeaseUpkeep {
    private static final Duration DEADLINE_TICK = Duration.ofMillis(100);
    /** While the last renewal is so young that only a suspended machine could make it late by then. */
    private static final Duration EASY_TICK = Duration.ofMillis(250);

    private static final Duration RETRY_RENEWAL = Duration.ofSeconds(1);
    private static final Duration RETRY_JOIN = Duration.ofSeconds(2);
    /** For what is asked of this machine and costs next to nothing. */
    private static final Duration ASK_AGAIN = Duration.ofMillis(200);
    /**
     * Operations at a time; more of them wait, in a queue that is bounded by the leases of a host. Each has an area of 1 MiB or two in
     * memory, and reads so much that more of them at a time would not be faster.
     */
    private static final int MAX_OPERATIONS = 16;

    /** For all that may hang when it ends; whoever ends it waits a little longer. */
    private static final Duration CLOSE_LIMIT = Duration.ofSeconds(3);

    private final EngineSettings settings;
    private final LeaseStore store;
    private final LeaseClock clock;
    private final RandomGenerator random;
    private final LockspaceListener listener;
    private final LockHolder.Looks looks;
    private final CountDownLatch closing = new CountDownLatch(1);
    private final BlockingDriver driver = new BlockingDriver(closing);
    private final Semaphore usersGone = new Semaphore(0);
    /** Guards the step into a membership and out of it against each other; never held across I/O or a listener. */
    private final Object transition = new Object();

    private final Joiner joiner;
    private final ExecutorService operations;
    private final ScheduledExecutorService timer;
    private final ExecutorService remember;
    private final Thread membershipThread;

    private volatile LockspaceView.State state = LockspaceView.State.JOINING;
    private volatile String detail = "joining";
    private volatile @Nullable Membership membership;
    private volatile @Nullable Member entered;
    private volatile boolean saidLate;
    /** The right to be the agent here; taken at the start, or waited for. */
    private volatile @Nullable Seat seat;

    private volatile Inheritance inheritance = Inheritance.none();

    // Of the thread that renews.
    private final Map<Long, HostStatus> statuses = new HashMap<>();
    private Callers callers;

    /** What hangs on one membership. */
    private record Member(
            Operations io, Resources table, Transfers transfers, TransferWords words, Requests requests) {}

    private LeaseEngine(
            EngineSettings settings,
            LeaseStore store,
            LeaseClock clock,
            RandomGenerator random,
            LockspaceListener listener,
            LockHolder.Looks looks) {
        this.settings = settings;
        this.store = new JournaledStore(store, this::journal);
        this.clock = clock;
        this.random = random;
        this.listener = listener;
        this.looks = looks;
        this.joiner = new Joiner(settings, this.store, clock, random, driver, this::journal);
        ThreadPoolExecutor pool = new ThreadPoolExecutor(
                MAX_OPERATIONS,
                MAX_OPERATIONS,
                30,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                daemon("vmguard-resource"));
        pool.allowCoreThreadTimeOut(true);
        this.operations = pool;
        this.timer = Executors.newSingleThreadScheduledExecutor(daemon("vmguard-deadline"));
        this.remember = new ThreadPoolExecutor(
                0,
                1,
                30,
                TimeUnit.SECONDS,
                new java.util.concurrent.ArrayBlockingQueue<>(1),
                daemon("vmguard-remember"),
                new ThreadPoolExecutor.DiscardOldestPolicy());
        this.callers = new Callers(LeaseLayout.SECTOR_512, settings.timeouts(), 0);
        this.membershipThread = daemon("vmguard-membership").newThread(this::runMembership);
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
        LeaseEngine engine = new LeaseEngine(settings, store, clock, random, listener, looks);
        if (engine.askForSeat() instanceof Seat.Answer.Refused refused) {
            throw new IllegalStateException(refused.why());
        }
        return engine;
    }

    @Override
    public void join() {
        watchAfter(DEADLINE_TICK);
        membershipThread.start();
    }

    // ---- membership thread

    private void runMembership() {
        try {
            Seat own = awaitSeat();
            boolean gone = false;
            while (true) {
                Joiner.Result result = attemptUntilDecided(own, gone);
                if (result instanceof Joiner.Result.UsersFirst first) {
                    loseInheritance(first.users());
                    awaitUsersGone();
                    gone = true;
                    continue;
                }
                Joiner.Result.Member member = (Joiner.Result.Member) result;
                boolean entered = enter(own, member);
                if (entered) {
                    renewUntilLost(member.membership());
                } else if (!member.users().isEmpty()) {
                    loseInheritance(member.users());
                }
                if (entered || !member.users().isEmpty()) {
                    awaitUsersGone();
                }
                awaitIdle();
                member.membership().file.close();
                gone = true;
            }
        } catch (BlockingDriver.Closing e) {
            leave();
        } catch (RuntimeException | Error e) {
            // A bug here must end in fencing, not in a thread that is silently missing.
            Membership current = membership;
            if (current != null) {
                loseMembership(current, LeaseFault.IO, "internal error: " + e);
            }
            throw e;
        }
    }

    /** Asks for a seat, and takes over what the predecessors have left. */
    private Seat.Answer askForSeat() throws IOException {
        Seat.Answer answer = Seat.ask(
                settings.runtimeDir(), settings.lockspace(), settings.identity().bootId(), looks);
        if (answer instanceof Seat.Answer.Taken taken) {
            try {
                inherit(taken.seat());
                seat = taken.seat();
            } finally {
                if (seat == null) {
                    taken.seat().close();
                }
            }
        }
        return answer;
    }

    private void inherit(Seat taken) throws IOException {
        Optional<LocalRecord> before = joiner.before();
        Optional<IoJournal.Renewal> renewal =
                before.flatMap(record -> taken.predecessor().lastRenewal(record.owner()));
        // This process may end before it has renewed itself.
        renewal.ifPresent(taken.journal()::renewed);
        inheritance = Inheritance.of(before, renewal, settings.timeouts(), clock.bootNanos());
    }

    private Seat awaitSeat() throws BlockingDriver.Closing {
        String said = "";
        boolean first = true;
        Seat taken = seat;
        while (taken == null) {
            String why = whyNoSeat();
            if (!why.isEmpty()) {
                detail = why;
                // Right after a kill it takes some milliseconds until it is seen: nothing to tell people.
                if (!first && !said.equals(why)) {
                    listener.joinFailed(LeaseFault.NO_MEMBERSHIP, why);
                    said = why;
                }
                first = false;
                driver.pause(ASK_AGAIN);
            }
            taken = seat;
        }
        awaitPredecessorGone(taken.predecessor());
        return taken;
    }

    /** Asks once more. Empty if it was given. */
    private String whyNoSeat() {
        try {
            Seat.Answer answer = askForSeat();
            if (answer instanceof Seat.Answer.Refused refused) {
                return refused.why();
            }
            return answer instanceof Seat.Answer.NotYet notYet ? notYet.why() : "";
        } catch (IOException | IllegalStateException e) {
            return "the runtime directory cannot be used: " + e.getMessage();
        }
    }

    /** On a thread of its own, and only if there is somebody to wait for. */
    private void awaitPredecessorGone(Predecessor predecessor) {
        if (predecessor.gone().isDone()) {
            return;
        }
        daemon("vmguard-predecessor")
                .newThread(() -> {
                    try {
                        while (!predecessor.gone().isDone()) {
                            driver.pause(ASK_AGAIN);
                            predecessor.look();
                        }
                    } catch (BlockingDriver.Closing e) {
                        // Whoever comes next waits for it.
                    }
                })
                .start();
    }

    private IoJournal journal() {
        Seat taken = seat;
        if (taken == null) {
            throw new IllegalStateException("no I/O without the right to it");
        }
        return taken.journal();
    }

    private void loseInheritance(Map<LeaseName, LeaseUse> users) {
        if (inheritance.lose()) {
            listener.previousLifeLost(users);
        }
    }

    private Joiner.Result attemptUntilDecided(Seat own, boolean gone) throws BlockingDriver.Closing {
        state = LockspaceView.State.JOINING;
        detail = "joining";
        String said = "";
        while (true) {
            Joiner.Result result = joiner.attempt(own, inheritance, gone);
            if (!(result instanceof Joiner.Result.Failed failed)) {
                return result;
            }
            if (inheritance.isLost() && !gone) {
                return new Joiner.Result.UsersFirst(inheritance.users());
            }
            detail = failed.why();
            if (!said.equals(failed.why())) {
                said = failed.why();
                listener.joinFailed(failed.fault(), failed.why());
            }
            driver.pause(own.predecessor().gone().isDone() ? RETRY_JOIN : ASK_AGAIN);
        }
    }

    /** One renewal at once: it proves that the claim stands and gives the first look at all other hosts. */
    private boolean enter(Seat own, Joiner.Result.Member member) throws BlockingDriver.Closing {
        Membership joined = member.membership();
        if (member.remains().renewal()) {
            joined.sharedUntil(own.predecessor().gone());
        }
        inheritance.goodUntil(joined.deadlineNanos());
        noteRenewal(own, joined);
        AreaNaming naming = new AreaNaming(joined, store, clock, random, driver, operations, timer);
        Operations io = new Operations(joined, store, clock, random, driver, naming);
        Resources table = new Resources(joined, io, clock, operations, timer, joiner);
        Member entering = new Member(
                io,
                table,
                new Transfers(joined, table, io, clock, operations, timer),
                new TransferWords(io, operations),
                new Requests(joined, table, io, operations));
        callers = new Callers(joined.layout, joined.timeouts, joined.owner.hostId());
        statuses.clear();
        saidLate = false;
        membership = joined;
        if (!renewOnce(joined)) {
            return false;
        }
        inheritance.goodUntil(joined.deadlineNanos());
        synchronized (transition) {
            if (!joined.inTime() || !inheritance.settle()) {
                return false;
            }
            if (member.resumed()) {
                table.adopt(
                        member.users(),
                        member.remains().resources(),
                        own.predecessor().gone());
                // A predecessor may have died while it gave a name.
                naming.settle(
                        member.remains().resources().contains(AreaPool.NAMES),
                        own.predecessor().gone());
            }
            entered = entering;
            state = LockspaceView.State.MEMBER;
            detail = "";
        }
        listener.joined(joined.owner, member.resumed());
        return true;
    }

    private void renewUntilLost(Membership current) throws BlockingDriver.Closing {
        long intervalNanos = settings.timeouts().renewalInterval().toNanos();
        while (!current.isLost()) {
            long dueInNanos = intervalNanos - current.ageNanos();
            driver.pause(dueInNanos > 0 ? Duration.ofNanos(dueInNanos) : RETRY_RENEWAL);
            if (!current.isLost()) {
                renewOnce(current);
            }
        }
    }

    /** @return false if the membership is lost */
    private boolean renewOnce(Membership current) throws BlockingDriver.Closing {
        long askedNanos = clock.bootNanos();
        DeltaRenewal.Result result = driver.run(
                new DeltaRenewal(
                                settings.lockspace(),
                                current.layout,
                                settings.timeouts(),
                                clock,
                                current.record(),
                                current.recordCertain(),
                                current.deadlineNanos(),
                                current.attention())
                        .start(),
                current.file,
                current.file);
        result.area().ifPresent(area -> look(current, area, askedNanos));
        if (result instanceof DeltaRenewal.Result.Renewed renewed) {
            if (!current.renewed(renewed.record(), renewed.startedNanos())) {
                loseMembership(current, LeaseFault.TIMED_OUT, "a renewal came through too late");
                return false;
            }
            noteRenewal(Objects.requireNonNull(seat), current);
            rememberLater(renewed.record());
            listener.renewed(new Renewal(
                    renewed.startedNanos(),
                    current.deadlineNanos(),
                    renewed.record().timestamp(),
                    Duration.ofNanos(clock.bootNanos() - renewed.startedNanos())));
            if (saidLate) {
                saidLate = false;
                detail = "";
                listener.renewalRecovered();
            }
            return true;
        }
        current.renewalFailed();
        if (result instanceof DeltaRenewal.Result.Lost lost) {
            String path = store.where() + "/" + settings.lockspace();
            loseMembership(current, lost.fault(), LossSentence.of(path, current.layout, current.owner, lost));
            return false;
        }
        sayLate(((DeltaRenewal.Result.Late) result).why());
        return !current.isLost();
    }

    private void look(Membership current, byte[] area, long askedNanos) {
        long nowNanos = clock.bootNanos();
        current.hosts.update(area, askedNanos, nowNanos);
        for (HostView host : hosts(current, nowNanos)) {
            HostStatus before = statuses.put(host.owner().hostId(), host.status());
            boolean first = before == null && host.status() == HostStatus.FREE;
            if (before != host.status() && !host.self() && !first) {
                listener.hostChanged(host);
            }
        }
        Member member = entered;
        if (member != null && callers.call(area, current.hosts, nowNanos)) {
            member.requests().lookForRequests(listener::requested);
        }
    }

    /** For the kill duty of a successor that cannot read the disk. */
    private void noteRenewal(Seat own, Membership current) {
        own.journal()
                .renewed(new IoJournal.Renewal(
                        current.owner.hostId(),
                        current.owner.generation(),
                        settings.timeouts().ioTimeoutSeconds(),
                        current.renewedNanos()));
    }

    private void rememberLater(LeaderRecord record) {
        remember.execute(() -> {
            try {
                joiner.remember(record);
            } catch (IOException e) {
                // Only speeds up the next boot.
            }
        });
    }

    private void awaitUsersGone() throws BlockingDriver.Closing {
        while (!usersGone.tryAcquire()) {
            driver.pause(DEADLINE_TICK);
        }
        inheritance = Inheritance.none();
    }

    /** A late write of an old membership must not meet a new one on the same sector. */
    private void awaitIdle() throws BlockingDriver.Closing {
        Member member = entered;
        while (member != null && !member.io().idle()) {
            driver.pause(DEADLINE_TICK);
        }
    }

    private void leave() {
        Membership current = membership;
        Resources table = table();
        // From here on nothing is acquired under this membership, or it could be freed with a lease just taken.
        Seat own = seat;
        boolean unused = table == null || table.retire();
        boolean alone = own != null && own.predecessor().gone().isDone();
        if (alone && current != null && current.inTime() && current.recordCertain() && unused) {
            DeltaLeave leave =
                    new DeltaLeave(current.layout, settings.timeouts().ioTimeout(), current.record());
            try {
                new BlockingDriver(new CountDownLatch(1)).run(leave.start(), current.file, current.file);
            } catch (BlockingDriver.Closing e) {
                // Interrupted: the id expires by itself.
            }
        }
        state = LockspaceView.State.LEFT;
        detail = "left";
    }

    // ---- deadline thread

    private void watch() {
        try {
            watchDeadline();
        } catch (RuntimeException e) {
            // A listener's bug must not blind this watch.
            detail = "internal error: " + e;
        } finally {
            watchAfter(isEasy() ? EASY_TICK : DEADLINE_TICK);
        }
    }

    private void watchAfter(Duration pause) {
        try {
            timer.schedule(this::watch, pause.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            // The engine is closed.
        }
    }

    /** Whether there is time to lose before a deadline: what is late anyhow, and what an earlier agent has left, is watched closely. */
    private boolean isEasy() {
        Membership current = membership;
        return current != null
                && !current.isLost()
                && inheritance.users().isEmpty()
                && current.ageNanos() < settings.timeouts().renewalWarning().toNanos();
    }

    private void watchDeadline() {
        Inheritance inherited = inheritance;
        if (inherited.isDue(clock.bootNanos()) && inherited.lose()) {
            detail = "the leases of an earlier agent of this boot have expired; their users are being stopped";
            listener.previousLifeLost(inherited.users());
        }
        Membership current = membership;
        if (current == null || current.isLost()) {
            return;
        }
        if (!current.inTime()) {
            loseMembership(
                    current,
                    LeaseFault.TIMED_OUT,
                    "no renewal has succeeded for "
                            + settings.timeouts().renewalFailed().toSeconds() + " s");
        } else if (current.ageNanos() > settings.timeouts().renewalWarning().toNanos()) {
            sayLate("the storage does not answer");
        }
    }

    private void sayLate(String why) {
        if (!saidLate) {
            saidLate = true;
            detail = "renewals are late: " + why;
            listener.renewalLate(why);
        }
    }

    private void loseMembership(Membership current, LeaseFault fault, String why) {
        synchronized (transition) {
            boolean entered = state == LockspaceView.State.MEMBER;
            if (!current.lose() || !entered) {
                return; // before it was entered it had no users of this process
            }
            state = LockspaceView.State.LOST;
            detail = why;
            saidLate = false;
            usersGone.drainPermits();
        }
        listener.lost(fault, why);
    }

    // ---- callers

    private @Nullable Resources table() {
        Member current = entered;
        return current == null ? null : current.table();
    }

    @Override
    public boolean member() {
        Membership current = membership;
        return state == LockspaceView.State.MEMBER && current != null && current.inTime();
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
                member -> member.table().convert(resource, user, mode),
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
        Member current = entered;
        return current == null || !member()
                ? CompletableFuture.completedFuture(noMember.apply(detail))
                : operation.apply(current);
    }

    @Override
    public Map<LeaseName, LeaseUse> receiving() {
        Resources table = table();
        return table == null ? Map.of() : table.receiving();
    }

    @Override
    public Set<LeaseName> carriedOver() {
        Resources table = table();
        return table == null ? Set.of() : table.carriedOver();
    }

    @Override
    public void usersGone() {
        usersGone.release();
    }

    @Override
    public LockspaceView view() {
        Membership current = membership;
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
                detail,
                current == null ? List.of() : hosts(current, nowNanos),
                table == null ? Map.of() : table.held(),
                table == null ? List.of() : table.undetermined());
    }

    private static List<HostView> hosts(Membership current, long nowNanos) {
        List<HostView> views = new ArrayList<>();
        for (Map.Entry<Long, HostSighting> entry : current.hosts.all().entrySet()) {
            HostSighting sighting = entry.getValue();
            boolean self = entry.getKey() == current.owner.hostId();
            HostStatus status = self ? HostStatus.LIVE : sighting.status(nowNanos);
            boolean free = status == HostStatus.FREE;
            views.add(new HostView(
                    sighting.owner(),
                    sighting.name(),
                    status,
                    self
                            ? Optional.of(Duration.ofNanos(current.ageNanos()))
                            : Optional.of(sighting.silentFor(nowNanos)),
                    free || self ? Optional.empty() : Optional.of(sighting.deadIn(nowNanos)),
                    self));
        }
        return views;
    }

    /**
     * This process is about to end, and somebody has chosen that the users of its leases run on. A successor that comes when the leases
     * have expired does not stop them then. Without this word they must be proved gone first, as after a crash.
     *
     * @throws IOException with the reason, if the word cannot be left: nothing has changed then
     */
    public void keepUsers() throws IOException {
        Resources table = table();
        boolean mayWrite = seat != null && (table == null || state == LockspaceView.State.MEMBER);
        if (!mayWrite) {
            throw new IOException(detail);
        }
        joiner.keepUsers(table == null ? joiner::keepUsersBefore : table::rewriteRecord);
    }

    /** Ends. Without a lease in use the membership is given back; otherwise it is left to a successor, or expires. */
    @Override
    public void close() {
        closing.countDown();
        // Otherwise the kernel closes both when the last I/O has ended, and no successor gets the lock before.
        if (awaitQuiet()) {
            Membership last = membership;
            if (last != null) {
                last.file.close();
            }
            Seat own = seat;
            if (own != null) {
                own.close();
            }
        }
    }

    /** Whether no thread is in lease I/O any more, or will be. */
    private boolean awaitQuiet() {
        try {
            long startedNanos = clock.bootNanos();
            membershipThread.join(CLOSE_LIMIT.toMillis());
            timer.shutdownNow();
            operations.shutdown();
            remember.shutdown();
            return !membershipThread.isAlive()
                    && operations.awaitTermination(
                            CLOSE_LIMIT.toNanos() - (clock.bootNanos() - startedNanos), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static ThreadFactory daemon(String name) {
        return task -> {
            Thread thread = new Thread(task, name);
            thread.setDaemon(true);
            return thread;
        };
    }

    /** Whether it is certain that no other agent of this lockspace acts on this machine. Until then this one does nothing. */
    public boolean isOnlyAgent() {
        return seat != null;
    }

    /** The rules that every delay follows from. */
    public Timeouts timeouts() {
        return settings.timeouts();
    }
}
