/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseNote;
import io.vmguard.lease.Owner;
import io.vmguard.lease.TransferWord;
import io.vmguard.lease.inspect.AreaDump.Sector;
import io.vmguard.lease.ondisk.Decoded;
import io.vmguard.lease.ondisk.DiskBlock;
import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import io.vmguard.lease.ondisk.LockspaceRules;
import io.vmguard.lease.ondisk.NoteSector;
import io.vmguard.lease.ondisk.TransferSector;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Walks an area sector by sector and has each one taken apart by what it is for. */
final class AreaDumper {
    /** Where sanlock keeps a client's bytes, whatever the geometry. */
    private static final int LVB_SECTOR = 2002;

    /** Sectors without a meaning that are shown; a file of anything else is no use as a dump. */
    private static final int MAX_UNKNOWN = 32;

    private static final int BITMAP = 256;
    private static final int BITMAP_BYTES = 256;
    private static final int NOTE_MAGIC = 0x314E4756; // "VGN1"
    private static final int WORD_MAGIC = 0x31544756; // "VGT1"
    private static final int RULES_MAGIC = 0x314C4756; // "VGL1"

    private static final byte[] ZEROES = new byte[4096];

    private final Look look;
    private final LeaseLayout layout;
    private final byte[] area;
    private final List<Sector> sectors = new ArrayList<>();
    private final List<String> remarks = new ArrayList<>();
    private int unknown;

    private AreaDumper(Look look, LeaseLayout layout, byte[] area) {
        this.look = look;
        this.layout = layout;
        this.area = area;
    }

    /** @param area what could be read of it, whole sectors of 512 bytes */
    static AreaDump dump(Look look, LeaseLayout layout, byte[] area) {
        return new AreaDumper(look, layout, area).dump();
    }

    private AreaDump dump() {
        Look.Kind kind = look.kind();
        int whole = area.length / layout.sectorBytes();
        int neverTaken = 0;
        for (int index = 0; index < whole; index++) {
            if (kind == Look.Kind.LOCKSPACE && neverTaken(index)) {
                neverTaken++;
            } else if (!blank(index)) {
                switch (kind) {
                    case LOCKSPACE -> lockspaceSector(index);
                    case RESOURCE, CLEARED -> resourceSector(index);
                    default -> unknownSector(index, "unknown bytes");
                }
            }
        }
        if (neverTaken > 0) {
            remarks.add(neverTaken + " delta leases were never taken and are left out");
        }
        remarks.add("sectors that are all zeroes are left out");
        if (unknown > MAX_UNKNOWN) {
            remarks.add(unknown - MAX_UNKNOWN + " more sectors hold unknown bytes");
        }
        if (look.entry().bytes() > layout.areaBytes()) {
            remarks.add("the file has " + (look.entry().bytes() - layout.areaBytes()) + " bytes beyond the area");
        } else if (area.length < layout.areaBytes()) {
            remarks.add("the file ends after " + look.entry().bytes() + " of " + layout.areaBytes() + " bytes");
        }
        return new AreaDump(look.path(), title(kind), List.copyOf(sectors), List.copyOf(remarks));
    }

    private String title(Look.Kind kind) {
        String what = switch (kind) {
            case LOCKSPACE -> "lockspace";
            case RESOURCE -> "resource";
            case CLEARED -> "resource, deliberately removed";
            case INDEX -> "resource index of sanlock";
            case BLANK -> "all zeroes: its creator did not finish";
            case FOREIGN -> "not a lease";
        };
        boolean lease = kind == Look.Kind.LOCKSPACE || kind == Look.Kind.RESOURCE || kind == Look.Kind.CLEARED;
        return lease ? what + ", " + Geometry.of(layout) : what;
    }

    private boolean neverTaken(int index) {
        int offset = index * layout.sectorBytes();
        return index < layout.maxHosts()
                && LeaderRecord.isUnusedDelta(area, offset)
                && Look.sound(LeaderRecord.at(area, offset))
                && zero(offset + LeaderRecord.BYTES, layout.sectorBytes() - LeaderRecord.BYTES);
    }

    private boolean blank(int index) {
        return zero(index * layout.sectorBytes(), layout.sectorBytes());
    }

    private boolean zero(int offset, int length) {
        return Arrays.equals(area, offset, offset + length, ZEROES, 0, length);
    }

    private SectorDump at(int index) {
        return new SectorDump(area, index * layout.sectorBytes(), layout.sectorBytes());
    }

    // ---- lockspace

    private void lockspaceSector(int index) {
        if (index == layout.noteOffset() / layout.sectorBytes() && isNote(index, RULES_MAGIC)) {
            rules(index);
            return;
        }
        if (index >= layout.maxHosts()) {
            unknownSector(index, "beyond the delta leases: unknown bytes");
            return;
        }
        int offset = index * layout.sectorBytes();
        SectorDump sector = at(index);
        LeaderDump.delta(sector, LeaderRecord.at(area, offset));
        List<Long> asked = LockspaceReader.marked(area, offset, layout);
        if (!asked.isEmpty()) {
            sector.add(BITMAP, BITMAP_BYTES, "bitmap", asked.toString(), "host ids that it has something for");
        }
        sectors.add(sector.sector("delta lease of host id " + (index + 1)));
    }

    // ---- resource

    private void resourceSector(int index) {
        LeaderRecord leader = look.record();
        if (index == 0) {
            SectorDump sector = at(0);
            LeaderDump.resource(sector, leader);
            sectors.add(sector.sector("leader record"));
        } else if (index == 1) {
            request();
        } else if (index - 1 <= leader.numHosts() && index - 1 <= layout.maxHosts()) {
            diskBlock(index, "disk block of host id " + (index - 1));
        } else if (index == layout.noteOffset() / layout.sectorBytes() && isNote(index, NOTE_MAGIC)) {
            note(index, leader);
        } else if (isWord(index)) {
            word(index);
        } else if (index == LVB_SECTOR) {
            unknownSector(index, "lock value block of a sanlock client");
        } else if (index - 1 <= layout.maxHosts()) {
            diskBlock(index, "disk block of host id " + (index - 1) + ", beyond num_hosts: takes no part in ballots");
        } else {
            unknownSector(index, "beyond the disk blocks: unknown bytes");
        }
    }

    private void request() {
        SectorDump sector = at(1);
        long mode = Integer.toUnsignedLong(sector.u32(16));
        sector.hex32(0, "magic", sector.u32(0) == 0x08292011 ? "request record" : "none of the format's")
                .hex32(4, "version", (sector.u32(4) >>> 16) + "." + (sector.u32(4) & 0xFFFF))
                .number64(8, "lver", "lease version that is asked for; outdated once the leader has it")
                .number32(
                        16,
                        "force_mode",
                        mode == 0
                                ? "none"
                                : mode == 1 ? "kill the holder" : mode == 2 ? "stop it gracefully" : "unknown");
        sectors.add(sector.sector("request record"));
    }

    private void diskBlock(int index, String title) {
        SectorDump sector = at(index);
        boolean sound = DiskBlock.decode(area, index * layout.sectorBytes()) instanceof Decoded.Valid<DiskBlock>;
        int flags = sector.u32(52);
        int mode = sector.u32(128);
        sector.number64(0, "mbal", "highest ballot number that this host entered")
                .number64(8, "bal", sector.u64(8) == 0 ? "nothing proposed" : "ballot number of the proposal")
                .number64(16, "inp", "proposed owner: host id")
                .number64(24, "inp2", "proposed owner: generation")
                .number64(32, "inp3", "proposed timestamp")
                .number64(40, "lver", "lease version of the ballot")
                .hex32(
                        48,
                        "checksum",
                        sound ? "right, over bytes 0 to 47" : "WRONG, over bytes 0 to 47: nobody can take the lease")
                .hex32(52, "flags", (flags & 1) != 0 ? "RELEASED" : "")
                .hex32(128, "mode flags", (mode & 1) != 0 ? "SHARED" : "no shared mark")
                .number64(136, "mode generation", modeGeneration(mode, flags, sector.u64(136)));
        sectors.add(sector.sector(title));
    }

    private static String modeGeneration(int mode, int flags, long generation) {
        if ((mode & 1) != 0) {
            return "generation of the sharer";
        }
        return generation != 0 && (flags & 1) == 0 ? "generation of a host that gives the version before away" : "";
    }

    // ---- our own sectors

    private boolean isNote(int index, int magic) {
        SectorDump sector = at(index);
        return sector.u32(0) == 0 && sector.u32(4) == magic;
    }

    private void rules(int index) {
        SectorDump sector = at(index);
        boolean sound = LockspaceRules.decode(area, layout) instanceof Decoded.Valid<LockspaceRules>;
        sector.add(4, 4, "magic", "\"VGL1\"", "vmguard's rules of the lockspace")
                .number32(8, "watchdog", "seconds that a silent host is given after 8 T")
                .number32(12, "max_hosts", "hosts that resources are made for")
                .hex32(508, "checksum", sound ? "right, over bytes 0 to 507" : "NOT SOUND: vmguard does not join");
        sectors.add(sector.sector("rules of vmguard"));
    }

    private void note(int index, LeaderRecord leader) {
        SectorDump sector = at(index);
        Owner owner = new Owner(sector.u64(8), sector.u64(16));
        Optional<LeaseNote> note = NoteSector.decode(area, index * layout.sectorBytes(), owner, sector.u64(24));
        boolean current = owner.equals(leader.owner()) && sector.u64(24) == leader.lver();
        sector.add(4, 4, "magic", "\"VGN1\"", "vmguard's note on the holder")
                .number64(8, "owner_id", "host id of the holder")
                .number64(16, "owner_generation", "generation of the holder")
                .number64(
                        24,
                        "lver",
                        current ? "of the hold that the leader shows" : "of another hold: the note is stale")
                .number64(32, "since", WallTime.text(sector.u64(32)));
        note.ifPresent(texts -> texts(sector, texts));
        sector.hex32(508, "checksum", note.isPresent() ? "right, over bytes 0 to 507" : "WRONG, over bytes 0 to 507");
        sectors.add(sector.sector("note of vmguard"));
    }

    private boolean isWord(int index) {
        long offset = (long) index * layout.sectorBytes();
        return offset >= layout.wordOffset(TransferWord.Side.GIVER)
                && offset < layout.noteOffset()
                && isNote(index, WORD_MAGIC);
    }

    private void word(int index) {
        SectorDump sector = at(index);
        long offset = (long) index * layout.sectorBytes();
        TransferWord.Side side = offset == layout.wordOffset(TransferWord.Side.GIVER)
                ? TransferWord.Side.GIVER
                : TransferWord.Side.RECEIVER;
        Optional<TransferWord> word = TransferSector.decode(area, (int) offset, side);
        sector.add(4, 4, "magic", "\"VGT1\"", "vmguard's word of a hand-over")
                .number64(8, "host_id", "host id of who wrote it")
                .number64(16, "generation", "generation of who wrote it")
                .number64(24, "attempt", "names the hand-over; the other side's is the same")
                .number32(
                        32,
                        "state",
                        word.map(said -> said.state().name().toLowerCase(Locale.ROOT))
                                .orElse("none of that side"))
                .number64(40, "lver", "version of the lease when it was written")
                .hex32(508, "checksum", word.isPresent() ? "right, over bytes 0 to 507" : "not sound: ignored");
        sectors.add(sector.sector(side == TransferWord.Side.GIVER ? "giver's word" : "receiver's word"));
    }

    private static void texts(SectorDump sector, LeaseNote note) {
        int offset = 40;
        String[] names = {"domain name", "domain UUID", "disk", "host name"};
        String[] texts = {note.domainName(), note.domainUuid(), note.disk(), note.hostName()};
        for (int i = 0; i < names.length; i++) {
            int bytes = 2 + sector.u16(offset);
            sector.add(offset, bytes, names[i], "\"" + texts[i] + "\"", "");
            offset += bytes;
        }
    }

    private void unknownSector(int index, String title) {
        unknown++;
        if (unknown <= MAX_UNKNOWN) {
            sectors.add(at(index).sector(String.format(Locale.ROOT, "sector %d, %s", index, title)));
        }
    }
}
