/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.testing;

import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.HandOverResult;
import io.vmguard.lease.HeldLease;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseMode;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.LeaseTransfer;
import io.vmguard.lease.LeaseUse;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ReceiveResult;
import io.vmguard.lease.ReleaseResult;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** Hand-overs as seen from one host, the test being the other one. All leases of a hand-over share one pair of words. */
public final class FakeTransfer implements LeaseTransfer {
    private final Owner self;
    private final Map<LeaseName, LeaseUse> receiving = new LinkedHashMap<>();
    private final List<String> steps = new ArrayList<>();
    /** Whom the leader of the channel names. */
    public @Nullable Owner owner;

    public @Nullable TransferWord giver;
    public @Nullable TransferWord receiver;
    /** What comes of the next hand-overs; null: they are given. */
    public @Nullable HandOverResult handOver;

    /** Leases that the other side has not asked for: they are kept. */
    public final Set<LeaseName> notAskedFor = new LinkedHashSet<>();

    /** The other side has let go of what it was given. */
    public boolean declined;
    /** Who has it when it is to be taken back and was not declined. */
    public AcquireResult holder = FakeLockspace.heldByNodeB("demo1");

    /** The other side has given what this one has prepared for. */
    public boolean given;

    /** Set: confirmations are on their way until {@link #confirmLate}. */
    public boolean holdBack;

    /** Words cannot be read now. */
    public boolean unreadable;

    /** What an earlier process of this host has given. */
    public final Set<LeaseName> givenBefore = new LinkedHashSet<>();

    private final Map<LeaseName, CompletableFuture<ReceiveResult>> late = new LinkedHashMap<>();

    public FakeTransfer(Owner self) {
        this.self = self;
    }

    /** Everything that was asked for, in order, without looks. */
    public List<String> steps() {
        return List.copyOf(steps);
    }

    /** An earlier process of this host has prepared for this. */
    public void receives(LeaseName resource, LeaseNote user, Owner from) {
        receiving.put(resource, new LeaseUse(LeaseMode.EXCLUSIVE, List.of(user), Optional.of(from)));
    }

    @Override
    public CompletableFuture<HandOverResult> handOver(LeaseName resource, Owner to) {
        steps.add("hand over " + resource);
        if (notAskedFor.contains(resource)) {
            return CompletableFuture.completedFuture(
                    new HandOverResult.Kept(LeaseFault.NOT_OWNER, "it has not asked for it"));
        }
        return CompletableFuture.completedFuture(handOver != null ? handOver : new HandOverResult.Given(to, 8));
    }

    @Override
    public CompletableFuture<AcquireResult> takeBack(LeaseName resource) {
        steps.add("take back " + resource);
        return CompletableFuture.completedFuture(
                declined ? new AcquireResult.Acquired(new HeldLease(resource, self, 9, LeaseMode.EXCLUSIVE)) : holder);
    }

    @Override
    public Set<LeaseName> given() {
        return Set.copyOf(givenBefore);
    }

    @Override
    public CompletableFuture<ReceiveResult> prepareToReceive(LeaseName resource, LeaseNote user, Owner from) {
        steps.add("prepare " + resource);
        receives(resource, user, from);
        return CompletableFuture.completedFuture(new ReceiveResult.Prepared());
    }

    @Override
    public CompletableFuture<ReceiveResult> confirmReceived(LeaseName resource, Duration patience) {
        steps.add("confirm " + resource);
        if (holdBack) {
            return late.computeIfAbsent(resource, name -> new CompletableFuture<>());
        }
        if (!given) {
            return CompletableFuture.completedFuture(new ReceiveResult.NotYet());
        }
        receiving.remove(resource);
        return CompletableFuture.completedFuture(confirmed(resource));
    }

    private ReceiveResult confirmed(LeaseName resource) {
        return new ReceiveResult.Confirmed(new HeldLease(resource, self, 8, LeaseMode.EXCLUSIVE));
    }

    /** Those that were held back had succeeded before anything was declined. */
    public void confirmLate() {
        late.forEach((resource, answer) -> answer.complete(confirmed(resource)));
    }

    @Override
    public Map<LeaseName, LeaseUse> receiving() {
        return Map.copyOf(receiving);
    }

    @Override
    public CompletableFuture<ReleaseResult> decline(LeaseName resource) {
        steps.add("decline " + resource);
        return CompletableFuture.completedFuture(
                receiving.remove(resource) != null
                        ? new ReleaseResult.Released()
                        : new ReleaseResult.NotOurs(LeaseFault.NOT_OWNER, "it is not under way to this host"));
    }

    @Override
    public CompletableFuture<TransferResult> look(LeaseName resource) {
        if (unreadable) {
            return CompletableFuture.completedFuture(
                    new TransferResult.CannotTell(LeaseFault.TIMED_OUT, "the storage does not answer"));
        }
        return CompletableFuture.completedFuture(new TransferResult.Seen(
                Optional.ofNullable(owner), 7, false, Optional.ofNullable(giver), Optional.ofNullable(receiver)));
    }

    @Override
    public CompletableFuture<TransferResult> tell(LeaseName resource, long attempt, TransferWord.State state) {
        steps.add("tell " + state);
        TransferWord word = new TransferWord(self, attempt, 7, state);
        if (state.side() == TransferWord.Side.GIVER) {
            giver = word;
        } else {
            receiver = word;
        }
        return look(resource);
    }
}
