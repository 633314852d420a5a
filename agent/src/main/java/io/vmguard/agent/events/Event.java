/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.events;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;

/**
 * One line of the log.
 *
 * @param format version of this shape
 * @param seq counts from 1 in each life of an agent
 * @param time epoch seconds
 * @param level info, warn, error or fatal
 * @param code as docs/operations.md lists them
 * @param message the line without its code
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record Event(int format, long seq, long time, String level, String code, String message) {
    /** Version of this shape. */
    public static final int FORMAT = 1;
}
