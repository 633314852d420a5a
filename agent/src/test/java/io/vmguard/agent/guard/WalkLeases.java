/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.guard;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.HeldLease;
import io.vmguard.lease.HostStatus;
import io.vmguard.lease.HostView;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Lockspace;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One host's engine on a disk that hosts of a walk share: exclusive leases only, whose every step works as on the real one. Steps take
 * effect at once, and their answers come later, in any order, or never if the agent dies meanwhile.
 */
final class WalkLeases implements Lockspace, LeaseTransfer {
    /** What is on the shared disk. */
    static final class Disk {
        final Map<LeaseName, Owner> owners = new HashMap<>();
        private final Map<LeaseName, LeaseNote> notes = new HashMap<>();
        private final Set<String> prepared = new HashSet<>();
        private final Map<LeaseName, Long> lvers = new HashMap<>();
        private final Set<LeaseName> confirmed = new HashSet<>();
        private final Set<String> waitsForReturn = new HashSet<>();
        private final Map<TransferWord.Side, TransferWord> words = new HashMap<>();
        private final List<HostView> hosts = new ArrayList<>();
    }

    private enum State {
        HELD,
        CARRIED_OVER,
        GIVEN,
        RECEIVING
    }

    private record Hold(
            State state, LeaseNote user, @Nullable Owner partner) {}

    private record Late(int ticks, Runnable completes) {}

    private final Disk disk;
    final Owner self;
    private final Random random;
    private final Map<LeaseName, Hold> holds = new LinkedHashMap<>();
    private final List<Late> late = new ArrayList<>();
    private boolean up;

    WalkLeases(Disk disk, Owner self, Random random) {
        this.disk = disk;
        this.self = self;
        this.random = random;
        disk.hosts.add(new HostView(
                self, "host-" + self.hostId(), HostStatus.LIVE, Optional.of(Duration.ZERO), Optional.empty(), false));
    }

    /** The process dies: nobody hears an answer any more. */
    void die() {
        up = false;
        late.clear();
    }

    /** Its successor has looked at the disk. */
    void resume() {
        up = true;
        for (Map.Entry<LeaseName, Hold> entry : List.copyOf(holds.entrySet())) {
            LeaseName resource = entry.getKey();
            Hold hold = entry.getValue();
            if (hold.state() == State.RECEIVING) {
                continue;
            }
            Owner owner = disk.owners.get(resource);
            boolean given = disk.waitsForReturn.contains(mine(resource)) && !disk.confirmed.contains(resource);
            if (self.equals(owner)) {
                holds.put(resource, new Hold(State.CARRIED_OVER, hold.user(), null));
            } else if (given && owner != null) {
                holds.put(resource, new Hold(State.GIVEN, hold.user(), owner));
            } else {
                forget(resource);
            }
        }
    }

    /** Time passes: answers that are due come. */
    void tick() {
        List<Late> due = late.stream().filter(l -> l.ticks() <= 0).toList();
        List<Late> rest = late.stream()
                .filter(l -> l.ticks() > 0)
                .map(l -> new Late(l.ticks() - 1, l.completes()))
                .toList();
        late.clear();
        late.addAll(rest);
        due.forEach(l -> l.completes().run());
    }

    private <R> CompletableFuture<R> answer(R result) {
        CompletableFuture<R> future = new CompletableFuture<>();
        late.add(new Late(random.nextInt(4), () -> future.complete(result)));
        return future;
    }

    boolean holdsNothing() {
        return holds.isEmpty();
    }

    boolean owns(LeaseName resource) {
        Hold hold = holds.get(resource);
        return self.equals(disk.owners.get(resource)) && hold != null && hold.state() == State.HELD;
    }

    private String mine(LeaseName resource) {
        return self + "/" + resource;
    }

    private void forget(LeaseName resource) {
        holds.remove(resource);
        disk.prepared.remove(mine(resource));
        disk.waitsForReturn.remove(mine(resource));
    }

    private void own(LeaseName resource, LeaseNote user) {
        if (!self.equals(disk.owners.put(resource, self))) {
            disk.lvers.merge(resource, 1L, Long::sum);
        }
        disk.confirmed.add(resource);
        disk.notes.put(resource, user);
        holds.put(resource, new Hold(State.HELD, user, null));
    }

    private AcquireResult acquired(LeaseName resource) {
        return new AcquireResult.Acquired(new HeldLease(resource, self, 1, LeaseMode.EXCLUSIVE));
    }

    private AcquireResult heldBy(LeaseName resource) {
        return new AcquireResult.HeldBy(
                Objects.requireNonNull(disk.owners.getOrDefault(resource, self)),
                "host",
                HostStatus.LIVE,
                Optional.of(Duration.ZERO),
                Optional.empty(),
                Optional.ofNullable(disk.notes.get(resource)),
                false);
    }

    @Override
    public CompletableFuture<AcquireResult> acquire(
            LeaseName resource, LeaseNote user, LeaseMode mode, Duration patience) {
        Hold hold = holds.get(resource);
        if (hold != null) {
            boolean claims = hold.state() == State.CARRIED_OVER && hold.user().equals(user);
            if (claims) {
                holds.put(resource, new Hold(State.HELD, user, null));
            }
            return claims ? CompletableFuture.completedFuture(acquired(resource)) : answer(heldBy(resource));
        }
        if (disk.owners.containsKey(resource)) {
            return answer(heldBy(resource));
        }
        own(resource, user);
        CompletableFuture<AcquireResult> future = new CompletableFuture<>();
        late.add(new Late(random.nextInt(4), () -> {
            if (!future.complete(acquired(resource))) {
                free(resource); // given up meanwhile
            }
        }));
        return future;
    }

    private void free(LeaseName resource) {
        forget(resource);
        disk.owners.remove(resource, self);
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource) {
        Hold hold = holds.get(resource);
        if (hold == null) {
            return answer(new ReleaseResult.NotOurs(LeaseFault.NOT_OWNER, "not held"));
        }
        if (hold.state() == State.RECEIVING) {
            return decline(resource);
        }
        free(resource);
        return answer(new ReleaseResult.Released());
    }

    @Override
    public CompletableFuture<ReleaseResult> release(LeaseName resource, LeaseNote user) {
        return release(resource);
    }

    @Override
    public CompletableFuture<HandOverResult> handOver(LeaseName resource, Owner receiver) {
        Hold hold = holds.get(resource);
        if (hold == null || hold.state() != State.HELD) {
            return answer(new HandOverResult.NotOurs(LeaseFault.NOT_OWNER, "not held"));
        }
        if (!disk.prepared.contains(receiver + "/" + resource)) {
            return answer(new HandOverResult.Kept(LeaseFault.NOT_OWNER, "not prepared"));
        }
        disk.owners.put(resource, receiver);
        disk.lvers.merge(resource, 1L, Long::sum);
        disk.confirmed.remove(resource);
        disk.waitsForReturn.add(mine(resource));
        holds.put(resource, new Hold(State.GIVEN, hold.user(), receiver));
        return answer(new HandOverResult.Given(receiver, 2));
    }

    @Override
    public CompletableFuture<AcquireResult> takeBack(LeaseName resource) {
        Hold hold = holds.get(resource);
        if (hold == null || hold.state() != State.GIVEN) {
            return answer(new AcquireResult.CannotTell(LeaseFault.NOT_OWNER, "not under way", false));
        }
        Owner owner = disk.owners.get(resource);
        if (owner != null && !owner.equals(self)) {
            return answer(heldBy(resource));
        }
        own(resource, hold.user());
        return answer(acquired(resource));
    }

    @Override
    public Set<LeaseName> given() {
        return holds.entrySet().stream()
                .filter(e -> e.getValue().state() == State.GIVEN)
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    @Override
    public CompletableFuture<ReceiveResult> prepareToReceive(LeaseName resource, LeaseNote user, Owner giver) {
        Hold hold = holds.get(resource);
        if (hold != null && hold.state() != State.RECEIVING) {
            return answer(new ReceiveResult.NotOurs(LeaseFault.NOT_OWNER, "held here"));
        }
        if (!giver.equals(disk.owners.get(resource))) {
            return answer(new ReceiveResult.NotOurs(LeaseFault.NOT_OWNER, "not the giver's"));
        }
        holds.put(resource, new Hold(State.RECEIVING, user, giver));
        disk.prepared.add(mine(resource));
        return answer(new ReceiveResult.Prepared());
    }

    @Override
    public CompletableFuture<ReceiveResult> confirmReceived(LeaseName resource, Duration patience) {
        Hold hold = holds.get(resource);
        if (hold == null || hold.state() != State.RECEIVING) {
            return answer(new ReceiveResult.NotOurs(LeaseFault.NOT_OWNER, "not prepared"));
        }
        Owner owner = disk.owners.get(resource);
        if (self.equals(owner)) {
            own(resource, hold.user());
            return answer(new ReceiveResult.Confirmed(new HeldLease(resource, self, 2, LeaseMode.EXCLUSIVE)));
        }
        if (owner != null && owner.equals(hold.partner())) {
            return answer(new ReceiveResult.NotYet());
        }
        forget(resource);
        return answer(new ReceiveResult.NotOurs(LeaseFault.NOT_OWNER, "somebody else's"));
    }

    @Override
    public CompletableFuture<ReleaseResult> decline(LeaseName resource) {
        Hold hold = holds.get(resource);
        if (hold == null || hold.state() != State.RECEIVING) {
            return answer(new ReleaseResult.NotOurs(LeaseFault.NOT_OWNER, "not prepared"));
        }
        Owner giver = Objects.requireNonNull(hold.partner());
        forget(resource);
        if (self.equals(disk.owners.get(resource))) {
            if (disk.waitsForReturn.contains(giver + "/" + resource)) {
                disk.owners.put(resource, giver);
                disk.lvers.merge(resource, 1L, Long::sum);
                disk.confirmed.remove(resource);
            } else {
                disk.owners.remove(resource);
            }
        }
        return answer(new ReleaseResult.Released());
    }

    @Override
    public Map<LeaseName, LeaseUse> receiving() {
        return holds.entrySet().stream()
                .filter(e -> e.getValue().state() == State.RECEIVING)
                .collect(Collectors.toMap(
                        Map.Entry::getKey,
                        e -> new LeaseUse(
                                LeaseMode.EXCLUSIVE,
                                List.of(e.getValue().user()),
                                Optional.ofNullable(e.getValue().partner()))));
    }

    @Override
    public CompletableFuture<TransferResult> look(LeaseName resource) {
        if (random.nextInt(10) == 0) {
            return answer(new TransferResult.CannotTell(LeaseFault.TIMED_OUT, "slow"));
        }
        return answer(new TransferResult.Seen(
                Optional.ofNullable(disk.owners.get(resource)),
                disk.lvers.getOrDefault(resource, 0L),
                disk.confirmed.contains(resource),
                Optional.ofNullable(disk.words.get(TransferWord.Side.GIVER)),
                Optional.ofNullable(disk.words.get(TransferWord.Side.RECEIVER))));
    }

    @Override
    public CompletableFuture<TransferResult> tell(LeaseName resource, long attempt, TransferWord.State state) {
        disk.words.put(state.side(), new TransferWord(self, attempt, disk.lvers.getOrDefault(resource, 0L), state));
        return look(resource);
    }

    // ---- the rest of a lockspace

    @Override
    public void join() {}

    @Override
    public LockspaceView view() {
        return new LockspaceView(
                new LeaseName("__LIBVIRT__DISKS__"),
                "/leases",
                LockspaceView.State.MEMBER,
                Optional.of(self),
                "host",
                Timeouts.ofSeconds(10),
                Optional.of(Duration.ofSeconds(3)),
                Optional.of(Duration.ofSeconds(77)),
                "",
                disk.hosts,
                holds.entrySet().stream()
                        .filter(e -> e.getValue().state() == State.HELD
                                || e.getValue().state() == State.CARRIED_OVER)
                        .collect(Collectors.toMap(
                                Map.Entry::getKey,
                                e -> LeaseUse.exclusive(e.getValue().user()))),
                List.of());
    }

    @Override
    public boolean member() {
        return up;
    }

    @Override
    public CompletableFuture<AcquireResult> convert(LeaseName resource, LeaseNote user, LeaseMode mode) {
        throw new IllegalArgumentException("the guard converts no leases");
    }

    @Override
    public Set<LeaseName> carriedOver() {
        return holds.entrySet().stream()
                .filter(e -> e.getValue().state() == State.CARRIED_OVER)
                .map(Map.Entry::getKey)
                .collect(Collectors.toSet());
    }

    @Override
    public void usersGone() {}

    @Override
    public void close() {}
}
