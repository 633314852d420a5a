/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.step.Step;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.LongStream;

/**
 * A resource as one read shows it: the leader and every disk block, all of them sound.
 *
 * @param sectors from the leader to the last disk block that takes part
 * @param highestNumber the highest ballot number that any host entered
 * @param highestLver the highest version that any host ran a ballot for
 */
record Look(LeaderRecord leader, byte[] sectors, long highestNumber, long highestLver) {
    /** Nobody can take such a lease, so nobody needs the file. */
    private static final String WAY_OUT = ". If no host holds this lease, remove the file and try again";

    /** What we do not know may be of use to somebody who does. */
    private static final String NOT_OURS =
            ". Another program, or a newer version of this one, may need it. If none does, move it away and try again";

    /**
     * Reads as much as a resource of our lockspace usually has, and once more if this one was made for more hosts: a file of a stock
     * host has 1 MiB of blocks, one of ours 128 KiB.
     */
    static <R> Step<R> take(
            ResourceContext context, Function<Look, Step<R>> then, BiFunction<LeaseFault, String, Step<R>> failed) {
        return take(context, context.layout().ballotBytes(context.usualHosts()), then, failed);
    }

    private static <R> Step<R> take(
            ResourceContext context,
            int bytes,
            Function<Look, Step<R>> then,
            BiFunction<LeaseFault, String, Step<R>> failed) {
        return context.read(
                0,
                bytes,
                area -> {
                    Decoded<LeaderRecord> decoded = context.decodeLeader(area);
                    return decoded.fold(
                            leader -> {
                                int wanted = context.layout().ballotBytes(leader.numHosts());
                                return wanted > bytes
                                        ? take(context, wanted, then, failed)
                                        : of(context, leader, area, then, failed);
                            },
                            (fault, why) -> failed.apply(fault, why + wayOut(fault, LeaderRecord.at(area, 0))));
                },
                failed);
    }

    private static String wayOut(LeaseFault fault, LeaderRecord leader) {
        return switch (fault) {
            case MAGIC -> leader.magic() == LeaderRecord.CLEARED_MAGIC ? WAY_OUT : NOT_OURS;
            case VERSION, RESOURCE_INDEX -> NOT_OURS;
            default -> WAY_OUT;
        };
    }

    private static <R> Step<R> of(
            ResourceContext context,
            LeaderRecord leader,
            byte[] area,
            Function<Look, Step<R>> then,
            BiFunction<LeaseFault, String, Step<R>> failed) {
        long highestNumber = 0;
        long highestLver = 0;
        for (long host = 1; host <= leader.numHosts(); host++) {
            Decoded<DiskBlock> block =
                    DiskBlock.decode(area, (int) context.layout().diskBlockOffset(host));
            if (block instanceof Decoded.Corrupt<DiskBlock> corrupt) {
                return failed.apply(corrupt.fault(), "host id " + host + ": " + corrupt.why() + WAY_OUT);
            }
            DiskBlock sound = ((Decoded.Valid<DiskBlock>) block).value();
            highestNumber = Math.max(highestNumber, sound.mbal());
            highestLver = Math.max(highestLver, sound.lver());
        }
        return then.apply(new Look(leader, area, highestNumber, highestLver));
    }

    /** The block of a host that takes part in ballots; all of them were found sound. */
    DiskBlock block(ResourceContext context, long hostId) {
        return DiskBlock.decode(sectors, (int) context.layout().diskBlockOffset(hostId))
                .fold(Function.identity(), (fault, why) -> {
                    throw new IllegalStateException("a look holds sound blocks only");
                });
    }

    /** Hosts with a shared mark. */
    Set<Long> sharers(ResourceContext context) {
        Set<Long> sharers = new TreeSet<>();
        for (long host = 1; host <= leader.numHosts(); host++) {
            if (block(context, host).shared()) {
                sharers.add(host);
            }
        }
        return sharers;
    }

    /** Another host that may hold it in shared mode. */
    Optional<Owner> liveSharer(ResourceContext context) {
        return sharers(context).stream()
                .filter(host -> host != context.me().hostId())
                .map(host -> new Owner(host, block(context, host).sharedGeneration()))
                .filter(owner -> owner.generation() != 0)
                .filter(owner -> context.hosts().mayHoldShared(owner.hostId(), owner.generation()))
                .findFirst();
    }

    /**
     * Another host that may hold the version before the highest one, and does not show in a leader that is older than both.
     *
     * @return none also if the leader is not
     */
    Optional<Owner> giver(ResourceContext context) {
        if (!stale()) {
            return Optional.empty();
        }
        return LongStream.rangeClosed(1, leader.numHosts())
                .filter(host -> host != context.me().hostId())
                .filter(host -> block(context, host).lver() == highestLver)
                .filter(host -> block(context, host).isGiving())
                .mapToObj(host -> new Owner(host, block(context, host).modeGeneration()))
                .filter(owner -> context.hosts().mayHoldShared(owner.hostId(), owner.generation()))
                .findFirst();
    }

    /**
     * Another host that has given the lease to the owner in the leader, who has not confirmed it, and would take it back. It alone may take
     * it when that owner is gone: the user that it was given for may stand still there, and goes on with the disk as it left it.
     */
    Optional<Owner> awaitedBy(ResourceContext context) {
        Owner giver = leader.writer();
        boolean awaited = highestLver == leader.lver()
                && giver.hostId() >= 1
                && giver.hostId() <= leader.numHosts()
                && giver.hostId() != context.me().hostId()
                && block(context, giver.hostId()).isAwaiting(leader, giver)
                && context.hosts().mayHoldShared(giver.hostId(), giver.generation());
        return awaited ? Optional.of(giver) : Optional.empty();
    }

    /** Our next ballot number, above all that were seen. */
    long nextNumber(ResourceContext context) {
        return Ballot.nextNumber(highestNumber, context.me().hostId(), leader.maxHosts());
    }

    /**
     * The version that the next ballot is for: one more than the leader's, unless a block is further ahead still.
     *
     * <p>That happens when a write of the leader by a host that died was carried out long after its death: the leader then shows an
     * old version, and a ballot for the one after it would be beaten for ever by blocks that are further. The highest version in the
     * blocks is decided or not; a ballot for it finds out, and puts the leader right.
     */
    long nextLver() {
        return Math.max(leader.lver() + 1, highestLver);
    }

    /** The leader is older than the blocks. */
    boolean stale() {
        return highestLver > leader.lver() + 1;
    }
}
