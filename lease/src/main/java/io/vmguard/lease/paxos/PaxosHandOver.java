/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Locale;
import java.util.Optional;

/**
 * Gives an exclusive lease that we hold to another live host: a ballot for the next version that proposes the receiver as owner, then
 * the leader. The write of the leader is the one step in which the lease changes hands.
 *
 * <pre>
 *   giver                                             receiver
 *                                                     prepares: no released flag in its block ({@link PaxosReceive})
 *   stops using the disk
 *   reads: receiver alive and prepared
 *   ballot for version + 1: the receiver is chosen
 *   reads: receiver still prepared
 *   leader := receiver                                                                    &lt;- the step
 *                                                     finds itself as owner, confirms
 *                                                     begins to use the disk
 * </pre>
 *
 * All others see an owner that is alive, before the step and after it. The ballot is what keeps a host out that takes the giver for
 * dead: it would carry the giver's proposal on. The receiver's word says that it asks for this very version of this lease. Its flag
 * matters as well, because a leader that names an owner and was written by another is open to everybody once that owner's block is
 * flagged as released.
 *
 * <p>Until the leader is written for the first time the giver can go back: it holds the old version, and what is proposed for the next
 * one takes effect only after that. From then on there is only forward: {@link Result.Unknown} is resolved by running this again.
 */
public final class PaxosHandOver {
    /** How it ended. */
    public sealed interface Result {
        /** The receiver owns it on disk. */
        record Given(LeaderRecord leader) implements Result {}

        /** Nothing was given; we hold it as before. */
        record Kept(LeaseFault fault, String why) implements Result {}

        /** Given or not: run it again until it is known. The disk must not be used meanwhile. */
        record Unknown(LeaseFault fault, String why) implements Result {}

        /** It was not ours any more. */
        record NotOurs(LeaseFault fault, String why) implements Result {}
    }

    private final ResourceContext context;
    private final HeldRecord held;
    private final Owner receiver;
    private final boolean begun;
    private final boolean waits;

    /**
     * @param held exclusively by us, and in use again if nothing is given
     * @param begun an earlier run may have written the leader
     */
    public PaxosHandOver(ResourceContext context, HeldRecord held, Owner receiver, boolean begun) {
        this(context, held, receiver, begun, false);
    }

    private PaxosHandOver(ResourceContext context, HeldRecord held, Owner receiver, boolean begun, boolean waits) {
        this.context = context;
        this.held = held;
        this.receiver = receiver;
        this.begun = begun;
        this.waits = waits;
    }

    /** Of what was given to us and is not wanted here: whoever gave it waits for an answer, and needs to say no word of its own. */
    static PaxosHandOver back(ResourceContext context, HeldRecord held, Owner giver) {
        return new PaxosHandOver(context, held, giver, false, true);
    }

    public Step<Result> start() {
        return Look.take(context, this::onLook, this::back);
    }

    private Step<Result> onLook(Look look) {
        LeaderRecord leader = look.leader();
        if (leader.owner().equals(receiver)
                && !leader.isFree()
                && leader.lver() > held.leader().lver()) {
            return Step.end(new Result.Given(leader));
        }
        // Not the very record: a host that raced with our acquire may have written the same owner once more.
        boolean stillOurs = !leader.isFree()
                && leader.owner().equals(context.me())
                && leader.lver() == held.leader().lver();
        if (!begun && leader.lver() < held.leader().lver()) {
            return hidden(leader);
        }
        if (!stillOurs) {
            return Step.end(new Result.NotOurs(LeaseFault.LEADER_CHANGED, "the leader now says " + leader));
        }
        if (begun) {
            return ballot(look);
        }
        if (look.block(context, context.me().hostId()).undecided(context.me(), leader.lver())) {
            return hidden(leader);
        }
        if (receiver.hostId() < 1 || receiver.hostId() > leader.numHosts() || receiver.equals(context.me())) {
            return kept(LeaseFault.NUM_HOSTS, "host id " + receiver.hostId() + " cannot own it");
        }
        if (look.block(context, receiver.hostId()).released()) {
            return notPrepared();
        }
        return waits
                ? onPrepared(look)
                : PaxosWords.isPrepared(
                        context,
                        receiver,
                        leader.lver(),
                        prepared -> prepared ? onPrepared(look) : notPrepared(),
                        this::back);
    }

    /**
     * A late write has put an old leader back. What we hold is the version of our block; a ballot for the one after the leader's might give
     * it a second owner.
     */
    private Step<Result> hidden(LeaderRecord leader) {
        return kept(
                LeaseFault.LEADER_CHANGED, "the leader shows an older version than the one that is held: " + leader);
    }

    private Step<Result> notPrepared() {
        return kept(LeaseFault.NOT_OWNER, "the receiving host has not prepared for it");
    }

    private Step<Result> onPrepared(Look look) {
        return context.readDelta(receiver.hostId(), delta -> onReceiver(look, delta), this::back);
    }

    private Step<Result> onReceiver(Look look, LeaderRecord delta) {
        long nowNanos = context.clock().bootNanos();
        boolean member = !delta.isFree() && delta.owner().equals(receiver);
        boolean silent = context.hosts()
                .of(receiver.hostId())
                .filter(s -> s.sound() && s.owner().equals(receiver))
                .map(s -> delta.timestamp() == s.timestamp() && tooLong(s, nowNanos))
                .orElse(true);
        if (!member || silent) {
            return kept(
                    LeaseFault.NOT_OWNER,
                    String.format(
                            Locale.ROOT, "host id %d is not known to be alive as %s", receiver.hostId(), receiver));
        }
        return ballot(look);
    }

    private static boolean tooLong(HostSighting sighting, long nowNanos) {
        return sighting.silentFor(nowNanos).compareTo(sighting.timeouts().renewalFailed()) > 0;
    }

    private Step<Result> ballot(Look look) {
        return new Ballot(
                        context,
                        look.nextLver(),
                        look.nextNumber(context),
                        look.leader().numHosts(),
                        receiver,
                        false,
                        !waits,
                        // We own it under this generation: whatever we proposed before, we never wrote it into the
                        // leader.
                        Optional.empty())
                .start(result -> {
                    if (result instanceof Ballot.Result.Chosen chosen) {
                        return onChosen(chosen.block());
                    }
                    if (result instanceof Ballot.Result.Failed failed) {
                        return back(failed.fault(), failed.why());
                    }
                    // Only a host that takes us for dead can be ahead.
                    return back(LeaseFault.LOST_RACE, "another host is taking the lease");
                });
    }

    private Step<Result> onChosen(DiskBlock block) {
        if (!block.proposed().equals(receiver)) {
            return back(LeaseFault.LOST_RACE, "another host's proposal was found: " + block.proposed());
        }
        return begun
                ? commit(block)
                : context.readBlock(
                        receiver.hostId(),
                        theirs -> theirs.released()
                                ? kept(LeaseFault.NOT_OWNER, "the receiving host declined")
                                : commit(block),
                        this::back);
    }

    private Step<Result> commit(DiskBlock block) {
        LeaderRecord given = held.leader()
                .edit()
                .lver(block.lver())
                .owner(block.proposed())
                .timestamp(block.inp3())
                .writer(context.me(), context.clock().monotonicSeconds())
                .seal();
        return context.writeLeader(
                given,
                () -> Step.end(new Result.Given(given)),
                (fault, why) -> Step.end(
                        fault == LeaseFault.NO_MEMBERSHIP && !begun
                                ? new Result.Kept(fault, why)
                                : new Result.Unknown(fault, "commit: " + why)));
    }

    /** Nothing was written to the leader in this run. */
    private Step<Result> back(LeaseFault fault, String why) {
        return begun ? Step.end(new Result.Unknown(fault, why)) : kept(fault, why);
    }

    /** What has become of a lease that was given. */
    public enum Progress {
        /** The receiver owns it and has not said that it knows. */
        UNCONFIRMED,
        CONFIRMED,
        /** It is ours again: the receiver gave it back. */
        RETURNED,
        /** Neither ours nor the receiver's: it has gone on. */
        ELSEWHERE,
        /** It cannot be told now. */
        UNKNOWN
    }

    /** Looks at a lease that was given; writes nothing. */
    public static Step<Progress> progress(ResourceContext context, Owner receiver) {
        return context.readLeader(
                leader -> Step.end(progress(leader, context.me(), receiver)),
                (fault, why) -> Step.end(Progress.UNKNOWN));
    }

    private static Progress progress(LeaderRecord leader, Owner me, Owner receiver) {
        if (leader.isFree()) {
            return Progress.ELSEWHERE;
        }
        if (leader.owner().equals(receiver)) {
            return leader.writer().equals(receiver) ? Progress.CONFIRMED : Progress.UNCONFIRMED;
        }
        return leader.owner().equals(me) ? Progress.RETURNED : Progress.ELSEWHERE;
    }

    private static Step<Result> kept(LeaseFault fault, String why) {
        return Step.end(new Result.Kept(fault, why));
    }
}
