/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.IoOutcome;
import io.vmguard.lease.step.Step;
import java.util.Optional;

/** Machines that are shown something else than what is on disk, or whose writes are changed on the way: bugs without buggy code. */
final class Tampered {
    private static final LeaseLayout LAYOUT = Simulation.LAYOUT;

    private Tampered() {}

    /** What happens to the I/O of one machine. */
    abstract static class Tamper {
        final long me;

        /** @param me host id of the machine */
        Tamper(long me) {
            this.me = me;
        }

        /** All blocks have been read. */
        void onBlocks(byte[] area) {}

        /** The machine's own block is about to be written. */
        DiskBlock onOwnBlock(DiskBlock block) {
            return block;
        }

        static void put(byte[] area, long host, byte[] sector) {
            System.arraycopy(sector, 0, area, (int) LAYOUT.diskBlockOffset(host), sector.length);
        }

        static Optional<DiskBlock> block(byte[] area, long host) {
            return DiskBlock.decode(area, (int) LAYOUT.diskBlockOffset(host)) instanceof Decoded.Valid<DiskBlock> valid
                    ? Optional.of(valid.value())
                    : Optional.empty();
        }
    }

    static <R> Step<R> with(Step<R> step, Tamper tamper) {
        if (step instanceof Step.Read<R> read) {
            return new Step.Read<>(read.area(), read.offsetBytes(), read.lengthBytes(), read.limit(), outcome -> {
                boolean blocks = read.area() == Step.Area.RESOURCE && read.lengthBytes() > LAYOUT.sectorBytes();
                if (blocks && outcome instanceof IoOutcome.Done done) {
                    tamper.onBlocks(done.bytes());
                }
                return with(read.then().apply(outcome), tamper);
            });
        }
        if (step instanceof Step.Write<R> write) {
            boolean own =
                    write.area() == Step.Area.RESOURCE && write.offsetBytes() == LAYOUT.diskBlockOffset(tamper.me);
            byte[] sector = own
                    ? DiskBlock.decode(write.sector(), 0)
                            .fold(tamper::onOwnBlock, (fault, why) -> DiskBlock.entering(0, 0))
                            .sector(LAYOUT)
                    : write.sector();
            return new Step.Write<>(
                    write.area(),
                    write.offsetBytes(),
                    sector,
                    write.limit(),
                    outcome -> with(write.then().apply(outcome), tamper));
        }
        if (step instanceof Step.Pause<R> pause) {
            return new Step.Pause<>(pause.length(), () -> with(pause.then().get(), tamper));
        }
        return step;
    }

    /** After phase 2 it sees no block but its own. */
    static final class WithoutRivals extends Tamper {
        private boolean proposed;

        WithoutRivals(long me) {
            super(me);
        }

        @Override
        DiskBlock onOwnBlock(DiskBlock block) {
            proposed = block.bal() == block.mbal() && !block.released();
            return block;
        }

        @Override
        void onBlocks(byte[] area) {
            for (long host = 1; proposed && host <= Simulation.MAX_HOSTS; host++) {
                if (host != me) {
                    put(area, host, new byte[LAYOUT.sectorBytes()]);
                }
            }
            proposed = false;
        }
    }

    /** In phase 1 it sees what numbers others have entered, and no proposal. */
    static final class WithoutProposals extends Tamper {
        private boolean entered;

        WithoutProposals(long me) {
            super(me);
        }

        @Override
        DiskBlock onOwnBlock(DiskBlock block) {
            entered = block.bal() != block.mbal();
            return block;
        }

        @Override
        void onBlocks(byte[] area) {
            for (long host = 1; entered && host <= Simulation.MAX_HOSTS; host++) {
                long other = host;
                block(area, host)
                        .filter(b -> other != me && b.bal() != 0)
                        .ifPresent(b -> put(
                                area,
                                other,
                                new DiskBlock(
                                                b.mbal(),
                                                0,
                                                0,
                                                0,
                                                0,
                                                b.lver(),
                                                b.released(),
                                                b.shared(),
                                                b.sharedGeneration())
                                        .sector(LAYOUT)));
            }
            entered = false;
        }
    }

    /** Entering a ballot wipes the proposal that stood in the block. */
    static final class WithoutMemory extends Tamper {
        WithoutMemory(long me) {
            super(me);
        }

        @Override
        DiskBlock onOwnBlock(DiskBlock block) {
            boolean enters = !block.released() && block.bal() != block.mbal();
            return enters
                    ? new DiskBlock(
                            block.mbal(), 0, 0, 0, 0, block.lver(), false, block.shared(), block.sharedGeneration())
                    : block;
        }
    }

    /** The ballots of a conversion carry no shared mark. */
    static final class WithoutMark extends Tamper {
        WithoutMark(long me) {
            super(me);
        }

        @Override
        DiskBlock onOwnBlock(DiskBlock block) {
            return block.released() ? block : block.asExclusive();
        }
    }

    /**
     * If the first look shows a free lease, the machine is given a second one in which it is still free, whoever has taken it
     * meanwhile: that is what becomes of a re-read of the leader whose result is used for the version but not compared.
     */
    static <R> Step<R> judgedByAnOlderRead(Step<R> machine) {
        if (!(machine instanceof Step.Read<R> look) || look.lengthBytes() <= LAYOUT.sectorBytes()) {
            return machine;
        }
        return new Step.Read<>(
                look.area(),
                look.offsetBytes(),
                look.lengthBytes(),
                look.limit(),
                outcome -> outcome instanceof IoOutcome.Done done
                                && LeaderRecord.at(done.bytes(), 0).isFree()
                        ? new Step.Read<>(
                                look.area(),
                                look.offsetBytes(),
                                look.lengthBytes(),
                                look.limit(),
                                later -> look.then().apply(asFree(later)))
                        : look.then().apply(outcome));
    }

    private static IoOutcome asFree(IoOutcome outcome) {
        if (outcome instanceof IoOutcome.Done done) {
            byte[] free =
                    LeaderRecord.at(done.bytes(), 0).edit().timestamp(0).seal().sector(LAYOUT);
            System.arraycopy(free, 0, done.bytes(), 0, free.length);
        }
        return outcome;
    }
}
