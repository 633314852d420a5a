/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HeldLease;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceListener;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Renewal;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.time.LeaseClock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A lockspace without a disk: grants what is free at once, unless the test has laid down another answer or holds the answer back.
 *
 * <p>As with the engine, a lease that is won for a caller who has cancelled is given back, nothing is acquired or released without a
 * membership, and a lease from before a restart goes only to him who comes with its own note. Any thread; listeners are called on the
 * thread that makes the change.
 */
public final class FakeLockspace implements Lockspace {
    private static final String HOST_NAME = "11111111-22222222.node-a";

    private record Asked(LeaseName resource, LeaseNote note, LeaseMode mode, CompletableFuture<AcquireResult> future) {}

    private static final Timeouts TIMEOUTS = Timeouts.ofSeconds(10);

    private final LeaseClock clock;
    private final Map<LeaseName, LeaseUse> held = new LinkedHashMap<>();
    private final Set<LeaseName> carried = new HashSet<>();
    private final Map<LeaseName, AcquireResult> answers = new HashMap<>();
    private final List<HostView> others = new ArrayList<>();
    private final List<Asked> asked = new ArrayList<>();
    private final List<LeaseName> releases = new ArrayList<>();
    private Consumer<LeaseName> onRelease = resource -> {};
    private Runnable onUsersGone = () -> {};
    private boolean holdBack;
    private boolean member;
    private long generation;
    private final Map<LeaseName, Long> lvers = new HashMap<>();
    private int usersGone;
    private String detail = "joining";

    @Nullable
    private RuntimeException bug;

    @Nullable
    private LockspaceListener listener;

    /** One that needs no clock: nothing is lost in it by age. */
    public FakeLockspace() {
        this(new FakeClock());
    }

    public FakeLockspace(LeaseClock clock) {
        this.clock = clock;
    }

    // ---- what the test does

    /** How this host sees another one from now on. */
    public synchronized void sees(HostView other) {
        others.removeIf(host -> host.owner().hostId() == other.owner().hostId());
        others.add(other);
    }

    /** Who is told of transitions. */
    public synchronized void listener(LockspaceListener told) {
        listener = told;
    }

    /** Becomes a member, with a new generation and no lease. */
    public void becomeMember() {
        become(false);
    }

    /** Becomes a member again after a restart of the process: what was held is carried over. */
    public void resume() {
        synchronized (this) {
            carried.clear();
            carried.addAll(held.keySet());
        }
        become(true);
    }

    /** The state changes, but nobody has been told yet. */
    public synchronized Owner becomeMemberSilently(boolean resumed) {
        if (!resumed) {
            generation++;
            held.clear();
            carried.clear();
        }
        member = true;
        detail = "";
        return owner();
    }

    private void become(boolean resumed) {
        Owner owner = becomeMemberSilently(resumed);
        LockspaceListener told;
        synchronized (this) {
            told = listener;
        }
        if (told != null) {
            told.joined(owner, resumed);
        }
    }

    /** A lease from an earlier process of this boot turns out to be held, late. */
    public synchronized void carryOver(LeaseName resource, LeaseNote note) {
        carryOver(resource, LeaseUse.exclusive(note));
    }

    /** The same for a lease in any mode. */
    public synchronized void carryOver(LeaseName resource, LeaseUse use) {
        held.put(resource, use);
        carried.add(resource);
    }

    /**
     * Loses the membership and every lease; what is under way ends without a lease. As with the engine, what was held can be seen until
     * the next membership begins.
     */
    public void lose() {
        lose(Duration.ofSeconds(3));
    }

    /** The same; the last renewal began so long ago. */
    public void lose(Duration sinceRenewal) {
        expire(sinceRenewal);
        LockspaceListener told;
        synchronized (this) {
            told = listener;
        }
        if (told != null) {
            told.lost(LeaseFault.TIMED_OUT, "no renewal has succeeded for 80 s");
        }
    }

    /** The membership has run out, and nobody has said so yet. */
    public void expire(Duration sinceRenewal) {
        List<Asked> ended;
        LockspaceListener told;
        synchronized (this) {
            told = listener;
        }
        if (told != null) {
            long startedNanos = clock.bootNanos() - sinceRenewal.toNanos();
            told.renewed(new Renewal(
                    startedNanos, startedNanos + TIMEOUTS.renewalFailed().toNanos(), 0, Duration.ZERO));
        }
        synchronized (this) {
            member = false;
            detail = "no renewal has succeeded for 80 s";
            ended = List.copyOf(asked);
            asked.clear();
        }
        ended.forEach(a -> a.future()
                .complete(new AcquireResult.CannotTell(
                        LeaseFault.NO_MEMBERSHIP, "the membership was lost meanwhile", false)));
    }

    /** The process dies: nobody waits for an answer any more, leases stay as they are. */
    public synchronized void forgetCallers() {
        asked.forEach(a -> a.future().cancel(false));
        asked.clear();
        member = false;
        listener = null;
        onRelease = resource -> {};
        onUsersGone = () -> {};
    }

    /** What acquiring this resource leads to from now on; null for the usual. */
    public synchronized void answer(LeaseName resource, @Nullable AcquireResult result) {
        if (result == null) {
            answers.remove(resource);
        } else {
            answers.put(resource, result);
        }
    }

    /** From now on acquires wait for {@link #complete}, or are answered at once again. */
    public synchronized void holdBack(boolean nowHeldBack) {
        holdBack = nowHeldBack;
    }

    /** Answers one acquire that was held back. False if there is none. */
    public boolean complete(LeaseName resource) {
        Asked found;
        AcquireResult result;
        synchronized (this) {
            found = asked.stream()
                    .filter(a -> a.resource().equals(resource))
                    .findFirst()
                    .orElse(null);
            if (found == null) {
                return false;
            }
            asked.remove(found);
            result = decide(resource, found.note(), found.mode());
        }
        if (!found.future().complete(result) && result instanceof AcquireResult.Acquired) {
            synchronized (this) {
                drop(resource, found.note());
            }
        }
        return true;
    }

    /** Another host has a lease for a while that is not held here. */
    public synchronized void overtake(LeaseName resource) {
        lvers.merge(resource, 1L, Long::sum);
    }

    /** The next acquire throws this. */
    public synchronized void failOnce(RuntimeException exception) {
        bug = exception;
    }

    /** Called before each release takes effect. */
    public synchronized void onRelease(Consumer<LeaseName> check) {
        onRelease = check;
    }

    /** Called when the users of a lost membership are said to be gone. */
    public synchronized void onUsersGone(Runnable check) {
        onUsersGone = check;
    }

    /** Resources whose acquire was held back and is not answered yet. */
    public synchronized List<LeaseName> waiting() {
        return asked.stream().map(Asked::resource).toList();
    }

    /** Resources held now. */
    public synchronized Set<LeaseName> held() {
        return Set.copyOf(held.keySet());
    }

    /** Every release that was asked for, in order. */
    public synchronized List<LeaseName> releases() {
        return List.copyOf(releases);
    }

    /** How often the users of a lost membership were said to be gone. */
    public synchronized int usersGoneCalls() {
        return usersGone;
    }

    /** An answer that names another host as the holder. */
    public static AcquireResult.HeldBy heldByNodeB(String domain) {
        return new AcquireResult.HeldBy(
                new Owner(2, 7),
                "33333333-44444444.node-b",
                HostStatus.LIVE,
                Optional.of(Duration.ofSeconds(3)),
                Optional.empty(),
                Optional.of(new LeaseNote(
                        domain, "00000000-0000-0000-0000-0000000000bb", "vda", "node-b", FakeClock.WALL_SECONDS)),
                false);
    }

    // ---- what the guard does

    @Override
    public void join() {}

    @Override
    public synchronized LockspaceView view() {
        return new LockspaceView(
                new LeaseName("__LIBVIRT__DISKS__"),
                "/leases",
                member ? LockspaceView.State.MEMBER : LockspaceView.State.JOINING,
                member ? Optional.of(owner()) : Optional.empty(),
                HOST_NAME,
                TIMEOUTS,
                member ? Optional.of(Duration.ofSeconds(3)) : Optional.empty(),
                member ? Optional.of(Duration.ofSeconds(77)) : Optional.empty(),
                detail,
                member ? hosts() : List.of(),
                uses(),
                List.of());
    }

    private List<HostView> hosts() {
        List<HostView> hosts = new ArrayList<>(others);
        hosts.add(new HostView(
                owner(), HOST_NAME, HostStatus.LIVE, Optional.of(Duration.ofSeconds(3)), Optional.empty(), true));
        return hosts;
    }

    private Map<LeaseName, LeaseUse> uses() {
        return new LinkedHashMap<>(held);
    }

    private Owner owner() {
        return new Owner(1, Math.max(1, generation));
    }

    @Override
    public synchronized boolean member() {
        return member;
    }

    @Override
    public CompletableFuture<AcquireResult> acquire(
            LeaseName resource, LeaseNote note, LeaseMode mode, Duration patience) {
        if (!patience.isZero()) {
            throw new IllegalArgumentException("the guard does not wait");
        }
        CompletableFuture<AcquireResult> future = new CompletableFuture<>();
        AcquireResult result;
        synchronized (this) {
            RuntimeException exception = bug;
            if (exception != null) {
                bug = null;
                throw exception;
            }
            if (holdBack && member && !held.containsKey(resource)) {
                asked.add(new Asked(resource, note, mode, future));
                return future;
            }
            result = decide(resource, note, mode);
        }
        future.complete(result);
        return future;
    }

    private AcquireResult decide(LeaseName resource, LeaseNote note, LeaseMode mode) {
        if (!member) {
            return new AcquireResult.CannotTell(LeaseFault.NO_MEMBERSHIP, detail, false);
        }
        LeaseUse use = held.get(resource);
        boolean bothShared = use != null && mode == LeaseMode.SHARED && use.mode() == LeaseMode.SHARED;
        boolean claimed = use != null
                && carried.contains(resource)
                && use.mode() == mode
                && use.users().contains(note);
        if (use != null && !bothShared && !claimed) {
            return new AcquireResult.HeldBy(
                    owner(),
                    HOST_NAME,
                    HostStatus.LIVE,
                    Optional.of(Duration.ofSeconds(1)),
                    Optional.empty(),
                    Optional.of(use.users().get(0)),
                    use.mode() == LeaseMode.SHARED);
        }
        AcquireResult laidDown = answers.get(resource);
        if (use == null && laidDown != null) {
            return laidDown;
        }
        List<LeaseNote> users = new ArrayList<>(use == null ? List.of() : use.users());
        if (users.contains(note)) {
            carried.remove(resource);
        } else {
            users.add(note);
        }
        held.put(resource, new LeaseUse(mode, users));
        if (use == null) {
            lvers.merge(resource, 1L, Long::sum);
        }
        long lver = lvers.getOrDefault(resource, 1L);
        return new AcquireResult.Acquired(new HeldLease(resource, owner(), lver, mode));
    }

    /** One user of it less; without any it is free. */
    private void drop(LeaseName resource, @Nullable LeaseNote user) {
        LeaseUse use = held.get(resource);
        List<LeaseNote> left = use == null || user == null
                ? List.of()
                : use.users().stream().filter(other -> !other.equals(user)).toList();
        if (left.isEmpty()) {
            held.remove(resource);
            carried.remove(resource);
        } else {
            held.put(resource, new LeaseUse(Objects.requireNonNull(use).mode(), left));
        }
    }

    @Override
    public CompletableFuture<AcquireResult> convert(LeaseName resource, LeaseNote user, LeaseMode mode) {
        return CompletableFuture.completedFuture(decideConversion(resource, user, mode));
    }

    private synchronized AcquireResult decideConversion(LeaseName resource, LeaseNote user, LeaseMode mode) {
        LeaseUse use = held.get(resource);
        if (!member || use == null || !use.users().contains(user)) {
            return new AcquireResult.CannotTell(LeaseFault.NOT_OWNER, "this host does not hold it", false);
        }
        AcquireResult laidDown = answers.get(resource);
        if (mode == LeaseMode.EXCLUSIVE && use.mode() != mode && laidDown != null) {
            return laidDown;
        }
        if (use.mode() != mode && use.users().size() > 1) {
            return new AcquireResult.HeldBy(
                    owner(),
                    HOST_NAME,
                    HostStatus.LIVE,
                    Optional.of(Duration.ofSeconds(1)),
                    Optional.empty(),
                    Optional.of(use.users().get(0)),
                    true);
        }
        held.put(resource, new LeaseUse(mode, use.users()));
        return new AcquireResult.Acquired(new HeldLease(resource, owner(), lvers.getOrDefault(resource, 1L), mode));
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource, LeaseNote user) {
        return releaseFor(resource, user);
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource) {
        return releaseFor(resource, null);
    }

    private CompletableFuture<ReleaseResult> releaseFor(LeaseName resource, @Nullable LeaseNote user) {
        synchronized (this) {
            releases.add(resource);
            if (!member) {
                return CompletableFuture.completedFuture(new ReleaseResult.NotOurs(LeaseFault.NO_MEMBERSHIP, detail));
            }
            LeaseUse use = held.get(resource);
            if (use == null || (user != null && !use.users().contains(user))) {
                return CompletableFuture.completedFuture(
                        new ReleaseResult.NotOurs(LeaseFault.LEADER_CHANGED, "this host does not hold it"));
            }
            onRelease.accept(resource);
            drop(resource, user);
        }
        return CompletableFuture.completedFuture(new ReleaseResult.Released());
    }

    @Override
    public synchronized Set<LeaseName> carriedOver() {
        return Set.copyOf(carried);
    }

    @Override
    public synchronized void usersGone() {
        usersGone++;
        onUsersGone.run();
    }

    @Override
    public void close() {}
}
