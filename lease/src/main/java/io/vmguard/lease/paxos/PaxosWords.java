/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferResult;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.TransferSector;
import io.vmguard.lease.step.Step;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;

/** Reads and leaves the words of a hand-over. Touches neither leader nor disk blocks. */
public final class PaxosWords {
    /** No attempt is named so: each is drawn at random. */
    private static final long NO_ATTEMPT = 0;

    private PaxosWords() {}

    /** The leader first: a word that is newer than the leader is harmless, one that is older would be taken for current. */
    public static Step<TransferResult> look(ResourceContext context) {
        return context.readLeader(leader -> words(context, leader), PaxosWords::failed);
    }

    private static Step<TransferResult> words(ResourceContext context, LeaderRecord leader) {
        int sectorBytes = context.layout().sectorBytes();
        return context.read(
                context.layout().wordOffset(TransferWord.Side.GIVER),
                2 * sectorBytes,
                bytes -> Step.end(new TransferResult.Seen(
                        owner(leader),
                        leader.lver(),
                        !leader.isFree() && leader.writer().equals(leader.owner()),
                        TransferSector.decode(bytes, 0, TransferWord.Side.GIVER),
                        TransferSector.decode(bytes, sectorBytes, TransferWord.Side.RECEIVER))),
                PaxosWords::failed);
    }

    private static Optional<Owner> owner(LeaderRecord leader) {
        return leader.isFree() ? Optional.empty() : Optional.of(leader.owner());
    }

    /** A leader made for more hosts than the area has room for, whose ballots would read the word as a disk block, is none that is read. */
    public static Step<TransferResult> tell(ResourceContext context, long attempt, TransferWord.State state) {
        return context.readLeader(
                leader -> context.write(
                        context.layout().wordOffset(state.side()),
                        TransferSector.encode(
                                context.layout(), new TransferWord(context.me(), attempt, leader.lver(), state)),
                        () -> look(context),
                        PaxosWords::failed),
                PaxosWords::failed);
    }

    /** Says that we are prepared for this version of the lease, in no attempt's name: what a hand-over is for, its parties know. */
    static <R> Step<R> sayPrepared(
            ResourceContext context,
            long lver,
            Supplier<Step<R>> then,
            BiFunction<LeaseFault, String, Step<R>> failed) {
        TransferWord word = new TransferWord(context.me(), NO_ATTEMPT, lver, TransferWord.State.PREPARED);
        return context.write(
                context.layout().wordOffset(word.state().side()),
                TransferSector.encode(context.layout(), word),
                then,
                failed);
    }

    /** Whether that host is prepared for this version, or uses it already. */
    static <R> Step<R> isPrepared(
            ResourceContext context,
            Owner receiver,
            long lver,
            Function<Boolean, Step<R>> then,
            BiFunction<LeaseFault, String, Step<R>> failed) {
        return context.read(
                context.layout().wordOffset(TransferWord.Side.RECEIVER),
                context.layout().sectorBytes(),
                bytes -> then.apply(TransferSector.decode(bytes, 0, TransferWord.Side.RECEIVER)
                        .filter(word -> word.from().equals(receiver) && word.lver() == lver)
                        .filter(word -> word.state() != TransferWord.State.ENDED)
                        .isPresent()),
                failed);
    }

    private static Step<TransferResult> failed(LeaseFault fault, String why) {
        return Step.end(new TransferResult.CannotTell(fault, why));
    }
}
