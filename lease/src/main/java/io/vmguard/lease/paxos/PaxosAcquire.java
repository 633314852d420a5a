/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Iterator;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Takes a resource lease, without ever waiting for a holder.
 *
 * <pre>
 * LOOK    read leader and blocks; every block must be sound
 * JUDGE   free, or ours, or its owner gone  -> BALLOT        else -> held
 * BALLOT  re-read the leader (unless it was free or ours): unchanged -> run a ballot for the next version
 * COMMIT  write the chosen owner into the leader
 * then    exclusive   hosts with a live shared mark keep the resource: give the lease back
 *         shared      set our mark, then free the leader: a shared holder is seen by its mark alone
 * </pre>
 *
 * There is no read after the commit: the ballot made the outcome unique. A round that is lost to another host starts again at LOOK;
 * after {@value #MAX_ROUNDS} rounds the answer is what was seen last.
 */
public final class PaxosAcquire {
    /** What is wanted. */
    public enum Want {
        EXCLUSIVE,
        SHARED,
        /** Exclusive, by a host that holds it shared and goes on doing so if it cannot have more. */
        UPGRADE
    }

    /** How an acquire ended. */
    public sealed interface Result {
        /** Ours, on disk, as wanted. */
        record Acquired(HeldRecord held) implements Result {}

        /**
         * Somebody's.
         *
         * @param hostName as in the delta lease; may be empty
         * @param sighting of its host, if there is one
         * @param shared held in shared mode
         */
        record Held(
                Owner owner,
                String hostName,
                Optional<HostSighting> sighting,
                HostStatus status,
                Optional<LeaseNote> note,
                boolean shared)
                implements Result {}

        /** @param mayHaveWon a proposal or commit of ours may take effect yet, or we have entered a ballot and do not know of it */
        record Failed(LeaseFault fault, String why, boolean mayHaveWon) implements Result {}
    }

    /** Races end within one or two rounds; the bound keeps a start from hanging on a storm. */
    static final int MAX_ROUNDS = 6;

    /** How often an owner that is only passing through is waited for; sanlock's number. */
    private static final int MAX_SHORT_HOLDS = 8;

    private static final Duration BACKOFF = Duration.ofMillis(300);
    private static final Duration SHORT_HOLD_PAUSE = Duration.ofSeconds(1);

    private final ResourceContext context;
    private final Want want;
    private int round;
    private int shortHolds;
    /** Version for which a proposal of ours is on disk and not known to be decided; 0 = none. */
    private long proposedLver;
    /** The leader names us: by our released flag others know better, but a ballot of ours takes that flag away. */
    private boolean namesUs;
    /** What the last ballot has left in our block. Without the released flag it reads like that of a host which waits to be given the lease. */
    private Optional<DiskBlock> left = Optional.empty();

    /** Takes it exclusively. */
    public PaxosAcquire(ResourceContext context) {
        this(context, Want.EXCLUSIVE);
    }

    public PaxosAcquire(ResourceContext context, Want want) {
        this.context = context;
        this.want = want;
    }

    public Step<Result> start() {
        round++;
        return Look.take(context, this::judge, this::failed);
    }

    private Step<Result> judge(Look look) {
        LeaderRecord leader = look.leader();
        noteDecided(leader);
        DiskBlock mine = look.block(context, context.me().hostId());
        if (mine.undecided(context.me(), leader.lver())) {
            proposedLver = mine.lver(); // by an earlier acquire, perhaps of a process before this one
        }
        Owner owner = leader.holder();
        namesUs = !leader.isFree() && owner.equals(context.me());
        boolean ours = owner.hostId() == context.me().hostId()
                && owner.generation() <= context.me().generation();
        if (leader.isFree() || ours) {
            return look.stale() ? recheckThenBallot(look) : firstBallot(look);
        }
        if (owner.hostId() < 1 || owner.hostId() > context.layout().maxHosts()) {
            return failed(LeaseFault.CHECKSUM, "its owner has the impossible host id " + owner.hostId());
        }
        long askedNanos = context.clock().bootNanos();
        return context.readDelta(
                owner.hostId(),
                delta -> onOwner(look, delta, askedNanos),
                (fault, why) -> failed(fault, "delta lease of its owner, host id " + owner.hostId() + ": " + why));
    }

    /** Whether the owner is gone. Silence is counted from our own sightings only, and dead is strictly more than its time. */
    private Step<Result> onOwner(Look look, LeaderRecord delta, long askedNanos) {
        LeaderRecord leader = look.leader();
        Owner owner = leader.holder();
        boolean left = delta.isFree();
        boolean reborn =
                delta.owner().hostId() != owner.hostId() || delta.owner().generation() > owner.generation();
        if (left || reborn) {
            return recheckThenBallot(look);
        }
        Optional<HostSighting> known = context.hosts()
                .of(owner.hostId())
                .filter(s -> s.sound() && s.owner().equals(owner));
        if (known.isEmpty()) {
            // Never seen by us, or its record changed hands: one sight proves neither life nor death.
            return held(look, delta, known, HostStatus.UNKNOWN);
        }
        HostSighting sighting = known.get();
        long nowNanos = context.clock().bootNanos();
        boolean renewed = delta.timestamp() != sighting.timestamp();
        boolean dead = !renewed && askedNanos - sighting.lastLiveNanos() > sighting.deadNanos();
        if (dead) {
            return recheckThenBallot(look);
        }
        HostStatus status = renewed ? HostStatus.LIVE : sighting.status(nowNanos);
        if (leader.writer().equals(leader.owner())) {
            return held(look, delta, known, status);
        }
        return unlessReleased(look, () -> held(look, delta, known, status));
    }

    /**
     * Another host committed this owner, or a later life of it did, who may have given up already:
     *
     * <pre>
     *   X proposes itself
     *                                   Y finishes X's ballot and commits X
     *   X releases: sets its flag, finds the leader written by Y, leaves it alone
     * </pre>
     */
    private Step<Result> unlessReleased(Look look, Supplier<Step<Result>> held) {
        return context.readBlock(
                look.leader().owner().hostId(),
                block -> block.released() ? recheckThenBallot(look) : held.get(),
                this::failed);
    }

    /**
     * Either a late write has put an old version over that of a live host, which the blocks would bring back; but that host is about to give
     * it away, or has tried to, and its block is for the version after. Whoever were decided for that one now would be its second owner.
     * Or it has given it to a host that is gone before it has confirmed, and waits for it to come back.
     */
    private Step<Result> heldByGiver(Owner giver) {
        if (proposedLver != 0) {
            return failed(LeaseFault.LOST_RACE, "a proposal of ours is still undecided");
        }
        Optional<HostSighting> sighting = context.hosts().of(giver.hostId());
        HostStatus status =
                sighting.map(s -> s.status(context.clock().bootNanos())).orElse(HostStatus.UNKNOWN);
        return withoutTrace(() -> Step.end(new Result.Held(
                giver, sighting.map(HostSighting::name).orElse(""), sighting, status, Optional.empty(), false)));
    }

    private void noteDecided(LeaderRecord leader) {
        if (leader.lver() >= proposedLver) {
            proposedLver = 0;
        }
    }

    private Step<Result> held(Look look, LeaderRecord delta, Optional<HostSighting> sighting, HostStatus status) {
        LeaderRecord leader = look.leader();
        if (leader.isShortHold() && shortHolds < MAX_SHORT_HOLDS) {
            shortHolds++;
            round = 0;
            return pause(SHORT_HOLD_PAUSE, this::start);
        }
        if (proposedLver != 0) {
            // Whoever runs the next ballot will find our proposal and may make us the owner behind our back.
            return failed(LeaseFault.LOST_RACE, "a proposal of ours is still undecided");
        }
        if (leader.isShortHold()) {
            return withoutTrace(() -> failed(LeaseFault.SHARED_RETRY, LeaseFault.SHARED_RETRY.text()));
        }
        return withoutTrace(() -> withoutMark(
                look,
                () -> readNote(
                        leader,
                        note -> Step.end(new Result.Held(
                                leader.holder(), delta.resourceName(), sighting, status, note, false)))));
    }

    /**
     * Whoever ends without the lease, and without doubt, sets the released flag that a ballot has taken out: what somebody proposes for us,
     * perhaps from a hand-over long ago, would make us an owner that does not know.
     */
    private Step<Result> withoutTrace(Supplier<Step<Result>> then) {
        if (!leftUnflagged()) {
            return then.get();
        }
        DiskBlock block = left.orElseThrow();
        DiskBlock flagged = want == Want.UPGRADE ? block.asShared(context.me().generation()) : block.asReleased();
        return context.writeBlock(
                flagged,
                () -> {
                    left = Optional.of(flagged);
                    return then.get();
                },
                PaxosAcquire::mayHaveWon);
    }

    private boolean leftUnflagged() {
        return left.filter(block -> !block.released()).isPresent();
    }

    /** An earlier acquire may have set our mark and never heard of it. Who is refused now holds nothing, and must not look as if. */
    private Step<Result> withoutMark(Look look, Supplier<Step<Result>> then) {
        DiskBlock mine = look.block(context, context.me().hostId());
        return want == Want.UPGRADE || left.isPresent() || !mine.shared()
                ? then.get()
                : context.writeBlock(mine.asReleased(), then, PaxosAcquire::mayHaveWon);
    }

    /** For people only, so it is no matter if it cannot be read. */
    private Step<Result> readNote(LeaderRecord leader, Function<Optional<LeaseNote>, Step<Result>> then) {
        return context.read(
                context.layout().noteOffset(),
                context.layout().sectorBytes(),
                bytes -> then.apply(NoteSector.decode(bytes, 0, leader.owner(), leader.lver())),
                (fault, why) -> then.apply(Optional.empty()));
    }

    private Step<Result> recheckThenBallot(Look look) {
        Optional<Owner> giver = look.giver(context).or(() -> look.awaitedBy(context));
        if (giver.isPresent()) {
            return heldByGiver(giver.get());
        }
        return context.readLeader(now -> now.equals(look.leader()) ? firstBallot(look) : again(), this::failed);
    }

    /**
     * What stands in our block for the next version stays there, also if we have given that version up: it may be decided, and the
     * leader that says so overwritten by the late write of a host that was taken for dead. Then we bring the decision back.
     */
    private Step<Result> firstBallot(Look look) {
        return runBallot(
                look,
                look.nextNumber(context),
                Optional.of(look.block(context, context.me().hostId())));
    }

    private Step<Result> runBallot(Look look, long number, Optional<DiskBlock> earlier) {
        LeaderRecord leader = look.leader();
        long lver = look.nextLver();
        Ballot ballot = new Ballot(
                context, lver, number, leader.numHosts(), context.me(), want == Want.UPGRADE, false, earlier);
        return ballot.start(result -> {
            if (result instanceof Ballot.Result.Chosen chosen) {
                left = Optional.of(chosen.block());
                return commit(leader, chosen);
            }
            if (result instanceof Ballot.Result.Failed failed) {
                // Also before we proposed anything: the ballot has taken the released flag out of our block, and a late
                // write of a
                // leader that names us would make us an owner that does not know.
                boolean entered = failed.fault() != LeaseFault.NO_MEMBERSHIP;
                return Step.end(
                        new Result.Failed(failed.fault(), failed.why(), entered || failed.proposed() || mayBeOurs()));
            }
            Ballot.Result.Beaten beaten = (Ballot.Result.Beaten) result;
            left = Optional.of(beaten.block());
            if (beaten.proposed()) {
                proposedLver = lver;
            }
            return pause(BACKOFF, () -> afterBeaten(look, number, beaten.block()));
        });
    }

    /**
     * A lost round: has the version been decided meanwhile, perhaps for us? If not, the next round goes on with what our block proposes:
     * somebody may have carried it on, and be about to commit it.
     *
     * @param mine our block as the lost round has left it
     */
    private Step<Result> afterBeaten(Look look, long number, DiskBlock mine) {
        LeaderRecord leader = look.leader();
        return context.readLeader(
                now -> {
                    noteDecided(now);
                    if (now.lver() == look.nextLver() && now.owner().equals(context.me()) && !now.isFree()) {
                        return committedByAnother(now);
                    }
                    if (now.equals(leader) && round < MAX_ROUNDS) {
                        round++;
                        // Above every number we know of, or it would be beaten again by the same block.
                        return runBallot(look, number + leader.maxHosts() * round, Optional.of(mine));
                    }
                    return again();
                },
                this::failed);
    }

    /**
     * Another host wrote us into the leader. That makes us the owner if it has carried on what this acquire proposes: our block has had no
     * flag since before that. What somebody proposed for us earlier may have made the lease free for others, by the flag that our ballot has
     * just taken out, and they may be on their way to the next version. So are we then: its ballot decides.
     */
    private Step<Result> committedByAnother(LeaderRecord leader) {
        namesUs = true;
        return Look.take(
                context,
                look -> {
                    DiskBlock mine = look.block(context, context.me().hostId());
                    boolean ours = look.leader().equals(leader)
                            && look.highestLver() == leader.lver()
                            && mine.undecided(context.me(), leader.lver() - 1)
                            && !mine.released();
                    return ours ? settle(new HeldRecord(leader, mine), look.sharers(context)) : again();
                },
                PaxosAcquire::mayHaveWon);
    }

    private Step<Result> commit(LeaderRecord leader, Ballot.Result.Chosen chosen) {
        DiskBlock block = chosen.block();
        boolean mine = block.proposed().equals(context.me());
        namesUs = block.inp() == context.me().hostId(); // an earlier life of ours, too: others go by who wrote it
        LeaderRecord.Editor editor = leader.edit()
                .lver(block.lver())
                .owner(block.proposed())
                .timestamp(block.inp3())
                .writer(context.me(), context.clock().monotonicSeconds());
        LeaderRecord committed =
                (block.inp() == context.me().hostId() ? editor.shortHold(want == Want.SHARED) : editor).seal();
        return context.writeLeader(
                committed,
                () -> mine ? settle(new HeldRecord(committed, block), chosen.sharers()) : again(),
                (fault, why) -> mayHaveWon(fault, "commit: " + why));
    }

    /** The leader is ours alone; now to what was wanted. */
    private Step<Result> settle(HeldRecord held, Set<Long> sharers) {
        if (want == Want.SHARED) {
            return new PaxosDowngrade(context, held)
                    .run(result ->
                            result.fold(shared -> Step.end(new Result.Acquired(shared)), PaxosAcquire::mayHaveWon));
        }
        Set<Long> others = new TreeSet<>(sharers);
        others.remove(context.me().hostId());
        return nextSharer(held, others.iterator());
    }

    /** A live sharer keeps the resource; the mark of a dead one is wiped, the only foreign sector that is ever written. */
    private Step<Result> nextSharer(HeldRecord held, Iterator<Long> others) {
        if (!others.hasNext()) {
            return want == Want.UPGRADE ? dropMark(held) : Step.end(new Result.Acquired(held));
        }
        long host = others.next();
        return context.readBlock(host, block -> onSharer(held, others, host, block), PaxosAcquire::mayHaveWon);
    }

    private Step<Result> onSharer(HeldRecord held, Iterator<Long> others, long host, DiskBlock block) {
        if (!block.shared() || block.sharedGeneration() == 0) {
            return nextSharer(held, others);
        }
        if (context.hosts().mayHoldShared(host, block.sharedGeneration())) {
            return giveBack(held, new Owner(host, block.sharedGeneration()));
        }
        return context.write(
                context.layout().diskBlockOffset(host),
                new byte[context.layout().sectorBytes()],
                () -> nextSharer(held, others),
                PaxosAcquire::mayHaveWon);
    }

    /** The conversion is done: from here on the leader says all. */
    private Step<Result> dropMark(HeldRecord held) {
        DiskBlock exclusive = held.block().asExclusive();
        return context.writeBlock(
                exclusive,
                () -> Step.end(new Result.Acquired(new HeldRecord(held.leader(), exclusive))),
                PaxosAcquire::mayHaveWon);
    }

    private Step<Result> giveBack(HeldRecord held, Owner sharer) {
        Optional<HostSighting> sighting = context.hosts().of(sharer.hostId());
        HostStatus status =
                sighting.map(s -> s.status(context.clock().bootNanos())).orElse(HostStatus.UNKNOWN);
        Step<Result> refused = Step.end(new Result.Held(
                sharer, sighting.map(HostSighting::name).orElse(""), sighting, status, Optional.empty(), true));
        if (want == Want.UPGRADE) {
            return new PaxosDowngrade(context, held)
                    .run(result -> result.fold(stillShared -> refused, PaxosAcquire::mayHaveWon));
        }
        return new PaxosRelease(context, held)
                .run(result -> result instanceof PaxosRelease.Result.Failed failed
                        ? mayHaveWon(failed.fault(), failed.why())
                        : refused);
    }

    private Step<Result> again() {
        if (round >= MAX_ROUNDS) {
            Supplier<Step<Result>> lost = () -> failed(LeaseFault.LOST_RACE, LeaseFault.LOST_RACE.text());
            return mayBeOurs() ? lost.get() : withoutTrace(lost);
        }
        return round == 1 ? start() : pause(BACKOFF, this::start);
    }

    /** A random wait keeps two hosts from beating each other for ever. */
    private Step<Result> pause(Duration longest, Supplier<Step<Result>> then) {
        Duration length = longest.dividedBy(1000).multipliedBy(context.random().nextInt(1, 1001));
        return new Step.Pause<>(length, then);
    }

    private Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why, mayBeOurs() || leftUnflagged()));
    }

    private boolean mayBeOurs() {
        return proposedLver != 0 || namesUs;
    }

    private static Step<Result> mayHaveWon(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why, true));
    }
}
