/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.inspect;

import io.vmguard.lease.LeaseFault;

/**
 * Something wrong or dangerous in a lease file. Nothing is ever repaired by who finds it.
 *
 * @param fault what those who use the lease are told
 * @param file path of the file
 * @param offset where in the file, in bytes
 * @param what the matter, a clause without a full stop
 * @param remedy one or more sentences; empty if nothing needs to be done
 */
public record Finding(LeaseFault fault, String file, long offset, String what, String remedy) {

    /** For people: file, offset, matter, sanlock's number, way out. */
    public String sentence() {
        return file + " at offset " + offset + ": " + what + " (" + fault.code() + ")."
                + (remedy.isEmpty() ? "" : " " + remedy);
    }
}
