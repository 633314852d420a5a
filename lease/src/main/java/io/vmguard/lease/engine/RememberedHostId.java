/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.engine;

import io.vmguard.lease.ondisk.LeaderRecord;
import io.vmguard.lease.ondisk.LeaseLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
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

    static RememberedHostId of(String where, LeaderRecord record) {
        byte[] bytes = record.sector(LeaseLayout.SECTOR_512);
        return new RememberedHostId(
                record.owner().hostId(), where, HexFormat.of().formatHex(bytes, 0, LeaderRecord.BYTES));
    }

    boolean isExactly(LeaderRecord onDisk) {
        return of(where, onDisk).recordHex().equals(recordHex);
    }

    static Optional<RememberedHostId> read(Path file) throws IOException {
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        Properties in = new Properties();
        try (var reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            in.load(reader);
            return Optional.of(new RememberedHostId(
                    Long.parseLong(in.getProperty("host_id", "0")),
                    in.getProperty("where", ""),
                    in.getProperty("record", "")));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    void write(Path file) throws IOException {
        LocalRecord.replace(
                file,
                "# vmguard: remembered host id; do not copy to other machines\nhost_id=" + hostId + "\nwhere="
                        + where.replace("\\", "\\\\") + "\nrecord=" + recordHex + "\n",
                true);
    }
}
