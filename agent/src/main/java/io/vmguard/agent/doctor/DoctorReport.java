/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.doctor;

import java.util.List;

/**
 * All findings; the JSON of {@code vmguard doctor --format json}. Keys and checks are only ever added.
 *
 * @param format version of this shape
 * @param verdict the worst of all
 */
public record DoctorReport(int format, String verdict, List<Finding> checks) {
    /** Version of this shape. */
    public static final int FORMAT = 1;

    /** 0, 1 or 2. */
    public int exitCode() {
        return Verdict.valueOf(verdict.toUpperCase(java.util.Locale.ROOT)).ordinal();
    }
}
