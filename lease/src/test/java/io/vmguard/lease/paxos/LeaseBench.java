/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.paxos;

import static org.assertj.core.api.Assertions.assertThat;

import io.vmguard.lease.LeaseName;
import io.vmguard.lease.Owner;
import io.vmguard.lease.Timeouts;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.delta.HostTable;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseArea;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.TransferSector;
import io.vmguard.lease.step.HandClock;
import io.vmguard.lease.step.MemoryDisk;
import io.vmguard.lease.step.Step;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;

/** A lockspace, a resource and their hosts on a disk in memory. Each host has its own view of the others. */
final class LeaseBench {
    /** Hosts that a bench's resource is made for, unless it says otherwise. */
    static final int HOSTS = 6;

    final HandClock clock = new HandClock();
    final LeaseLayout layout;
    final MemoryDisk disk;
    private final LeaseName lockspace;
    private final LeaseName resource;
    private final Timeouts timeouts = Timeouts.ofSeconds(10);
    private final Map<Long, HostTable> tables = new HashMap<>();
    private final Set<Long> lost = new HashSet<>();
    private int usualHosts = HOSTS;

    LeaseBench(LeaseLayout layout, LeaseName lockspace, LeaseName resource, int numHosts) {
        this.layout = layout;
        this.lockspace = lockspace;
        this.resource = resource;
        this.disk = new MemoryDisk(
                LeaseArea.lockspace(layout, lockspace, timeouts.ioTimeoutSeconds()),
                LeaseArea.resource(layout, lockspace, resource, numHosts),
                clock);
    }

    /** A free resource for {@value #HOSTS} hosts. */
    LeaseBench() {
        this(LeaseLayout.SECTOR_512, new LeaseName("space"), new LeaseName("res"), HOSTS);
    }

    /** For how many hosts the hosts of this bench expect a resource to be made. */
    LeaseBench usually(int hosts) {
        usualHosts = hosts;
        return this;
    }

    // ---- the hosts

    /** A host of generation 1. */
    ResourceContext host(long id) {
        return host(new Owner(id, 1));
    }

    ResourceContext host(Owner me) {
        return new ResourceContext(
                lockspace,
                resource,
                layout,
                usualHosts,
                timeouts,
                me,
                table(me.hostId()),
                () -> !lost.contains(me.hostId()),
                clock,
                new Random(me.hostId()));
    }

    HostTable table(long id) {
        return tables.computeIfAbsent(id, key -> new HostTable(lockspace, layout, timeouts));
    }

    /** The membership of a host is over. */
    void lose(long id) {
        lost.add(id);
    }

    /** A host reads the lockspace now, as each renewal does. */
    LeaseBench looks(long id) {
        table(id).update(disk.area(Step.Area.LOCKSPACE), clock.bootNanos(), clock.bootNanos());
        return this;
    }

    // ---- what lies on the disk

    /** The delta lease of a host, as it renews it. */
    LeaseBench delta(Owner owner, long timestamp) {
        LeaderRecord record = LeaderRecord.freeDelta(layout, lockspace, timeouts.ioTimeoutSeconds())
                .edit()
                .owner(owner)
                .hostName("host-" + owner.hostId())
                .timestamp(timestamp)
                .seal();
        disk.put(Step.Area.LOCKSPACE, layout.deltaOffset(owner.hostId()), record.sector(layout));
        return this;
    }

    LeaseBench leader(UnaryOperator<LeaderRecord.Editor> change) {
        return leader(change.apply(leader().edit()).seal());
    }

    LeaseBench leader(LeaderRecord record) {
        disk.put(Step.Area.RESOURCE, layout.leaderOffset(), record.sector(layout));
        return this;
    }

    LeaseBench block(long hostId, DiskBlock block) {
        disk.put(Step.Area.RESOURCE, layout.diskBlockOffset(hostId), block.sector(layout));
        return this;
    }

    /** What a host that waits for this version has said. */
    LeaseBench prepared(Owner receiver, long lver) {
        return word(new TransferWord(receiver, 0, lver, TransferWord.State.PREPARED));
    }

    LeaseBench word(TransferWord word) {
        disk.put(Step.Area.RESOURCE, layout.wordOffset(word.state().side()), TransferSector.encode(layout, word));
        return this;
    }

    /** Exclusively held by this owner since this second, as its own acquire leaves it. */
    HeldRecord held(Owner owner, long lver, long timestamp) {
        DiskBlock block = DiskBlock.decided(owner.hostId(), owner, timestamp, lver);
        leader(edit -> edit.owner(owner).lver(lver).timestamp(timestamp).writer(owner, timestamp));
        block(owner.hostId(), block);
        return new HeldRecord(leader(), block);
    }

    /** Bytes of the resource that no record has. */
    LeaseBench corrupt(long offset) {
        byte[] garbage = new byte[layout.sectorBytes()];
        Arrays.fill(garbage, (byte) 0x5A);
        disk.put(Step.Area.RESOURCE, offset, garbage);
        return this;
    }

    LeaderRecord leader() {
        return LeaderRecord.at(disk.area(Step.Area.RESOURCE), 0);
    }

    DiskBlock block(long hostId) {
        return valid(DiskBlock.decode(disk.area(Step.Area.RESOURCE), (int) layout.diskBlockOffset(hostId)));
    }

    HeldRecord onDisk(long hostId) {
        return new HeldRecord(leader(), block(hostId));
    }

    private static <T> T valid(Decoded<T> decoded) {
        assertThat(decoded).isInstanceOf(Decoded.Valid.class);
        return ((Decoded.Valid<T>) decoded).value();
    }

    // ---- what was written

    /** One write of the resource, read back: {@code leader …}, {@code block of 3 …} or {@code offset …}. */
    record Written(String what, Object record) {}

    /** The leader in a sector that was written. */
    Written leaderWritten(LeaderRecord record) {
        return new Written("leader", record);
    }

    Written blockWritten(long hostId, DiskBlock block) {
        return new Written("block of " + hostId, block);
    }

    /** The word of a host that is prepared for this version. */
    Written preparedWritten(Owner receiver, long lver) {
        return new Written("word", new TransferWord(receiver, 0, lver, TransferWord.State.PREPARED));
    }

    /** All writes in order, by what they are; each is checked to be a whole sector that encodes exactly that. */
    List<Written> written() {
        return disk.writes().stream().map(this::written).toList();
    }

    private Written written(MemoryDisk.Write write) {
        assertThat(write.area()).isEqualTo(Step.Area.RESOURCE);
        assertThat(write.limit()).isEqualTo(timeouts.ioTimeout());
        if (write.offset() == layout.leaderOffset()) {
            LeaderRecord record = LeaderRecord.at(write.sector(), 0);
            assertThat(write.sector()).isEqualTo(record.edit().seal().sector(layout));
            return new Written("leader", record);
        }
        if (write.offset() == layout.wordOffset(TransferWord.Side.RECEIVER)) {
            return new Written(
                    "word",
                    TransferSector.decode(write.sector(), 0, TransferWord.Side.RECEIVER)
                            .orElseThrow());
        }
        if (write.offset() >= layout.diskBlockOffset(1)) {
            DiskBlock block = valid(DiskBlock.decode(write.sector(), 0));
            long host = write.offset() / layout.sectorBytes() - 1;
            boolean wiped = Arrays.equals(write.sector(), new byte[layout.sectorBytes()]);
            assertThat(write.sector()).isEqualTo(wiped ? new byte[layout.sectorBytes()] : block.sector(layout));
            return new Written((wiped ? "wiped block of " : "block of ") + host, block);
        }
        return new Written("offset " + write.offset(), HexFormat.of().formatHex(write.sector(), 0, 24));
    }
}
