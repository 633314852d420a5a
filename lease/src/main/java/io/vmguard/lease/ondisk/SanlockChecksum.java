/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.ondisk;

import java.util.zip.CRC32C;

/**
 * The format's checksum: CRC-32C with its register started at 0xFFFFFFFE and no final inversion.
 *
 * <p>For one fixed length that differs from the standard CRC-32C only by a constant (the start register's difference, clocked through
 * that many zero bytes), so the JDK's accelerated CRC serves.
 */
final class SanlockChecksum {
    /** Covered bytes of a leader record. */
    static final int LEADER_BYTES = 168;
    /** Covered bytes of a disk block. */
    static final int DISK_BLOCK_BYTES = 48;

    private static final int LEADER_DIFFERENCE = 0xDAECE73E;
    private static final int DISK_BLOCK_DIFFERENCE = 0x1C291D04;

    private SanlockChecksum() {}

    static int ofLeader(byte[] bytes, int offset) {
        return ~crc32c(bytes, offset, LEADER_BYTES) ^ LEADER_DIFFERENCE;
    }

    static int ofDiskBlock(byte[] bytes, int offset) {
        return ~crc32c(bytes, offset, DISK_BLOCK_BYTES) ^ DISK_BLOCK_DIFFERENCE;
    }

    private static int crc32c(byte[] bytes, int offset, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, offset, length);
        return (int) crc.getValue();
    }
}
