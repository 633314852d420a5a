/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import java.util.List;

/**
 * Every field of every sector of an area that holds anything, explained.
 *
 * @param file path of the file
 * @param title which kind of area it is, and of which geometry
 * @param remarks what was left out and why; what lies beyond the area
 */
public record AreaDump(String file, String title, List<Sector> sectors, List<String> remarks) {

    /** A sector that is not all zeroes, nor a delta lease that was never taken. */
    public record Sector(long offset, String title, List<Field> fields) {}

    /**
     * One field, or up to 16 bytes that mean nothing to us.
     *
     * @param offset in the file
     * @param name the format's word; empty for bytes without a meaning
     * @param value as it stands there
     * @param meaning of this value; may be empty
     */
    public record Field(long offset, int bytes, String name, String value, String meaning) {}
}
