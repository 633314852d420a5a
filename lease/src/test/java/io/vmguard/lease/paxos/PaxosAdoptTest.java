/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.paxos.PaxosAdopt.Result;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How host 1 of generation 2 holds a resource of version 4, told from the disk alone, in every combination of leader and block. */
class PaxosAdoptTest {
    private static final Owner ME = new Owner(1, 2);

    private final LeaseBench bench = new LeaseBench();

    private Result adopt() {
        return bench.disk.run(new PaxosAdopt(bench.host(ME)).start());
    }

    /**
     * Leader: owner (-: free) and writer. Block: flagged as released, generation of the mark (0: none), version.
     *
     * <p>A leader that another wrote for us is a hand-over not yet confirmed if our block never ran for that version, and our own
     * ballot carried on if it did. A proposal of ours for a version above the leader's is not decided yet.
     */
    @ParameterizedTest
    @CsvSource({
        // leader ours, written by us
        "1/2, 1/2, false, 0, 4, Held",
        "1/2, 1/2, false, 0, 3, Held",
        "1/2, 1/2, true,  0, 4, HalfReleased",
        "1/2, 1/2, true,  2, 4, HalfReleased",
        "1/2, 1/2, false, 2, 4, HalfReleased",
        "1/2, 1/2, false, 1, 4, Held",
        // written by an earlier life of ours
        "1/2, 1/1, false, 0, 3, Held",
        // ours, written by another
        "1/2, 2/1, false, 0, 4, Held",
        "1/2, 2/1, false, 0, 3, Unconfirmed",
        "1/2, 2/1, false, 0, 5, Held",
        "1/2, 2/1, true,  0, 4, HalfReleased",
        "1/2, 2/1, true,  0, 3, HalfReleased",
        "1/2, 2/1, false, 2, 3, HalfReleased",
        // free
        "-,   1/2, false, 0, 4, NotHeld",
        "-,   1/2, true,  0, 4, NotHeld",
        "-,   1/2, true,  2, 4, Held",
        "-,   1/2, true,  1, 4, NotHeld",
        "-,   2/1, true,  2, 3, Held",
        "-,   2/1, false, 0, 5, Proposed",
        "-,   2/1, true,  1, 5, Proposed",
        "-,   2/1, true,  2, 5, Held",
        // another life's, another's
        "1/1, 1/1, false, 0, 4, NotHeld",
        "1/3, 1/3, false, 0, 4, NotHeld",
        "2/1, 2/1, false, 0, 4, NotHeld",
        "2/2, 2/2, false, 0, 4, NotHeld",
        "2/1, 2/1, true,  2, 4, Held",
        "2/1, 2/1, true,  3, 4, NotHeld",
        "2/1, 2/1, false, 0, 5, Proposed",
        "1/1, 1/1, false, 0, 5, Proposed",
        // an earlier life's, whose proposal we carried on: others take us for its owner
        "1/1, 1/2, false, 0, 4, Proposed",
        "1/1, 1/2, true,  2, 4, Held",
    })
    void everyCombination(String owner, String writer, boolean released, long mark, long lver, String result) {
        bench.leader(edit -> edit.owner(owner.equals("-") ? ME : owner(owner))
                .timestamp(owner.equals("-") ? 0 : 500)
                .lver(4)
                .writer(owner(writer), 500));
        DiskBlock block = new DiskBlock(1, 1, 1, 2, 500, lver, released, mark != 0, mark);
        bench.block(1, block);
        HeldRecord held = new HeldRecord(bench.leader(), block);
        Result expected = switch (result) {
            case "Held" -> new Result.Held(held);
            case "HalfReleased" -> new Result.HalfReleased(held);
            case "Proposed" -> new Result.Proposed();
            case "Unconfirmed" -> new Result.Unconfirmed(bench.leader());
            default -> new Result.NotHeld();
        };
        assertThat(adopt()).isEqualTo(expected);
        assertThat(bench.disk.writes()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"2, 6, true", "1, 6, false", "2, 5, false"})
    void aHoldThatWasToBeGivenAwayIsThereStillUnderAnOldLeader(long generation, long lver, boolean overwritten) {
        bench.leader(edit -> edit.owner(owner("2/1")).timestamp(500).lver(4).writer(owner("2/1"), 500));
        DiskBlock block = DiskBlock.entering(1, lver).proposing(3, 1, 500).giving(generation);
        bench.block(1, block);
        assertThat(adopt())
                .isEqualTo(
                        overwritten
                                ? new Result.Overwritten(new HeldRecord(bench.leader(), block))
                                : new Result.NotHeld());
    }

    /** Leader: owner and writer. Block: the receiver that it proposes, version, generation that gives (0: none). */
    @ParameterizedTest
    @CsvSource({
        "2/1, 1/2, 2/1, 4, 2, true",
        "2/1, 2/1, 2/1, 4, 2, false", // confirmed
        "2/1, 1/1, 2/1, 4, 2, false", // by an earlier life of ours
        "2/1, 1/2, 2/2, 4, 2, false", // to another life of it
        "3/1, 1/2, 2/1, 4, 2, false",
        "2/1, 1/2, 2/1, 3, 2, false",
        "2/1, 1/2, 2/1, 4, 1, false",
        "2/1, 1/2, 2/1, 4, 0, false", // another host's proposal that we have carried on
    })
    void whatWasGivenAndNotConfirmedMayComeBack(
            String owner, String writer, String receiver, long lver, long generation, boolean given) {
        bench.leader(edit -> edit.owner(owner(owner)).timestamp(500).lver(4).writer(owner(writer), 500));
        Owner to = owner(receiver);
        DiskBlock block = DiskBlock.entering(1, lver).proposing(to.hostId(), to.generation(), 500);
        bench.block(1, generation == 0 ? block : block.giving(generation));
        assertThat(adopt()).isEqualTo(given ? new Result.Given(to) : new Result.NotHeld());
        bench.leader(edit -> edit.timestamp(0));
        assertThat(adopt()).as("it has been freed").isEqualTo(new Result.NotHeld());
        bench.leader(edit -> edit.timestamp(500));
        bench.block(1, block.giving(generation).asReleased());
        assertThat(adopt()).as("we want it no more").isEqualTo(new Result.NotHeld());
        assertThat(bench.disk.writes()).isEmpty();
    }

    private static Owner owner(String text) {
        String[] parts = text.split("/");
        return new Owner(Long.parseLong(parts[0]), Long.parseLong(parts[1]));
    }

    @ParameterizedTest
    @CsvSource({"1", "2"})
    void whatCannotBeReadIsNotKnown(int io) {
        bench.disk.failing(io);
        assertThat(adopt()).isEqualTo(new Result.Failed(LeaseFault.IO, "I/O " + io + " fails"));
    }

    @Test
    void whatIsNotSoundIsNotKnown() {
        bench.corrupt(bench.layout.diskBlockOffset(1));
        assertThat(adopt()).isInstanceOf(Result.Failed.class);
        assertThat(((Result.Failed) adopt()).fault()).isEqualTo(LeaseFault.DBLOCK_CHECKSUM);
    }
}
