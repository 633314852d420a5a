/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.delta.DeltaLeave;
import io.vmguard.lease.delta.DeltaRenewal;
import io.vmguard.lease.device.AreaPool;
import io.vmguard.lease.device.LeaseStore;
import io.vmguard.lease.device.linux.IoJournal;
import io.vmguard.lease.device.linux.LockHolder;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.time.LeaseClock;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ArrayBlockingQueue;
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
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Joins, renews, loses and leaves: one membership after the other, for as long as the engine is open.
 *
 * <pre>
 * thread "membership"   join, renew, leave: blocks in lease I/O and nowhere else
 * thread "deadline"     asks again and again whether the membership is in time; does no I/O, takes no lock
 * threads "resource"    one operation each; block in lease I/O
 * thread "remember"     writes the last record to the local disk, for the next boot
 * </pre>
 *
 * A stall of storage stops the first and third; the second still says "lost" in time.
 */
final class MembershipLife {
    private static final Duration DEADLINE_TICK = Duration.ofMillis(100);
    /** While the last renewal is so young that only a suspended machine could make it late by then. */
    private static final Duration EASY_TICK = Duration.ofMillis(250);
    /** The same while no lease is held either: each look costs. */
    private static final Duration UNUSED_TICK = Duration.ofSeconds(1);

    private static final Duration RETRY_RENEWAL = Duration.ofSeconds(1);
    private static final Duration RETRY_JOIN = Duration.ofSeconds(2);
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
    private final CountDownLatch closing = new CountDownLatch(1);
    private final BlockingDriver driver = new BlockingDriver(closing);
    private final Semaphore usersGone = new Semaphore(0);
    /** Guards the step into a membership and out of it against each other; never held across I/O or a listener. */
    private final Object transition = new Object();

    private final Joiner joiner;
    private final Seating seating;
    private final ExecutorService operations;
    private final ScheduledExecutorService timer;
    private final ExecutorService remember;
    private final Thread thread;

    private volatile LockspaceView.State state = LockspaceView.State.JOINING;
    private volatile String detail = "joining";
    private volatile @Nullable Membership membership;
    private volatile @Nullable Member entered;
    private volatile boolean saidLate;

    MembershipLife(
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
        this.joiner = new Joiner(settings, this.store, clock, random, driver, this::journal, listener);
        this.seating = new Seating(settings, looks, joiner, clock, driver, listener, daemon("vmguard-predecessor"));
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
                new ArrayBlockingQueue<>(1),
                daemon("vmguard-remember"),
                new ThreadPoolExecutor.DiscardOldestPolicy());
        this.thread = daemon("vmguard-membership").newThread(this::run);
    }

    // ---- for the engine; any thread

    /** Asks for the right to be the agent here. */
    Seat.Answer askForSeat() throws IOException {
        return seating.ask();
    }

    void begin() {
        watchAfter(DEADLINE_TICK);
        thread.start();
    }

    LockspaceView.State state() {
        return state;
    }

    /** Why it is in that state; empty while all is well. */
    String detail() {
        return detail;
    }

    /** The last membership, whether in time or not. */
    @Nullable
    Membership membership() {
        return membership;
    }

    /** The last membership that was entered, with all that hangs on it. */
    @Nullable
    Member entered() {
        return entered;
    }

    /** Whether leases are held at this instant. */
    boolean isMember() {
        Membership current = membership;
        return state == LockspaceView.State.MEMBER && current != null && current.inTime();
    }

    /** Whether this process may act at all. */
    boolean isSeated() {
        return seating.seat() != null;
    }

    /** Those who used the leases of a membership that was lost are proved gone. */
    void usersGone() {
        usersGone.release();
    }

    /** @see LeaseEngine#keepUsers */
    void keepUsers() throws IOException {
        Member member = entered;
        boolean mayWrite = isSeated() && (member == null || state == LockspaceView.State.MEMBER);
        if (!mayWrite) {
            throw new IOException(detail);
        }
        joiner.keepUsers(member == null ? joiner::keepUsersBefore : member.table()::rewriteRecord);
    }

    /** Ends. Without a lease in use the membership is given back; otherwise it is left to a successor, or expires. */
    void close() {
        closing.countDown();
        // Otherwise the kernel closes both when the last I/O has ended, and no successor gets the lock before.
        if (awaitQuiet()) {
            Membership last = membership;
            if (last != null) {
                last.file.close();
            }
            Seat own = seating.seat();
            if (own != null) {
                own.close();
            }
        }
    }

    /** Whether no thread is in lease I/O any more, or will be. */
    private boolean awaitQuiet() {
        try {
            long startedNanos = clock.bootNanos();
            thread.join(CLOSE_LIMIT.toMillis());
            timer.shutdownNow();
            operations.shutdown();
            remember.shutdown();
            boolean quiet =
                    !thread.isAlive() && operations.awaitTermination(leftNanos(startedNanos), TimeUnit.NANOSECONDS);
            // What is on its way to the local disk gets what is left of the time; it is no lease I/O.
            remember.awaitTermination(leftNanos(startedNanos), TimeUnit.NANOSECONDS);
            return quiet;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private long leftNanos(long startedNanos) {
        return CLOSE_LIMIT.toNanos() - (clock.bootNanos() - startedNanos);
    }

    private static ThreadFactory daemon(String name) {
        return task -> {
            Thread thread = new Thread(task, name);
            thread.setDaemon(true);
            return thread;
        };
    }

    private IoJournal journal() {
        return seating.journal();
    }

    // ---- membership thread

    private void run() {
        try {
            Seat own = seating.await(why -> detail = why);
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
                    renewUntilLost(Objects.requireNonNull(this.entered));
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

    private void loseInheritance(Map<LeaseName, LeaseUse> users) {
        if (seating.inheritance().lose()) {
            listener.previousLifeLost(users);
        }
    }

    private Joiner.Result attemptUntilDecided(Seat own, boolean gone) throws BlockingDriver.Closing {
        state = LockspaceView.State.JOINING;
        detail = "joining";
        String said = "";
        Inheritance inheritance = seating.inheritance();
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
            driver.pause(own.predecessor().gone().isDone() ? RETRY_JOIN : Seating.ASK_AGAIN);
        }
    }

    /** One renewal at once: it proves that the claim stands and gives the first look at all other hosts. */
    private boolean enter(Seat own, Joiner.Result.Member member) throws BlockingDriver.Closing {
        Membership joined = member.membership();
        if (member.remains().renewal()) {
            joined.sharedUntil(own.predecessor().gone());
        }
        Inheritance inheritance = seating.inheritance();
        inheritance.goodUntil(joined.deadlineNanos());
        noteRenewal(own, joined);
        AreaNaming naming = new AreaNaming(joined, store, clock, random, driver, operations, timer);
        Operations io = new Operations(joined, store, clock, random, driver, naming);
        Resources table = new Resources(joined, io, clock, operations, timer, joiner);
        Transfers transfers = new Transfers(joined, table, io, clock, operations, timer);
        Member entering = new Member(
                joined,
                io,
                new HostWatch(joined, listener),
                table,
                new Conversions(table, io),
                transfers,
                new TransferWords(io, operations),
                new Requests(joined, table, io, operations));
        saidLate = false;
        membership = joined;
        if (!renewOnce(entering)) {
            return false;
        }
        inheritance.goodUntil(joined.deadlineNanos());
        synchronized (transition) {
            if (!joined.inTime() || !inheritance.settle()) {
                return false;
            }
            if (member.resumed()) {
                new Adoption(table, transfers, io)
                        .begin(
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

    private void renewUntilLost(Member member) throws BlockingDriver.Closing {
        Membership current = member.membership();
        long intervalNanos = settings.timeouts().renewalInterval().toNanos();
        while (!current.isLost()) {
            long dueInNanos = intervalNanos - current.ageNanos();
            driver.pause(dueInNanos > 0 ? Duration.ofNanos(dueInNanos) : RETRY_RENEWAL);
            if (!current.isLost()) {
                renewOnce(member);
            }
        }
    }

    /** @return false if the membership is lost */
    private boolean renewOnce(Member member) throws BlockingDriver.Closing {
        Membership current = member.membership();
        long askedNanos = clock.bootNanos();
        long suspendedNanos = clock.suspendedNanos();
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
        result.area().ifPresent(area -> look(member, area, askedNanos));
        if (result instanceof DeltaRenewal.Result.Renewed renewed) {
            if (!current.renewed(renewed.record(), renewed.startedNanos(), suspendedNanos)) {
                loseMembership(current, LeaseFault.TIMED_OUT, "a renewal came through too late");
                return false;
            }
            noteRenewal(Objects.requireNonNull(seating.seat()), current);
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

    private void look(Member member, byte[] area, long askedNanos) {
        long nowNanos = clock.bootNanos();
        member.watch().look(area, askedNanos, nowNanos);
        // In the first renewal of a membership nothing is held under it yet.
        if (member == entered && member.watch().isCalled(area, nowNanos)) {
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
        seating.inheritanceGone();
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
        Member member = entered;
        // From here on nothing is acquired under this membership, or it could be freed with a lease just taken.
        Seat own = seating.seat();
        boolean unused = member == null || member.table().retire();
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
            watchAfter(tick());
        }
    }

    private Duration tick() {
        Membership current = membership;
        if (current == null || !isEasy()) {
            return DEADLINE_TICK;
        }
        // Whoever waits for the word that renewals are late expects it soon.
        Duration untilLate = settings.timeouts().renewalWarning().minusNanos(current.ageNanos());
        boolean unhurried = isUnused() && untilLate.compareTo(UNUSED_TICK) > 0;
        return unhurried ? UNUSED_TICK : EASY_TICK;
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
                && seating.inheritance().users().isEmpty()
                && current.ageNanos() < settings.timeouts().renewalWarning().toNanos();
    }

    private boolean isUnused() {
        Member member = entered;
        return member != null && member.table().unused();
    }

    private void watchDeadline() {
        Inheritance inherited = seating.inheritance();
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
            boolean entered = state == LockspaceView.State.MEMBER;
            sayLate(
                    entered
                            ? "the storage does not answer"
                            : "this agent came long after the last renewal, and its first one is under way");
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
}
