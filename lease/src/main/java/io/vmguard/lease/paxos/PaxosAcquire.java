/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.HostStatus;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.delta.HostSighting;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.step.Step;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Takes a resource lease exclusively, without ever waiting for a holder.
 *
 * <pre>
 * LOOK    read the whole area; every disk block must be sound
 * JUDGE   free, or ours, or its owner gone  -> BALLOT        else -> held
 * BALLOT  re-read the leader (unless it was free or ours): unchanged -> run a ballot for lver + 1
 * COMMIT  write the chosen owner into the leader
 * SHARERS hosts with a live shared mark keep it: give the lease back
 * </pre>
 *
 * There is no read after the commit: the ballot made the outcome unique. A round that is lost to another host starts again at LOOK;
 * after {@value #MAX_ROUNDS} rounds the answer is what was seen last.
 */
public final class PaxosAcquire {
    /** How an acquire ended. */
    public sealed interface Result {
        /** Ours, on disk. */
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

        /** @param mayHaveWon a proposal or commit of ours may take effect yet */
        record Failed(LeaseFault fault, String why, boolean mayHaveWon) implements Result {}
    }

    /** Races end within one or two rounds; the bound keeps a start from hanging on a storm. */
    static final int MAX_ROUNDS = 6;

    /** Nobody can take such a lease, so nobody needs the file. */
    private static final String WAY_OUT = ". If no host holds this lease, remove the file and try again";

    private static final Duration BACKOFF = Duration.ofMillis(300);

    private final ResourceContext context;
    private int round;
    /** Version for which a proposal of ours is on disk and not known to be decided; 0 = none. */
    private long proposedLver;

    /** The last sector seen; not the whole area, which would stay in memory for as long as the ballot takes. */
    private byte[] noteSector = new byte[0];

    public PaxosAcquire(ResourceContext context) {
        this.context = context;
    }

    public Step<Result> start() {
        round++;
        return context.read(0, context.layout().areaBytes(), this::onArea, this::failed);
    }

    private Step<Result> onArea(byte[] bytes) {
        int note = (int) context.layout().noteOffset();
        noteSector = Arrays.copyOfRange(bytes, note, note + context.layout().sectorBytes());
        Decoded<LeaderRecord> decoded = context.decodeLeader(bytes);
        return decoded.fold(leader -> onLook(leader, bytes), (fault, why) -> failed(fault, why + WAY_OUT));
    }

    private Step<Result> onLook(LeaderRecord leader, byte[] area) {
        if (leader.sectorSize() != context.layout().sectorBytes()
                || leader.numHosts() > context.layout().maxHosts()) {
            return failed(
                    LeaseFault.GEOMETRY,
                    String.format(Locale.ROOT, "sector size %d, %d hosts", leader.sectorSize(), leader.numHosts())
                            + WAY_OUT);
        }
        noteDecided(leader);
        long highest = 0;
        for (long host = 1; host <= leader.numHosts(); host++) {
            Decoded<DiskBlock> block =
                    DiskBlock.decode(area, (int) context.layout().diskBlockOffset(host));
            if (block instanceof Decoded.Corrupt<DiskBlock> corrupt) {
                return failed(corrupt.fault(), "host id " + host + ": " + corrupt.why() + WAY_OUT);
            }
            highest =
                    Math.max(highest, ((Decoded.Valid<DiskBlock>) block).value().mbal());
        }
        long mbal = Ballot.nextNumber(highest, context.me().hostId(), leader.maxHosts());
        return judge(leader, mbal);
    }

    private Step<Result> judge(LeaderRecord leader, long mbal) {
        Owner owner = leader.owner();
        boolean ours = owner.hostId() == context.me().hostId()
                && owner.generation() <= context.me().generation();
        if (leader.isFree() || ours) {
            return runBallot(leader, mbal);
        }
        if (owner.hostId() < 1 || owner.hostId() > context.layout().maxHosts()) {
            return failed(LeaseFault.CHECKSUM, "its owner has the impossible host id " + owner.hostId());
        }
        return context.readDelta(
                owner.hostId(),
                delta -> onOwner(leader, mbal, delta),
                (fault, why) -> failed(fault, "delta lease of its owner, host id " + owner.hostId() + ": " + why));
    }

    /** Whether the owner is gone. Silence is counted from our own sightings only, and dead is strictly more than 8 t + 60 s. */
    private Step<Result> onOwner(LeaderRecord leader, long mbal, LeaderRecord delta) {
        Owner owner = leader.owner();
        boolean left = delta.isFree();
        boolean reborn =
                delta.owner().hostId() != owner.hostId() || delta.owner().generation() > owner.generation();
        if (left || reborn) {
            return recheckThenBallot(leader, mbal);
        }
        Optional<HostSighting> known = context.hosts()
                .of(owner.hostId())
                .filter(s -> s.sound() && s.owner().equals(owner));
        if (known.isEmpty()) {
            // Never seen by us, or its record changed hands: one sight proves neither life nor death.
            return held(leader, delta, known, HostStatus.UNKNOWN);
        }
        HostSighting sighting = known.get();
        long nowNanos = context.clock().bootNanos();
        boolean renewed = delta.timestamp() != sighting.timestamp();
        boolean dead = !renewed && nowNanos - sighting.lastLiveNanos() > sighting.deadNanos();
        if (dead) {
            return recheckThenBallot(leader, mbal);
        }
        HostStatus status = renewed ? HostStatus.LIVE : sighting.status(nowNanos);
        if (leader.writer().hostId() == owner.hostId()) {
            return held(leader, delta, known, status);
        }
        return unlessReleased(leader, mbal, () -> held(leader, delta, known, status));
    }

    /**
     * Another host committed this owner, who may have given up already:
     *
     * <pre>
     *   X proposes itself
     *                                   Y finishes X's ballot and commits X
     *   X releases: sets its flag, finds the leader written by Y, leaves it alone
     * </pre>
     */
    private Step<Result> unlessReleased(LeaderRecord leader, long mbal, Supplier<Step<Result>> held) {
        return context.read(
                context.layout().diskBlockOffset(leader.owner().hostId()),
                context.layout().sectorBytes(),
                bytes -> {
                    boolean released = DiskBlock.decode(bytes, 0).fold(DiskBlock::released, (fault, why) -> false);
                    return released ? recheckThenBallot(leader, mbal) : held.get();
                },
                this::failed);
    }

    private void noteDecided(LeaderRecord leader) {
        if (leader.lver() >= proposedLver) {
            proposedLver = 0;
        }
    }

    private Step<Result> held(
            LeaderRecord leader, LeaderRecord delta, Optional<HostSighting> sighting, HostStatus status) {
        if (proposedLver != 0) {
            // Whoever runs the next ballot will find our proposal and may make us the owner behind our back.
            return failed(LeaseFault.TIMED_OUT, "a proposal of ours is still undecided");
        }
        Optional<LeaseNote> note = NoteSector.decode(noteSector, 0, leader.owner(), leader.lver());
        return Step.end(new Result.Held(leader.owner(), delta.resourceName(), sighting, status, note, false));
    }

    private Step<Result> recheckThenBallot(LeaderRecord leader, long mbal) {
        return context.readLeader(
                now -> {
                    if (now.equals(leader)) {
                        return runBallot(leader, mbal);
                    }
                    return again();
                },
                this::failed);
    }

    private Step<Result> runBallot(LeaderRecord leader, long mbal) {
        return new Ballot(context, leader.lver() + 1, mbal, leader.numHosts()).start(result -> {
            if (result instanceof Ballot.Result.Chosen chosen) {
                return commit(leader, chosen);
            }
            if (result instanceof Ballot.Result.Failed failed) {
                return Step.end(
                        new Result.Failed(failed.fault(), failed.why(), failed.proposed() || proposedLver != 0));
            }
            if (((Ballot.Result.Beaten) result).proposed()) {
                proposedLver = leader.lver() + 1;
            }
            return pause(() -> afterBeaten(leader, mbal));
        });
    }

    /** A lost round: has the version been decided meanwhile, perhaps for us? */
    private Step<Result> afterBeaten(LeaderRecord leader, long mbal) {
        return context.readLeader(
                now -> {
                    noteDecided(now);
                    if (now.lver() == leader.lver() + 1 && now.owner().equals(context.me()) && !now.isFree()) {
                        return committedByAnother(now);
                    }
                    if (now.equals(leader) && round < MAX_ROUNDS) {
                        round++;
                        // Above every number we know of, or it would be beaten again by the same block.
                        return runBallot(leader, mbal + leader.maxHosts() * round);
                    }
                    return again();
                },
                this::failed);
    }

    /** Another host carried our proposal on and wrote us into the leader. Shared marks are ours to check all the same. */
    private Step<Result> committedByAnother(LeaderRecord leader) {
        return context.read(
                0,
                context.layout().ballotBytes(leader.numHosts()),
                bytes -> DiskBlock.decode(bytes, (int)
                                context.layout().diskBlockOffset(context.me().hostId()))
                        .fold(
                                block ->
                                        settleSharers(new HeldRecord(leader, block), sharers(bytes, leader.numHosts())),
                                PaxosAcquire::mayHaveWon),
                PaxosAcquire::mayHaveWon);
    }

    private Set<Long> sharers(byte[] bytes, long numHosts) {
        Set<Long> sharers = new TreeSet<>();
        for (long host = 1; host <= numHosts; host++) {
            if (DiskBlock.decode(bytes, (int) context.layout().diskBlockOffset(host))
                    .fold(DiskBlock::shared, (fault, why) -> true)) {
                sharers.add(host); // a block that cannot be read is looked at again, and refused there
            }
        }
        return sharers;
    }

    private Step<Result> commit(LeaderRecord leader, Ballot.Result.Chosen chosen) {
        DiskBlock block = chosen.block();
        boolean mine = block.inp() == context.me().hostId()
                && block.inp2() == context.me().generation();
        LeaderRecord.Editor editor = leader.edit()
                .lver(block.lver())
                .owner(new Owner(block.inp(), block.inp2()))
                .timestamp(block.inp3())
                .writer(context.me(), context.clock().monotonicSeconds());
        LeaderRecord committed = (block.inp() == context.me().hostId() ? editor.shortHold(false) : editor).seal();
        return context.write(
                context.layout().leaderOffset(),
                committed.sector(context.layout()),
                () -> mine ? settleSharers(new HeldRecord(committed, block), chosen.sharers()) : again(),
                (fault, why) -> mayHaveWon(fault, "commit: " + why));
    }

    private Step<Result> settleSharers(HeldRecord held, Set<Long> sharers) {
        Set<Long> others = new TreeSet<>(sharers);
        others.remove(context.me().hostId());
        return nextSharer(held, others.iterator());
    }

    /** A live sharer keeps the resource; the mark of a dead one is wiped, the only foreign sector that is ever written. */
    private Step<Result> nextSharer(HeldRecord held, Iterator<Long> others) {
        if (!others.hasNext()) {
            return Step.end(new Result.Acquired(held));
        }
        long host = others.next();
        long offset = context.layout().diskBlockOffset(host);
        return context.read(
                offset,
                context.layout().sectorBytes(),
                bytes -> DiskBlock.decode(bytes, 0)
                        .fold(block -> onSharer(held, others, host, block), PaxosAcquire::mayHaveWon),
                PaxosAcquire::mayHaveWon);
    }

    private Step<Result> onSharer(HeldRecord held, Iterator<Long> others, long host, DiskBlock block) {
        if (!block.shared() || block.sharedGeneration() == 0) {
            return nextSharer(held, others);
        }
        if (context.hosts()
                .mayHoldShared(host, block.sharedGeneration(), context.clock().bootNanos())) {
            return giveBack(held, new Owner(host, block.sharedGeneration()));
        }
        return context.write(
                context.layout().diskBlockOffset(host),
                new byte[context.layout().sectorBytes()],
                () -> nextSharer(held, others),
                PaxosAcquire::mayHaveWon);
    }

    private Step<Result> giveBack(HeldRecord held, Owner sharer) {
        Optional<HostSighting> sighting = context.hosts().of(sharer.hostId());
        HostStatus status =
                sighting.map(s -> s.status(context.clock().bootNanos())).orElse(HostStatus.UNKNOWN);
        Result refused = new Result.Held(
                sharer, sighting.map(HostSighting::name).orElse(""), sighting, status, Optional.empty(), true);
        return new PaxosRelease(context, held).run(result -> {
            if (result instanceof PaxosRelease.Result.Failed failed) {
                return Step.end(new Result.Failed(failed.fault(), failed.why(), true));
            }
            return Step.end(refused);
        });
    }

    private Step<Result> again() {
        if (round >= MAX_ROUNDS) {
            return failed(LeaseFault.TIMED_OUT, "other hosts kept racing for it");
        }
        return round == 1 ? start() : pause(this::start);
    }

    private Step<Result> pause(Supplier<Step<Result>> then) {
        // A random wait keeps two hosts from beating each other for ever.
        Duration length = BACKOFF.dividedBy(1000).multipliedBy(context.random().nextInt(1, 1001));
        return new Step.Pause<>(length, then);
    }

    private Step<Result> failed(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why, proposedLver != 0));
    }

    private static Step<Result> mayHaveWon(LeaseFault fault, String why) {
        return Step.end(new Result.Failed(fault, why, true));
    }
}
