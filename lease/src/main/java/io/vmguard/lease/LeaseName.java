/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease;

import java.nio.charset.StandardCharsets;

/**
 * A name as it stands in a 48-byte field: of a lockspace or of a resource. One to 48 bytes of UTF-8 without NUL, and usable as a
 * file name in the lease directory.
 */
public record LeaseName(String value) {
    /** Bytes of a name field. */
    public static final int MAX_BYTES = 48;

    public LeaseName {
        int length = value.getBytes(StandardCharsets.UTF_8).length;
        if (length < 1 || length > MAX_BYTES) {
            throw new IllegalArgumentException("a lease name has 1 to 48 bytes, not " + length + ": " + value);
        }
        if (value.indexOf('\0') >= 0 || value.indexOf('/') >= 0 || value.startsWith(".")) {
            throw new IllegalArgumentException("a lease name is a plain file name: " + value);
        }
    }

    @Override
    public String toString() {
        return value;
    }
}
