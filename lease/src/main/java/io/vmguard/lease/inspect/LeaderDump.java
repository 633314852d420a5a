/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.util.Locale;

/** The fields of a leader record with what their values mean, in a delta lease and in a resource. */
final class LeaderDump {
    private static final int VERSION = 4;
    private static final int FLAGS = 8;
    private static final int TIMESTAMP = 152;
    private static final int CHECKSUM = 168;
    private static final int IO_TIMEOUT = 174;
    private static final int WRITE_ID = 176;
    private static final int WRITE_GENERATION = 184;
    private static final int WRITE_TIMESTAMP = 192;

    private final SectorDump sector;
    private final LeaderRecord record;

    private LeaderDump(SectorDump sector, LeaderRecord record) {
        this.sector = sector;
        this.record = record;
    }

    /** A host's own lease. */
    static void delta(SectorDump sector, LeaderRecord record) {
        new LeaderDump(sector, record).delta();
    }

    /** A resource's, in use or cleared. */
    static void resource(SectorDump sector, LeaderRecord record) {
        new LeaderDump(sector, record).resource();
    }

    private void delta() {
        header();
        sector.number64(16, "num_hosts", "not used in a delta lease")
                .number64(24, "max_hosts", "not used in a delta lease")
                .number64(32, "owner_id", "host id; 0 before its first use")
                .number64(40, "owner_generation", "how often the id was taken")
                .number64(48, "lver", "not used in a delta lease")
                .name(56, "space_name", "lockspace")
                .name(104, "resource_name", "host name of the owner")
                .number64(
                        TIMESTAMP,
                        "timestamp",
                        record.isFree() ? "free" : "last renewal, seconds of the owner's monotonic clock");
        checksum();
        int ioTimeout = record.ioTimeoutSeconds();
        sector.number16(
                IO_TIMEOUT,
                "io_timeout",
                "T of the owner, modulo 256; its domains are stopped after " + 8 * ioTimeout + " s");
        boolean event = sector.u64(WRITE_GENERATION) != 0;
        sector.number64(WRITE_ID, "write_id", event ? "generation that the event is for" : "no event")
                .number64(WRITE_GENERATION, "write_generation", event ? "the event" : "no event")
                .number64(WRITE_TIMESTAMP, "write_timestamp", event ? "data of the event" : "no event");
    }

    private void resource() {
        header();
        sector.number64(16, "num_hosts", "disk blocks that take part in ballots")
                .number64(24, "max_hosts", "step of the ballot numbers")
                .number64(32, "owner_id", "host id of the owner, also after it gave the lease back")
                .number64(40, "owner_generation", "generation of the owner")
                .number64(48, "lver", "lease version: grows with each acquire")
                .name(56, "space_name", "lockspace")
                .name(104, "resource_name", "resource")
                .number64(
                        TIMESTAMP,
                        "timestamp",
                        record.isFree() ? "free" : "acquired, seconds of the owner's monotonic clock");
        checksum();
        sector.number16(IO_TIMEOUT, "io_timeout", "not used in a resource")
                .number64(WRITE_ID, "write_id", "host id that wrote this record")
                .number64(WRITE_GENERATION, "write_generation", "generation of that writer")
                .number64(WRITE_TIMESTAMP, "write_timestamp", "when, seconds of the writer's monotonic clock");
    }

    private void header() {
        sector.hex32(0, "magic", magic(record.magic()))
                .hex32(VERSION, "version", (record.version() >>> 16) + "." + (record.version() & 0xFFFF))
                .hex32(FLAGS, "flags", flags())
                .number32(12, "sector_size", "unit of writes, bytes");
    }

    private static String magic(int magic) {
        return switch (magic) {
            case LeaderRecord.DELTA_MAGIC -> "delta lease";
            case LeaderRecord.PAXOS_MAGIC -> "resource";
            case LeaderRecord.CLEARED_MAGIC -> "resource, deliberately removed";
            default -> "none of the format's";
        };
    }

    private String flags() {
        String area = LeaseLayout.of(record.sectorSize(), record.flags())
                .map(layout -> "areas of " + (layout.areaBytes() >> 20) + " MiB")
                .orElse("no known size of areas");
        String implied = (record.flags() & LeaseLayout.ALIGN_FLAGS) == 0 ? ", implied" : "";
        return area + implied + (record.isShortHold() ? ", SHORT_HOLD: a shared acquire is under way" : "");
    }

    private void checksum() {
        int right = record.edit().seal().checksum();
        sector.hex32(
                CHECKSUM,
                "checksum",
                right == record.checksum()
                        ? "right, over bytes 0 to 167"
                        : String.format(Locale.ROOT, "WRONG, over bytes 0 to 167: computed 0x%08x", right));
    }
}
