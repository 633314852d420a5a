/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.Owner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One host's sector in a resource area: its ballot block and its shared mark, little-endian.
 *
 * <pre>
 *   0 mbal                 8 bal
 *  16 inp (owner id)      24 inp2 (owner generation)
 *  32 inp3 (timestamp)    40 lver
 *  48 checksum of 0..47   52 flags, 0x1 released
 * 128 mode flags, 0x1 shared          136 mode generation, also without the flag: see giving
 * </pre>
 *
 * The checksum covers neither the flags nor the mode. All other bytes are ignored on reading and zero on writing.
 *
 * @param mbal highest ballot number this host entered
 * @param bal ballot number in which the value was proposed, 0 in phase 1
 * @param inp proposed owner id, 0 = none
 * @param inp2 proposed owner generation
 * @param inp3 proposed timestamp
 * @param lver lease version this ballot is for
 * @param modeGeneration under which it is shared; or, if it is not, under which its host holds the version before this one, or has
 *     given it away and would take it back, which stock hosts do not read; 0 if neither
 */
public record DiskBlock(
        long mbal,
        long bal,
        long inp,
        long inp2,
        long inp3,
        long lver,
        boolean released,
        boolean shared,
        long modeGeneration) {
    private static final int CHECKSUM = 48;
    private static final int FLAGS = 52;
    private static final int MODE_FLAGS = 128;
    private static final int MODE_GENERATION = 136;

    /** Phase 1: the number is entered, nothing is proposed. */
    public static DiskBlock entering(long mbal, long lver) {
        return new DiskBlock(mbal, 0, 0, 0, 0, lver, false, false, 0);
    }

    /** A higher number is entered; what was proposed for this version before may be chosen, and stays. */
    public DiskBlock entering(long higher) {
        return new DiskBlock(higher, bal, inp, inp2, inp3, lver, false, false, 0);
    }

    /** A value that is decided already, as its owner records it. */
    public static DiskBlock decided(long mbal, Owner owner, long timestamp, long lver) {
        return new DiskBlock(mbal, mbal, owner.hostId(), owner.generation(), timestamp, lver, false, false, 0);
    }

    /** Phase 2: this value is proposed. */
    public DiskBlock proposing(long inp, long inp2, long inp3) {
        return new DiskBlock(mbal, mbal, inp, inp2, inp3, lver, false, shared, modeGeneration);
    }

    /** The same ballot values with the released flag: wiping them would disturb ballots that are under way. */
    public DiskBlock asReleased() {
        return new DiskBlock(mbal, bal, inp, inp2, inp3, lver, true, false, 0);
    }

    /** The same ballot values without flag or mark: an exclusive holder's, or that of a host about to be given the lease. */
    public DiskBlock asExclusive() {
        return new DiskBlock(mbal, bal, inp, inp2, inp3, lver, false, false, 0);
    }

    /** Held in shared mode under this generation; the exclusive hold that it came from is over. */
    public DiskBlock asShared(long generation) {
        return new DiskBlock(mbal, bal, inp, inp2, inp3, lver, true, true, generation);
    }

    /** The same values with the shared mark in place: a holder in shared mode that runs a ballot keeps it. */
    public DiskBlock keepingMark(long generation) {
        return new DiskBlock(mbal, bal, inp, inp2, inp3, lver, released, true, generation);
    }

    /**
     * The same values of a host that holds the version before exclusively, and may go on holding it if it does not come to another owner
     * by this ballot. Other blocks of a live host for a version say that the one before is nobody's.
     */
    public DiskBlock giving(long generation) {
        return new DiskBlock(mbal, bal, inp, inp2, inp3, lver, false, false, generation);
    }

    /** @see #giving */
    public boolean isGiving() {
        return !released && !shared && modeGeneration != 0;
    }

    /**
     * Whether this is the block of a host that has given the lease to the owner in the leader, by that very leader, and would take it back:
     * the owner has not confirmed it, and we do not say that we want it no more.
     *
     * @param giver whose block this is, under the generation that gave
     */
    public boolean isAwaiting(LeaderRecord leader, Owner giver) {
        return isGiving()
                && modeGeneration == giver.generation()
                && lver == leader.lver()
                && !leader.isFree()
                && leader.writer().equals(giver)
                && !leader.owner().equals(giver)
                && leader.owner().equals(proposed());
    }

    /** 0 if it is not shared. */
    public long sharedGeneration() {
        return shared ? modeGeneration : 0;
    }

    /** Whether it proposes this owner for a version that the leader does not show yet: the next ballot may decide for it. */
    public boolean undecided(Owner owner, long leaderLver) {
        return lver > leaderLver && bal != 0 && proposed().equals(owner);
    }

    /** The owner that is proposed. */
    public Owner proposed() {
        return new Owner(inp, inp2);
    }

    /**
     * Decodes one sector. An empty block is valid.
     *
     * @return corrupt if the checksum does not match
     */
    public static Decoded<DiskBlock> decode(byte[] area, int offset) {
        ByteBuffer in = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
        DiskBlock block = new DiskBlock(
                in.getLong(offset),
                in.getLong(offset + 8),
                in.getLong(offset + 16),
                in.getLong(offset + 24),
                in.getLong(offset + 32),
                in.getLong(offset + 40),
                (in.getInt(offset + FLAGS) & 1) != 0,
                (in.getInt(offset + MODE_FLAGS) & 1) != 0,
                in.getLong(offset + MODE_GENERATION));
        int checksum = in.getInt(offset + CHECKSUM);
        boolean empty = checksum == 0 && block.mbal == 0 && block.bal == 0 && block.inp == 0 && block.lver == 0;
        if (!empty && checksum != SanlockChecksum.ofDiskBlock(area, offset)) {
            return new Decoded.Corrupt<>(
                    LeaseFault.DBLOCK_CHECKSUM, "disk block at offset " + offset + " has a wrong checksum");
        }
        return new Decoded.Valid<>(block);
    }

    /** A whole sector. */
    public byte[] sector(LeaseLayout layout) {
        ByteBuffer out = ByteBuffer.allocate(layout.sectorBytes()).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(0, mbal).putLong(8, bal).putLong(16, inp).putLong(24, inp2).putLong(32, inp3);
        out.putLong(40, lver);
        out.putInt(CHECKSUM, SanlockChecksum.ofDiskBlock(out.array(), 0));
        out.putInt(FLAGS, released ? 1 : 0);
        out.putInt(MODE_FLAGS, shared ? 1 : 0).putLong(MODE_GENERATION, modeGeneration);
        return out.array();
    }
}
