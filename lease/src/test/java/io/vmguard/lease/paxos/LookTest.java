/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LeaseName;
import io.vmguard.lease.RequestMode;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A look reads no more than it must, believes nothing that is not sound, and finds where a next ballot has to start. */
class LookTest {
    private record Refused(LeaseFault fault, String why) {}

    private final LeaseBench bench = new LeaseBench();

    private Object take() {
        return take(bench);
    }

    private static Object take(LeaseBench on) {
        return on.disk.run(Look.<Object>take(on.host(1), Step::end, (fault, why) -> Step.end(new Refused(fault, why))));
    }

    private Look look() {
        Object taken = take();
        assertThat(taken).isInstanceOf(Look.class);
        return (Look) taken;
    }

    private void refused(LeaseFault fault, String why) {
        Object taken = take();
        assertThat(taken).isInstanceOf(Refused.class);
        assertThat(((Refused) taken).fault()).isEqualTo(fault);
        assertThat(((Refused) taken).why()).contains(why);
    }

    private static LeaseBench madeFor(int hosts) {
        return new LeaseBench(LeaseLayout.SECTOR_512, new LeaseName("space"), new LeaseName("res"), hosts);
    }

    @Test
    void aResourceOfTheUsualSizeIsReadOnce() {
        Look look = look();
        assertThat(look.leader()).isEqualTo(bench.leader());
        assertThat(look.sectors()).hasSize(8 * 512);
        assertThat(bench.disk.reads())
                .containsExactly(new MemoryDisk.Read(
                        Step.Area.RESOURCE, 0, 8 * 512, bench.host(1).timeouts().ioTimeout()));
    }

    @Test
    void aResourceMadeForMoreHostsIsReadAgainInFull() {
        LeaseBench stock = madeFor(2000);
        stock.block(2000, DiskBlock.entering(4000, 3));
        Object taken = take(stock);
        assertThat(taken).isInstanceOf(Look.class);
        assertThat(((Look) taken).highestNumber()).isEqualTo(4000);
        assertThat(stock.disk.reads()).extracting(MemoryDisk.Read::length).containsExactly(8 * 512, 1 << 20);
    }

    @Test
    void aResourceMadeForFewerHostsHasOnlyTheirBlocks() {
        LeaseBench small = madeFor(2);
        small.corrupt(small.layout.diskBlockOffset(3));
        assertThat(take(small)).isInstanceOf(Look.class);
        assertThat(small.disk.reads()).extracting(MemoryDisk.Read::length).containsExactly(8 * 512);
        small.corrupt(small.layout.diskBlockOffset(2));
        assertThat(take(small)).isInstanceOf(Refused.class);
    }

    @Test
    void oneTornBlockClosesTheLease() {
        bench.corrupt(bench.layout.diskBlockOffset(6));
        refused(LeaseFault.DBLOCK_CHECKSUM, "host id 6: ");
        refused(LeaseFault.DBLOCK_CHECKSUM, "remove the file and try again");
        assertThat(bench.disk.writes()).isEmpty();
    }

    @Test
    void aLeaderOfAnUnknownKindIsRefusedButNotToBeThrownAway() {
        bench.corrupt(0);
        refused(LeaseFault.MAGIC, "magic 0x5a5a5a5a is not a resource lease. Another program, or a newer version");
        raw(0, LeaderRecord.INDEX_MAGIC);
        refused(LeaseFault.RESOURCE_INDEX, "a resource index, which vmguard does not use. Another program");
        raw(0, LeaderRecord.PAXOS_MAGIC).raw(4, 0x00070001);
        refused(LeaseFault.VERSION, "resource lease of major version 7. Another program, or a newer version");
    }

    @Test
    void aLeaseThatWasRemovedOrIsDamagedIsOfNoUseToAnybody() {
        bench.leader(LeaderRecord.Editor::cleared);
        refused(LeaseFault.MAGIC, "the lease was deliberately removed. If no host holds this lease, remove the file");
        raw(0, LeaderRecord.PAXOS_MAGIC).raw(152, 7);
        disk()[153] ^= 1;
        refused(LeaseFault.CHECKSUM, "If no host holds this lease, remove the file and try again");
    }

    /** Of another geometry every offset is another host's; with another step two hosts meet at one ballot number. */
    @ParameterizedTest
    @CsvSource({
        "12, 4096, 'sector size 4096, align flag 0x10, 6 of 2000 hosts'",
        "8,  0x80, 'sector size 512, align flag 0x80, 6 of 2000 hosts'",
        "8,  0x30, 'sector size 512, align flag 0x30, 6 of 2000 hosts'",
        "16, 2001, 'sector size 512, align flag 0x10, 2001 of 2000 hosts'",
        "24, 0,    'sector size 512, align flag 0x10, 6 of 0 hosts'",
        "24, 1,    'sector size 512, align flag 0x10, 6 of 1 hosts'",
        "24, 250,  'sector size 512, align flag 0x10, 6 of 250 hosts'",
    })
    void aResourceThatIsCutOtherwiseThanItsLockspaceIsRefusedByEveryMachine(int offset, String value, String why) {
        raw(offset, Integer.decode(value));
        refused(LeaseFault.GEOMETRY, why + "; its lockspace has sector size 512, align flag 0x10, 2000 hosts");
        refused(LeaseFault.GEOMETRY, "remove the file and try again");
        ResourceContext context = bench.host(1);
        assertThat(bench.disk.run(new PaxosAcquire(context).start()))
                .isInstanceOfSatisfying(
                        PaxosAcquire.Result.Failed.class,
                        failed -> assertThat(failed.fault()).isEqualTo(LeaseFault.GEOMETRY));
        assertThat(bench.disk.run(new PaxosRequest(context, RequestMode.GRACEFUL).start()))
                .isInstanceOfSatisfying(
                        PaxosRequest.Result.Failed.class,
                        failed -> assertThat(failed.fault()).isEqualTo(LeaseFault.GEOMETRY));
        assertThat(bench.disk.run(new PaxosAdopt(context).start()))
                .isInstanceOfSatisfying(
                        PaxosAdopt.Result.Failed.class,
                        failed -> assertThat(failed.fault()).isEqualTo(LeaseFault.GEOMETRY));
        assertThat(bench.disk.writes()).isEmpty();
    }

    /** Records from before minor version 4 do not say how large their area is: it was implied. */
    @Test
    void aResourceWithoutAnAlignFlagIsOfTheImpliedGeometry() {
        raw(8, 0);
        assertThat(take()).isInstanceOf(Look.class);
    }

    private byte[] disk() {
        return bench.disk.area(Step.Area.RESOURCE);
    }

    /** Another value in the leader, under a right checksum. */
    private LookTest raw(int offset, int value) {
        ByteBuffer.wrap(disk()).order(ByteOrder.LITTLE_ENDIAN).putInt(offset, value);
        bench.leader(edit -> edit);
        return this;
    }

    @Test
    void aReadThatFailsIsSaid() {
        bench.disk.failing(1);
        refused(LeaseFault.IO, "I/O 1 fails");
        LeaseBench stock = madeFor(2000);
        stock.disk.failing(2);
        assertThat(take(stock)).isEqualTo(new Refused(LeaseFault.IO, "I/O 2 fails"));
    }

    /** The leader says version 5. */
    @ParameterizedTest
    @CsvSource({"0, 6, false", "5, 6, false", "6, 6, false", "7, 7, true", "9, 9, true"})
    void theNextVersionIsOneMoreThanTheLeadersUnlessABlockIsFurther(long inBlocks, long next, boolean stale) {
        bench.leader(edit -> edit.lver(5));
        bench.block(2, DiskBlock.entering(2, 1));
        bench.block(3, DiskBlock.entering(3, inBlocks));
        bench.block(4, DiskBlock.entering(4, 2));
        assertThat(look().nextLver()).isEqualTo(next);
        assertThat(look().stale()).isEqualTo(stale);
        assertThat(look().highestLver()).isEqualTo(Math.max(2, inBlocks));
    }

    @ParameterizedTest
    @CsvSource({
        "0,    3, 2000, 3",
        "1,    1, 2000, 2001",
        "1,    2, 2000, 2002",
        "2001, 2, 2000, 4002",
        "2000, 1, 2000, 4001",
        "1,    1, 250,  251",
        "251,  2, 250,  502",
    })
    void aBallotNumberIsAboveAllThatWereSeenAndNoOtherHosts(long seen, long host, long step, long next) {
        assertThat(Ballot.nextNumber(seen, host, step)).isEqualTo(next);
    }

    @Test
    void theHighestNumberCountsWhoeverEnteredIt() {
        bench.block(6, DiskBlock.entering(4006, 1));
        bench.block(2, DiskBlock.entering(2002, 9));
        assertThat(look().highestNumber()).isEqualTo(4006);
        assertThat(look().nextNumber(bench.host(1))).isEqualTo(4006 - 4006 % 2000 + 2000 + 1);
    }

    @Test
    void sharersAreTheHostsWithAMark() {
        DiskBlock block = DiskBlock.entering(1, 1).proposing(1, 1, 1);
        bench.block(1, block.asShared(1)).block(3, block).block(6, block.asShared(1));
        assertThat(look().sharers(bench.host(1))).containsExactlyInAnyOrder(1L, 6L);
        assertThat(look().block(bench.host(1), 6)).isEqualTo(block.asShared(1));
        assertThat(Optional.of(look().block(bench.host(1), 2)))
                .contains(new DiskBlock(0, 0, 0, 0, 0, 0, false, false, 0));
    }
}
