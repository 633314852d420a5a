/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Properties;

/**
 * The host id that this installation had last, and the last record it wrote: kept across boots.
 *
 * <p>The record is what proves, after a reboot, that a delta lease under our old name is ours and not that of a machine cloned from
 * us: a clone that lives has renewed since.
 *
 * @param where the lease directory it belongs to
 * @param recordHex the 200 bytes
 */
record RememberedHostId(long hostId, String where, String recordHex) {
    /** This host was a member of some lockspace, and no more can be told. */
    static final RememberedHostId UNKNOWN = new RememberedHostId(0, "", "");

    static RememberedHostId of(String where, LeaderRecord record) {
        byte[] bytes = record.sector(LeaseLayout.SECTOR_512);
        return new RememberedHostId(
                record.owner().hostId(), where, HexFormat.of().formatHex(bytes, 0, LeaderRecord.BYTES));
    }

    boolean isExactly(LeaderRecord onDisk) {
        return of(where, onDisk).recordHex().equals(recordHex);
    }

    /** @return empty if this host never had one; {@link #UNKNOWN} if what it had cannot be understood */
    static Optional<RememberedHostId> read(Path file) throws IOException {
        try {
            return Optional.of(parse(Files.readAllBytes(file)));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    static RememberedHostId parse(byte[] bytes) {
        try {
            Properties in = StateFile.parse(bytes);
            return new RememberedHostId(
                    StateFile.number(in, "host_id"), StateFile.text(in, "where"), StateFile.text(in, "record"));
        } catch (IllegalArgumentException e) {
            return UNKNOWN;
        }
    }

    void write(Path file) throws IOException {
        StateFile.replace(file, format(), true);
    }

    String format() {
        Properties out = new Properties();
        out.setProperty("host_id", Long.toString(hostId));
        out.setProperty("where", where);
        out.setProperty("record", recordHex);
        return StateFile.format(out, "vmguard: remembered host id; do not copy to other machines");
    }
}
